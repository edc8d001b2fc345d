//! What would change a machine's state, in sentences for people.

use snapvm_protocol::lifecycle::MachineState;

/// The sentences, most likely first.
#[must_use]
pub fn changes(
    state: MachineState,
    idle_seconds: u64,
    holds: usize,
    tasks: &[String],
    services: &[String],
) -> Vec<String> {
    let text = |sentence: &str| sentence.to_owned();
    match state {
        MachineState::Running => {
            let mut sentences = Vec::new();
            if holds > 0 {
                let which = if holds == 1 { "its hold ends" } else { "the last of its holds ends" };
                sentences.push(format!("It stays awake until {which}; the idle timeout begins then."));
            }
            if !tasks.is_empty() {
                sentences.push(format!("Programs in it keep it awake until they say otherwise: {}.", tasks.join(", ")));
            }
            if !services.is_empty() {
                sentences.push(format!("It stays awake while these services run: {}.", services.join(", ")));
            }
            sentences.push(format!("It hibernates when nothing has happened for {}.", duration(idle_seconds)));
            sentences.push(text("Hibernate or Stop puts it to sleep at once, whatever holds it."));
            sentences
        }
        MachineState::Hibernated | MachineState::Hibernating => vec![
            text("It wakes when somebody types in a terminal, opens its URL, runs a command, or starts it."),
            text("A hold does not wake it: it keeps it awake once it is."),
        ],
        MachineState::Stopped | MachineState::Stopping => vec![text("Only Start wakes it.")],
        MachineState::Creating | MachineState::Waking => vec![text("It is on its way; nothing has to be done.")],
        MachineState::Failed => vec![text("Start tries again. Delete removes it.")],
        MachineState::Deleting => vec![],
    }
}

fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, minutes, 0) => format!("{minutes} minutes"),
        (1, 0, 0) => "an hour".into(),
        (hours, 0, 0) => format!("{hours} hours"),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_awake_machine_names_all_that_keeps_it_awake() {
        let sentences = changes(MachineState::Running, 900, 2, &["build".into()], &["worker".into()]).join(" ");
        for part in ["the last of its holds", "build", "worker", "15 minutes", "Hibernate or Stop"] {
            assert!(sentences.contains(part), "{part}: {sentences}");
        }
        assert_eq!(changes(MachineState::Running, 3600, 0, &[], &[]).len(), 2);
    }

    #[test]
    fn every_state_but_the_last_says_how_it_ends() {
        for state in MachineState::ALL {
            assert_eq!(changes(state, 900, 0, &[], &[]).is_empty(), state == MachineState::Deleting, "{state}");
        }
    }

    #[test]
    fn durations() {
        let of = [300, 3600, 7200, 5400, 301].map(duration);
        assert_eq!(of, ["5 minutes", "an hour", "2 hours", "5400 seconds", "301 seconds"]);
    }
}
