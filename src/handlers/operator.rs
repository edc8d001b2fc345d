//! What the operator of a deployment may ask, with a credential of their own: no account has it, and it opens nothing
//! else.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::context::Call;
use crate::domain::times;
use crate::error::Error;
use crate::sprites::{Client, breaker};

/// How the runtime's provider is.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct Provider {
    /// Whether it answered just now.
    pub answering: bool,
    /// Why not.
    pub detail: Option<String>,
    /// Since when nothing is asked because it failed again and again, as far as the answering isolate knows.
    pub away_since: Option<String>,
    /// What the account uses, and how much it may.
    pub account: Option<ProviderAccount>,
    #[serde(flatten)]
    sprites: Known,
}

/// What the provider's account uses, of all deployments that share it.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct ProviderAccount {
    /// Sprites that run.
    pub running: Option<u64>,
    /// Sprites that sleep with their memory.
    pub warm: Option<u64>,
    /// Sprites that sleep without.
    pub cold: Option<u64>,
    /// Most that may run; absent where there is no limit, or none is told.
    pub running_limit: Option<u64>,
    /// Most that may be warm.
    pub warm_limit: Option<u64>,
}

/// What scheduled work found.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
struct Known {
    /// When the provider's sprites were last looked through.
    looked_at: Option<String>,
    /// Sprites of this deployment that no machine has, the newest first.
    orphans: Vec<Orphan>,
    /// Machines that are prepared before anybody wants one, by their kind.
    prepared: Vec<PreparedKind>,
}

/// Prepared machines of one kind.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
struct PreparedKind {
    /// Their runtime type.
    runtime: String,
    /// Their size.
    size: String,
    /// Their region.
    region: String,
    /// Those that sleep, and wait for somebody.
    ready: u32,
    /// Those that are being made.
    preparing: u32,
    /// Those that could not be made: they are replaced after five minutes.
    failed: u32,
    /// Those that are being deleted.
    leaving: u32,
    /// Why one failed.
    failure: Option<String>,
}

/// A sprite that no machine has.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
struct Orphan {
    /// Its name.
    sprite: String,
    /// Its id.
    sprite_id: String,
    /// `machine_gone` or `generation_stale`.
    reason: String,
    /// At how many looks it was there.
    sightings: u32,
    /// When it was found.
    first_seen_at: String,
    /// When it was last there.
    last_seen_at: String,
    /// When it was deleted.
    deleted_at: Option<String>,
}

/// `GET /v1/operator/provider`
///
/// # Errors
/// 401; 403 for whoever is not the operator.
pub async fn provider(call: Call) -> Result<Answer, Error> {
    let sprites: Known = call.run(vec![]).await?.read()?;
    let counted = Client::new(&call.env)?.counts().await;
    let provider = Provider {
        answering: counted.is_ok(),
        detail: counted.as_ref().err().map(ToString::to_string),
        away_since: breaker::away_since_ms().and_then(times::from_ms),
        account: counted.ok().map(|list| {
            let org = list.org.unwrap_or_default();
            ProviderAccount {
                running: list.running.or(org.running),
                warm: list.warm.or(org.warm),
                cold: list.cold.or(org.cold),
                running_limit: list.running_limit.or(org.running_limit),
                warm_limit: list.warm_limit.or(org.warm_limit),
            }
        }),
        sprites,
    };
    let body = serde_json::to_string(&provider).map_err(|_| Error::Internal("an answer cannot be written"))?;
    Ok(Answer::json(200, body))
}
