//! What is behind an app's host: one look-up, kept for 30 s, also when there is nothing. And leases, kept for as long
//! as they last. Both caches belong to the isolate and hold plain data only.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::{Command, Lease, Reply};
use snapvm_protocol::hosts::AppHost;
use snapvm_protocol::ids::MachineId;

use super::object;
use super::outside::service_credential;
use crate::config::Config;
use crate::db::{Database, Operation};
use crate::error::{Error, Problem};
use crate::platform;

/// How long a look-up is kept.
const KEEP_MS: u64 = 30_000;
/// Most entries of a cache; a full one is emptied, which costs a look-up each.
const ENTRIES_MAX: usize = 10_000;

/// A machine behind a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Resolved {
    /// The machine.
    pub machine: MachineId,
    /// The port behind the host without a port.
    pub app_port: u16,
    /// Its epoch.
    pub epoch: u64,
    /// Its generation.
    pub generation: u32,
}

thread_local! {
    static HOSTS: RefCell<HashMap<String, (u64, Option<Resolved>)>> = RefCell::new(HashMap::new());
    static LEASES: RefCell<HashMap<MachineId, Lease>> = RefCell::new(HashMap::new());
}

/// The machine behind a host, if there is one.
///
/// # Errors
/// See [`Database`].
pub async fn machine(env: &worker::Env, config: &Config, app: &AppHost) -> Result<Option<Resolved>, Error> {
    let key = format!("{}--{}", app.machine, app.org);
    let now = platform::now_ms();
    let kept = HOSTS.with_borrow(|hosts| hosts.get(&key).filter(|(until, _)| *until > now).cloned());
    if let Some((_, resolved)) = kept {
        return Ok(resolved);
    }
    let request = serde_json::json!({"apps": config.apps_pattern()}).to_string();
    let arguments =
        vec![service_credential(env)?.into(), request.into(), app.org.as_str().into(), app.machine.as_str().into()];
    let reply = Database::connect(env).await?.call(Operation { name: "gateway_resolve", arguments }).await?;
    let resolved = if reply.status == 404 { None } else { Some(reply.read::<Resolved>()?) };
    HOSTS.with_borrow_mut(|hosts| {
        if hosts.len() >= ENTRIES_MAX {
            hosts.clear();
        }
        hosts.insert(key, (now + KEEP_MS, resolved.clone()));
    });
    Ok(resolved)
}

/// Makes the next look-up of a host a fresh one.
pub fn forget(app: &AppHost) {
    HOSTS.with_borrow_mut(|hosts| hosts.remove(&format!("{}--{}", app.machine, app.org)));
}

/// Permission to send traffic to a machine's sprite: the present one, or a new one, for which the object wakes the
/// machine, on whose account is told in its history, and may take up to a minute.
///
/// # Errors
/// 503 `waking`, `stopped`, `failed`; 502 `unsafe_runtime`.
pub async fn lease(env: &worker::Env, resolved: &Resolved, by: By) -> Result<Lease, Error> {
    let now = platform::now_ms();
    let kept = LEASES.with_borrow(|leases| {
        leases.get(&resolved.machine).filter(|lease| lease.expires_ms > now && lease.epoch >= resolved.epoch).cloned()
    });
    if let Some(lease) = kept {
        return Ok(lease);
    }
    match object::command(env, resolved.machine, &Command::Lease { epoch: resolved.epoch, by }).await? {
        Reply::Lease(lease) => {
            LEASES.with_borrow_mut(|leases| {
                if leases.len() >= ENTRIES_MAX {
                    leases.clear();
                }
                leases.insert(resolved.machine, lease.clone());
            });
            Ok(lease)
        }
        Reply::Refused { code, detail } if code == "unsafe_runtime" => Err(Problem::new(502, &code, detail).into()),
        Reply::Refused { code, detail } => Err(Problem::unavailable(&code, detail).into()),
        _ => Err(Error::Object("an answer to another command".into())),
    }
}

/// Throws a lease away that the sprite did not honour.
pub fn drop_lease(machine: MachineId) {
    LEASES.with_borrow_mut(|leases| leases.remove(&machine));
}
