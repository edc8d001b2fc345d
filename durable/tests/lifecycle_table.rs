//! The table of the lifecycle, `docs/lifecycle.md`: printed by driving the state machine itself through every state and
//! every event. It fails when code and page differ; `SNAPVM_UPDATE_OUTPUT=1` writes the page.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fmt::Write;

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::prepared::{CLAIMED_TRIES_MAX, Prepared};
use snapvm_durable::machine_gateway::state::{ActivityKind, Effect, Event, Machine, Work};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

const NOW: u64 = 1_000_000_000;

const HEAD: &str = "# The life of a machine

The state machine of `durable/src/machine_gateway/` decides what happens to a machine: an event and the time go in, the
next state, effects and a time to look again come out. **This page is printed by driving it through every state and every
event** (`durable/tests/lifecycle_table.rs`); a test fails when code and page differ.

*Next look* is when the object's alarm asks again, should nothing else happen. Events that change nothing in a state are
not listed there. What an agent's digest means for its machine (upgrades) and checkpoints have pages of their own.

| state | what it is | who leads on |
|---|---|---|
| creating | its sprite is being made and the agent delivered | the object, by tries with a back-off |
| running | awake; leases are given while its agent is connected | need, orders, the idle clock |
| hibernating | a sleep was ordered, or the runtime has not paused yet | the agent, then looks at the runtime |
| hibernated | asleep; whoever needs it wakes it | need, orders |
| waking | on its way to running | the object, by tries with a back-off |
| stopping | like hibernating, towards stopped | the agent, then looks at the runtime |
| stopped | asleep and pinned: only a start wakes it | a start |
| failed | something went wrong; the reason says what, and what to do | a start, a deletion, the reconciler |
| deleting | being deleted, for as long as it takes | the object |

A **prepared** machine lives this life before it is anybody's: it is made and sleeps. Once somebody creates a machine of its
kind it is theirs, and *creating* from there; a prepared sprite that does not work is given up for another one.

What a machine **is to be** (`desired`: running, asleep, stopped, deleted) is kept beside what it is: orders that come
while another one is carried out end with the last one's state, and a deletion is the last of all.

Every result of work (`provisioned`, `looked` …) carries the turn of the machine's life in which it was begun. One that
comes later than the next turn means nothing, and neither does one of an older generation.
";

/// Every kind of event, with what tells its cases apart. A new kind does not compile here until it has its row.
fn name(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Provision => "the record was written",
        Event::Claimed => "somebody creates a machine of its kind",
        Event::Start { .. } => "**start**",
        Event::Wanted { .. } => "traffic needs it",
        Event::Called { .. } => "typed in a terminal, no answer",
        Event::Hibernate { .. } => "**hibernate**",
        Event::Stop { .. } => "**stop**",
        Event::Delete { .. } => "**delete**",
        Event::Hello => "its agent says Hello",
        Event::Outdated { carried: false, .. } => "an agent of another protocol dials",
        Event::Outdated { carried: true, .. } => "the carried agent speaks another protocol",
        Event::Replaced => "the agent was replaced",
        Event::Lost => "the control socket is lost",
        Event::Idle { .. } => "nothing happened for the idle timeout",
        Event::SleepReady { .. } => "the agent is ready to sleep",
        Event::Provisioned => "provisioned",
        Event::WakeSent => "the agent took the wake",
        Event::Looked { status: None } => "looked: no such sprite",
        Event::Looked { status: Some(SpriteStatus::Running) } => "looked: running",
        Event::Looked { .. } => "looked: paused",
        Event::NoAgent => "there is no agent in the sprite",
        Event::NotAdmitted { .. } => "no place for one more awake machine",
        Event::Failed { .. } => "work failed",
        Event::Limited { .. } => "a limit of the provider's is reached",
        Event::Recreated => "the generation has grown",
        Event::Found => "the sprite is there after all",
        Event::Gone => "sprite and record are gone",
        Event::Saved => "Postgres has it",
        Event::SaveFailed => "Postgres is away",
        Event::Alarm => "the alarm",
        Event::Check { .. } => "the reconciler looks",
        // What the agent tells beside, upgrades and checkpoints: they have rules of their own.
        Event::Checkpoint { .. }
        | Event::Synced { .. }
        | Event::CheckpointDone { .. }
        | Event::CheckpointRefused { .. }
        | Event::CheckpointTold
        | Event::Agent { .. }
        | Event::Delivered { .. }
        | Event::Settled
        | Event::UpgradeRefused { .. }
        | Event::Activity { .. }
        | Event::Tasks { .. }
        | Event::Keepers { .. }
        | Event::Holds { .. }
        | Event::Settings { .. } => return None,
    })
}

