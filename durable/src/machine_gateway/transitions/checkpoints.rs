//! What orders about checkpoints do to a machine. See [`super::super::checkpoint`] for the picture.

use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::Cause;

use super::super::cause::By;
use super::super::checkpoint::{Job, Order, Outcome, STEP_MS, SYNC_MS, Step, TRIES_MAX, What};
use super::super::desired::Desired;
use super::super::state::{Effect, Event, Machine, Work};
use super::super::upgrade::Upgrade;
use super::{State, backoff_ms, bring_up, enter};

/// What a checkpoint lacks that was made without the agent's word.
const UNCONFIRMED: &str = "Its agent did not confirm in time that everything was on the disk: \
    what programs wrote in the seconds before may be missing.";

/// Whether an event comes from before the files went back, or from beside it: it means nothing then.
pub(super) fn is_void(machine: &Machine, event: &Event) -> bool {
    machine.checkpoints.is_restoring()
        && match event {
            // Files that are gone go nowhere.
            Event::Looked { status } => status.is_some(),
            Event::Failed { work, .. } => !matches!(work, Work::Checkpoint | Work::TellCheckpoint | Work::Delete),
            Event::Hello
            | Event::Agent { .. }
            | Event::Outdated { .. }
            | Event::Delivered { .. }
            | Event::Settled
            | Event::UpgradeRefused { .. }
            | Event::Replaced
            | Event::Activity { .. }
            | Event::Idle { .. }
            | Event::SleepReady { .. }
            | Event::Tasks { .. }
            | Event::Provisioned
            | Event::WakeSent
            | Event::NoAgent => true,
            _ => false,
        }
}

pub(super) fn on(machine: &mut Machine, event: Event, now: u64) -> Vec<Effect> {
    match event {
        Event::Checkpoint { order } => order_came(machine, order, now),
        Event::Synced { sync } => match &mut machine.checkpoints.job {
            Some(job) if job.step == (Step::Syncing { sync }) => begin(job, now),
            _ => vec![],
        },
        Event::CheckpointDone { name } => done(machine, name, now),
        Event::CheckpointRefused { reason } => refused(machine, &reason, now),
        Event::CheckpointTold => {
            machine.checkpoints.job.take_if(|job| matches!(job.step, Step::Done(_)));
            vec![]
        }
        _ => vec![],
    }
}

/// A time that is too far away was told by a clock that went wrong, and is a step away from now on.
pub(super) fn set_right(machine: &mut Machine, now: u64) {
    if let Some(job) = &mut machine.checkpoints.job {
        job.due_ms = job.due_ms.min(now + STEP_MS);
    }
}

/// When to look again.
pub(super) fn next_look_ms(machine: &Machine) -> Option<u64> {
    Some(machine.checkpoints.job.as_ref()?.due_ms)
}

/// The time of the alarm has come, which may be ours.
pub(super) fn alarm(machine: &mut Machine, now: u64) -> Vec<Effect> {
    let Some(job) = machine.checkpoints.job.as_mut().filter(|job| now >= job.due_ms) else { return vec![] };
    if matches!(job.step, Step::Syncing { .. }) {
        job.unconfirmed = true;
    }
    match job.step {
        Step::Syncing { .. } | Step::Working => begin(job, now),
        Step::Done(_) => {
            job.due_ms = now + STEP_MS;
            vec![Effect::Work(Work::TellCheckpoint)]
        }
    }
}

/// A try failed; it may have been done all the same.
pub(super) fn failed(machine: &mut Machine, what: Work, reason: &str, now: u64) -> Vec<Effect> {
    if machine.checkpoints.work() != Some(what) {
        return vec![];
    }
    let Some(job) = &mut machine.checkpoints.job else { return vec![] };
    job.tries += 1;
    let is_last = what == Work::Checkpoint && (job.tries >= TRIES_MAX || now >= job.until_ms);
    if !is_last {
        job.due_ms = now + backoff_ms(job.tries);
        return vec![];
    }
    let called = job.order.called();
    match job.order.what {
        What::Making => finish(machine, failure(reason), now),
        What::Deleting => finish(machine, kept(reason), now),
        What::Restoring => {
            let reason = format!("It is not known whether {called} was restored: {reason}.");
            let outcome = outcome(Some("ready"), &reason, "restore_failed", reason.clone());
            enter(machine, State::Failed, &format!("{reason} Restore it again, or start the machine as it is."));
            machine.alarm_ms = None;
            let mut effects = vec![
                Effect::Save(None),
                Effect::RefuseWaiters { code: "failed", detail: machine.reason.clone() },
                Effect::TellTerminals,
            ];
            effects.extend(finish(machine, outcome, now));
            effects
        }
    }
}

fn order_came(machine: &mut Machine, order: Order, now: u64) -> Vec<Effect> {
    let (what, before, called) = (order.what, machine.state, order.called());
    // Only an agent of our own age is known to understand the question.
    let syncs = what == What::Making && machine.is_ready() && machine.upgrade.is_current();
    let sync = machine.checkpoints.next_sync();
    let Some(job) = machine.checkpoints.begin(order, before, now) else { return vec![] };
    job.wish.clone_from(&machine.wish);
    match what {
        What::Making if syncs => {
            job.step = Step::Syncing { sync };
            job.due_ms = now + SYNC_MS;
            vec![Effect::Tell(ToAgent::Sync { sync })]
        }
        What::Making => {
            // One that sleeps has synced before.
            job.unconfirmed = before == State::Running;
            begin(job, now)
        }
        What::Deleting => begin(job, now),
        What::Restoring => {
            machine.desire(Desired::Running, &restores(), now);
            machine.sleep = None;
            machine.connected = false;
            machine.alarm_ms = None;
            // Which agent lies on the older disk, only itself can say.
            machine.upgrade = Upgrade::default();
            machine.was_stopped = matches!(machine.state, State::Stopping | State::Stopped);
            enter(machine, State::Waking, &format!("Restoring {called}: files go back to when it was made."));
            vec![
                Effect::Unbind,
                Effect::Disconnect,
                Effect::Work(Work::Checkpoint),
                Effect::Save(None),
                Effect::TellTerminals,
            ]
        }
    }
}

