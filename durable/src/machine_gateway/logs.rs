//! Reading a service's log: whoever only looks wakes nothing, unless they say so.

use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::tickets::Purpose;

use super::cause::By;
use super::command::Reply;
use super::object::{Gateway, refused};
use super::outside::Outside;
use super::state::{Machine, Refusal};

impl<O: Outside> Gateway<O> {
    /// Permission to read logs.
    pub(super) async fn logs(&self, epoch: u64, wake: bool, by: By) -> Reply {
        let away = self.0.cache.borrow().as_ref().and_then(|cache| away(&cache.machine));
        match away {
            Some(refusal) if !wake => refused(refusal),
            _ => self.lease(epoch, by, |epoch| Purpose::Logs { epoch }).await,
        }
    }
}

/// Why nobody can be asked for a log now, and what to do.
fn away(machine: &Machine) -> Option<Refusal> {
    let (code, detail) = match machine.state {
        State::Running if machine.connected => return None,
        State::Creating | State::Waking | State::Running => {
            ("waking", "The machine is not there yet. Try again in a moment.".to_owned())
        }
        State::Hibernating | State::Hibernated => (
            "asleep",
            "The machine is asleep, and so are its logs. Wake it, or ask with wake=true, which wakes it.".to_owned(),
        ),
        State::Stopping | State::Stopped => {
            ("stopped", "The machine is stopped, and its logs are in it. Start it first.".to_owned())
        }
        State::Failed => ("failed", machine.reason.clone()),
        State::Deleting => ("deleting", "The machine is being deleted.".to_owned()),
    };
    Some(Refusal { code, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_whose_agent_is_there_is_asked() {
        for (state, code) in [
            (State::Creating, "waking"),
            (State::Waking, "waking"),
            (State::Running, "waking"),
            (State::Hibernating, "asleep"),
            (State::Hibernated, "asleep"),
            (State::Stopping, "stopped"),
            (State::Stopped, "stopped"),
            (State::Failed, "failed"),
            (State::Deleting, "deleting"),
        ] {
            let mut machine = Machine::from_record(state, 900, true, Vec::new());
            assert_eq!(away(&machine).map(|refusal| refusal.code), Some(code), "{state}");
            machine.connected = true;
            assert_eq!(away(&machine).is_none(), state == State::Running, "{state}");
        }
    }
}