fn events() -> Vec<Event> {
    let by = || By::account(Cause::Hand, "ada");
    let looked = |status| Event::Looked { status };
    vec![
        Event::Provision,
        Event::Claimed,
        Event::Start { by: by() },
        Event::Wanted { by: By::request("bob", 3000) },
        Event::Called { by: By::account(Cause::Terminal, "bob") },
        Event::Hibernate { by: by() },
        Event::Stop { by: by() },
        Event::Delete { by: by() },
        Event::Hello,
        Event::Outdated { protocol: 1, carried: false },
        Event::Outdated { protocol: 9, carried: true },
        Event::Replaced,
        Event::Lost,
        Event::Idle { seconds: 900 },
        Event::SleepReady { sleep: 1 },
        Event::Provisioned,
        Event::WakeSent,
        looked(None),
        looked(Some(SpriteStatus::Running)),
        looked(Some(SpriteStatus::Cold)),
        Event::Failed { work: Work::Wake, reason: "no answer".into() },
        Event::NoAgent,
        Event::NotAdmitted { detail: "The organization has 3 machines awake, and its limit is 3.".into() },
        Event::Limited { work: Work::Wake, limit: "the provider's limit of 3 is reached".into(), retry_ms: 7_000 },
        Event::Recreated,
        Event::Found,
        Event::Gone,
        Event::Saved,
        Event::SaveFailed,
        Event::Alarm,
        Event::Activity { kind: ActivityKind::Terminal },
        Event::Check { recorded: State::Running, desired: None },
    ]
}

/// A machine that has come to a state the usual way.
fn brought_to(state: State) -> Machine {
    let first = match state {
        State::Creating => State::Creating,
        State::Failed => State::Failed,
        State::Hibernated => State::Hibernated,
        State::Stopped => State::Stopped,
        _ => State::Waking,
    };
    let mut machine = Machine::from_record(first, 900, state != State::Creating, vec![30, 60, 120]);
    let by = || By::account(Cause::Hand, "ada");
    let way = match state {
        State::Running => vec![Event::Hello],
        State::Hibernating => vec![Event::Hello, Event::Hibernate { by: by() }],
        State::Stopping => vec![Event::Hello, Event::Stop { by: by() }],
        State::Deleting => vec![Event::Delete { by: by() }],
        State::Creating => vec![Event::Provision],
        State::Waking => vec![Event::Alarm],
        State::Hibernated | State::Stopped | State::Failed => vec![],
    };
    for event in way {
        machine.on(event, NOW - 960_000).unwrap();
    }
    machine.on(Event::Saved, NOW - 960_000).unwrap();
    assert_eq!(machine.state, state);
    machine
}

/// One that is prepared, and nobody's yet.
fn prepared(state: State) -> Machine {
    let mut machine = brought_to(state).ordered(Desired::Asleep);
    machine.prepared = Some(Prepared::Waiting);
    machine
}

fn told(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Save(Some(history)) => format!("history: {}", history.detail),
        Effect::Save(None) => "save".into(),
        Effect::Tell(ToAgent::Sleep { .. }) => "tell: sleep".into(),
        Effect::Tell(ToAgent::SleepGo { .. }) => "tell: go".into(),
        Effect::Tell(ToAgent::SleepCancel { .. }) => "tell: stay".into(),
        Effect::Tell(_) => "tell".into(),
        Effect::Work(work) => format!("work: {}", format!("{work:?}").to_lowercase()),
        Effect::ReleaseWaiters => "waiters go on".into(),
        Effect::RefuseWaiters { code, .. } => format!("waiters are refused: {code}"),
        Effect::TellTerminals | Effect::WarnTerminals { .. } | Effect::Disconnect => return None,
        Effect::Unbind => "the agent's key is dead".into(),
        Effect::Forget => "forget".into(),
    })
}