fn begin(job: &mut Job, now: u64) -> Vec<Effect> {
    job.step = Step::Working;
    job.due_ms = now + STEP_MS;
    vec![Effect::Work(Work::Checkpoint)]
}

fn done(machine: &mut Machine, name: Option<String>, now: u64) -> Vec<Effect> {
    let Some(job) = machine.checkpoints.job.as_ref().filter(|job| job.step == Step::Working) else { return vec![] };
    match job.order.what {
        What::Making => {
            let reason = if job.unconfirmed { UNCONFIRMED } else { "" };
            let detail = format!("Made {{checkpoint}}. {reason}").trim_end().to_owned();
            finish(machine, Outcome { name, ..outcome(Some("ready"), reason, "checkpoint_made", detail) }, now)
        }
        What::Deleting => finish(machine, outcome(None, "", "checkpoint_deleted", "Deleted {checkpoint}.".into()), now),
        What::Restoring => {
            let called = job.order.called();
            let detail = "Restored {checkpoint}: files are as they were then.".into();
            let mut effects = finish(machine, outcome(Some("ready"), "", "restored", detail), now);
            // Whatever was said of it before.
            (machine.provisioned, machine.vanished) = (true, false);
            enter(machine, State::Waking, &format!("Restored {called}; waking up."));
            effects.extend(bring_up(machine, now));
            effects.extend([Effect::Save(None), Effect::TellTerminals]);
            effects
        }
    }
}

/// The runtime does not do it, and would not the next time.
fn refused(machine: &mut Machine, reason: &str, now: u64) -> Vec<Effect> {
    let Some(job) = machine.checkpoints.job.as_ref().filter(|job| job.step == Step::Working) else { return vec![] };
    let (before, wish) = (job.before, job.wish.clone());
    match job.order.what {
        What::Making => finish(machine, failure(reason), now),
        What::Deleting => finish(machine, kept(reason), now),
        What::Restoring => {
            let words = format!("It could not be restored: {reason}.");
            let detail = format!("Could not restore {{checkpoint}}: {reason}. Files are as they were.");
            let overruled = is_overruled(machine);
            if !overruled {
                machine.wish = wish;
            }
            let mut effects = finish(machine, outcome(Some("ready"), &words, "restore_failed", detail), now);
            match before {
                _ if overruled => effects.extend(wake_up(machine, now)),
                State::Hibernated => enter(machine, before, "Asleep. It wakes when somebody needs it."),
                State::Stopped => enter(machine, before, "Stopped."),
                _ => effects.extend(wake_up(machine, now)),
            }
            effects.extend([Effect::Save(None), Effect::TellTerminals]);
            effects
        }
    }
}

fn wake_up(machine: &mut Machine, now: u64) -> Vec<Effect> {
    enter(machine, State::Waking, "Waking up: nothing was restored.");
    bring_up(machine, now)
}

/// The runtime is gone, and its checkpoints with it.
pub(super) fn vanished(machine: &mut Machine, now: u64) -> Vec<Effect> {
    let Some(job) = machine.checkpoints.job.as_ref().filter(|_| machine.checkpoints.is_busy()) else { return vec![] };
    let reason = "its runtime is gone";
    let outcome = match job.order.what {
        What::Making => failure(reason),
        What::Deleting => kept(reason),
        What::Restoring => {
            let words = format!("It could not be restored: {reason}.");
            let detail = format!("Could not restore {{checkpoint}}: {reason}, and its files with it.");
            outcome(Some("ready"), &words, "restore_failed", detail)
        }
    };
    finish(machine, outcome, now)
}

/// What a restore wants: whoever goes back wants to see it.
fn restores() -> By {
    By::nobody(Cause::Hand)
}

/// Whether somebody has ordered something since the files began to go back: it is done once they are there.
fn is_overruled(machine: &Machine) -> bool {
    machine.wish.as_ref().is_some_and(|wish| wish.by != restores())
}

/// What became of it is certain: the record hears of it, until it has.
fn finish(machine: &mut Machine, outcome: Outcome, now: u64) -> Vec<Effect> {
    let Some(job) = &mut machine.checkpoints.job else { return vec![] };
    job.step = Step::Done(outcome);
    job.tries = 0;
    job.due_ms = now + STEP_MS;
    vec![Effect::Work(Work::TellCheckpoint)]
}

fn outcome(state: Option<&str>, reason: &str, kind: &str, detail: String) -> Outcome {
    Outcome { state: state.map(str::to_owned), name: None, reason: reason.to_owned(), kind: kind.to_owned(), detail }
}

fn failure(reason: &str) -> Outcome {
    let words = format!("It could not be made: {reason}.");
    outcome(Some("failed"), &words, "checkpoint_failed", format!("Could not make {{checkpoint}}: {reason}."))
}

fn kept(reason: &str) -> Outcome {
    let words = format!("It could not be deleted: {reason}.");
    outcome(Some("ready"), &words, "checkpoint_kept", format!("Could not delete {{checkpoint}}: {reason}."))
}
