//! The deployment itself: is it there, and what does it offer?

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::Answer;
use crate::config::Offer;
use crate::context::Call;
use crate::error::Error;

/// What a client needs to know before anybody signs in.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct Deployment {
    /// An app's address; `*` stands for `{port}--{machine}--{org}`.
    pub apps: String,
    /// What machines can be made of.
    pub offer: Offer,
    /// The version of SnapVM.
    pub version: String,
}

/// `GET /v1/config`
///
/// # Errors
/// None.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let deployment = Deployment {
        apps: call.config.apps_pattern(),
        offer: call.config.offer,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let body = serde_json::to_string(&deployment).map_err(|_| Error::Internal("config cannot be written"))?;
    Ok(Answer::json(200, body))
}

/// `GET /v1/health`: the Worker runs. Asks nothing else, so that a probe costs nothing.
///
/// # Errors
/// None.
pub async fn health(_call: Call) -> Result<Answer, Error> {
    Ok(Answer::json(200, r#"{"status":"ok"}"#.into()))
}
