//! Prepared machines: so many of a kind are kept ready as `PREPARED` says, a list such as
//! `[{"runtime": "sprites", "size": "small", "region": "ams", "ready": 3}]`. Without it none is made, and what is left of
//! an earlier configuration goes.
//!
//! The database decides what is missing and what goes (`api.jobs_prepare`); each machine's object does the rest, as for
//! any machine.

use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;
use worker::Env;

use crate::context::new_id;
use crate::db::{Database, Operation};
use crate::error::Error;
use crate::gateway::object;
use crate::gateway::outside::jobs_credential;
use crate::platform::Variables;

/// Most that are being prepared at the same time.
const AT_ONCE: usize = 3;

/// One that is to be prepared.
#[derive(serde::Deserialize)]
struct Begun {
    machine: MachineId,
    region: String,
}

/// Has what is missing prepared, if the provider has room for it, and what is not wanted any more deleted.
pub(super) async fn keep(env: &Env, has_room: bool) -> Result<(), Error> {
    let ids = (0..AT_ONCE).map(|_| new_id()).collect::<Result<Vec<String>, _>>()?;
    let arguments = vec![
        jobs_credential(env)?.into(),
        "{}".into(),
        env.text("PREPARED").unwrap_or_else(|_| "[]".into()).into(),
        env.text("OFFER")?.into(),
        serde_json::to_string(&ids).map_err(|_| Error::Internal("ids cannot be written"))?.into(),
        env.text("AGENT_DIGEST")?.into(),
        Some(has_room).into(),
    ];
    let database = Database::connect_to(env, "JOBS_DB").await?;
    let begun: Vec<Begun> = database.call(Operation { name: "jobs_prepare", arguments }).await?.read()?;
    for Begun { machine, region } in begun {
        // One whose object cannot be told is found again.
        if let Err(error) = object::create(env, machine, &region, &Command::Provision).await {
            worker::console_warn!("machine {machine}, to be prepared: {error}");
        }
    }
    Ok(())
}
