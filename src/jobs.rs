//! Scheduled work: the reconciler. Whatever an interrupted step left unfinished is found in the database, and its
//! object is asked to look again; objects that were never told of a new machine hear of it here. Then the provider's
//! sprites are looked through for orphans.

mod orphans;

use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;
use worker::{Env, ScheduleContext, ScheduledEvent, event};

use crate::db::{Database, Operation};
use crate::error::Error;
use crate::gateway::object;
use crate::gateway::outside::jobs_credential;

/// Every minute.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    if let Err(error) = reconcile(&env).await {
        worker::console_error!("reconciling: {error}");
    }
    if let Err(error) = orphans(&env).await {
        worker::console_error!("looking for orphans: {error}");
    }
}

async fn orphans(env: &Env) -> Result<(), Error> {
    let database = Database::connect_to(env, "JOBS_DB").await?;
    orphans::Look::new(env, &database)?.run().await
}

async fn reconcile(env: &Env) -> Result<(), Error> {
    let arguments = vec![jobs_credential(env)?.into(), "{}".into()];
    let database = Database::connect_to(env, "JOBS_DB").await?;
    let unfinished: Vec<MachineId> = database.call(Operation { name: "jobs_unfinished", arguments }).await?.read()?;
    for machine in unfinished {
        // One that cannot be reached is found again in a minute.
        if let Err(error) = object::command(env, machine, &Command::Reconcile).await {
            worker::console_warn!("machine {machine}: {error}");
        }
    }
    Ok(())
}