fn row(before: &Machine, event: Event, label: &str) -> Option<String> {
    let mut machine = before.clone();
    let effects = match machine.on(event, NOW) {
        Err(refusal) => return Some(format!("| {label} | refused: `{}` | | |\n", refusal.code)),
        Ok(effects) => effects,
    };
    let told: Vec<String> = effects.iter().filter_map(told).collect();
    if machine.state == before.state && told.is_empty() && machine.alarm_ms == before.alarm_ms {
        return None;
    }
    let next = if effects.contains(&Effect::Forget) { "(gone)" } else { machine.state.as_str() };
    let look = machine.alarm_ms.map_or(String::new(), |at| match at.saturating_sub(NOW) {
        0 => "now".into(),
        rest if rest % 1000 == 0 => format!("{} s", rest / 1000),
        rest => format!("{rest} ms"),
    });
    Some(format!("| {label} | {next} | {} | {look} |\n", told.join("; ")))
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut section = |title: &str, machine: &Machine| {
        write!(page, "\n## {title}\n\n| event | next state | effects | next look |\n|---|---|---|---|\n").unwrap();
        for event in events() {
            if let Some(label) = name(&event) {
                page.extend(row(machine, event, label));
            }
        }
    };
    for state in State::ALL {
        let machine = brought_to(state);
        section(state.as_str(), &machine);
        match state {
            State::Running | State::Hibernating | State::Stopping => {
                let mut alone = machine.clone();
                alone.on(Event::Lost, NOW - 955_000).unwrap();
                section(&format!("{state}, its agent not connected"), &alone);
            }
            State::Waking => {
                let mut tried = machine.clone();
                tried.tries = snapvm_durable::machine_gateway::state::TRIES_MAX - 1;
                section("waking, for the last time", &tried);
            }
            State::Creating => {
                let mut claimed = prepared(State::Hibernated);
                claimed.on(Event::Claimed, NOW - 955_000).unwrap();
                section("creating, on a prepared sprite", &claimed);
                claimed.tries = CLAIMED_TRIES_MAX - 1;
                section("creating, on a prepared sprite, for the last time", &claimed);
                claimed.on(Event::Looked { status: None }, NOW - 955_000).unwrap();
                section("creating, its prepared sprite given up", &claimed);
                section("creating, to be prepared", &prepared(State::Creating));
            }
            State::Hibernated => section("hibernated, prepared", &prepared(State::Hibernated)),
            State::Failed => {
                let mut gone = machine.clone();
                gone.on(Event::Looked { status: None }, NOW - 955_000).unwrap();
                gone.on(Event::Saved, NOW - 955_000).unwrap();
                section("failed, since its sprite is gone", &gone);
            }
            _ => {}
        }
    }
    page
}

#[test]
fn the_page_says_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lifecycle.md");
    let page = page();
    if std::env::var_os("SNAPVM_UPDATE_OUTPUT").is_some() {
        std::fs::write(path, &page).unwrap();
        return;
    }
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let differs = old.lines().zip(page.lines()).find(|(old, new)| old != new);
    assert!(old == page, "docs/lifecycle.md differs; SNAPVM_UPDATE_OUTPUT=1 writes it. First: {differs:?}");
}

/// Whatever order comes in whatever state, it is refused by name or it ends there.
#[test]
fn delete_is_accepted_in_every_state() {
    for state in State::ALL {
        let mut machine = brought_to(state);
        let effects = machine.on(Event::Delete { by: By::account(Cause::Hand, "ada") }, NOW).unwrap();
        assert_eq!(machine.state, State::Deleting, "from {state}");
        assert!(effects.contains(&Effect::Work(Work::Delete)), "from {state}");
    }
}
