//! Scheduled work: the reconciler. Whatever an interrupted step left unfinished is found in the database, and its
//! object is asked to look again; objects that were never told of a new machine hear of it here. And machines that
//! stand somewhere are checked in turn: whether the runtime still has their sprite, asleep or awake as it should be, and
//! whether the record says what the object knows. Then the provider's sprites are looked through for orphans, and
//! machines are prepared, where the deployment wants that and the provider has room.

mod orphans;
mod prepared;

use futures::StreamExt;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::MachineState;
use worker::{Env, ScheduleContext, ScheduledEvent, event};

use crate::db::{Database, Operation};
use crate::error::Error;
use crate::gateway::object;
use crate::gateway::outside::jobs_credential;

/// Machines that are checked at the same time.
const CHECKS_AT_ONCE: usize = 10;

/// Every minute.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    for question in ["jobs_unfinished", "jobs_checks"] {
        if let Err(error) = check(&env, question).await {
            worker::console_error!("{question}: {error}");
        }
    }
    let has_room = match orphans(&env).await {
        Ok(has_room) => has_room,
        Err(error) => {
            worker::console_error!("looking for orphans: {error}");
            false
        }
    };
    if let Err(error) = prepared::keep(&env, has_room).await {
        worker::console_error!("preparing machines: {error}");
    }
}

async fn orphans(env: &Env) -> Result<bool, Error> {
    let database = Database::connect_to(env, "JOBS_DB").await?;
    orphans::Look::new(env, &database)?.run().await
}

/// A machine that is due, and what its record says.
#[derive(serde::Deserialize)]
struct Due {
    machine: MachineId,
    recorded: MachineState,
    desired: Option<Desired>,
}

/// Has the objects look whose machines the database names.
async fn check(env: &Env, question: &'static str) -> Result<(), Error> {
    let arguments = vec![jobs_credential(env)?.into(), "{}".into()];
    let database = Database::connect_to(env, "JOBS_DB").await?;
    let due: Vec<Due> = database.call(Operation { name: question, arguments }).await?.read()?;
    futures::stream::iter(due)
        .for_each_concurrent(CHECKS_AT_ONCE, |Due { machine, recorded, desired }| async move {
            // One that cannot be reached is found again.
            if let Err(error) = object::command(env, machine, &Command::Check { recorded, desired }).await {
                worker::console_warn!("machine {machine}: {error}");
            }
        })
        .await;
    Ok(())
}
