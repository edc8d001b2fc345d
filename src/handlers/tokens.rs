//! API tokens.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::TokenId;

use super::pass;
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::fields;
use crate::error::Error;
use crate::gateway::access;
use crate::platform;
use crate::secrets::{Prefix, Token};

/// A new token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateToken {
    /// What it is for.
    pub name: String,
    /// What it may do. It never may more than its account.
    pub scope: Scope,
    /// Days until it expires: 1 to 365, 90 when absent.
    #[serde(default)]
    pub expires_in_days: Option<i64>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub enum Scope {
    /// Look.
    Read,
    /// Look and change.
    Write,
}

/// `GET /v1/tokens`
///
/// # Errors
/// 401.
pub async fn list(call: Call) -> Result<Answer, Error> {
    pass(call.run(vec![]).await?)
}

/// `POST /v1/tokens`: the only answer that ever shows the secret.
///
/// # Errors
/// 403 `session_required`; 409 `limit`; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateToken = call.read()?;
    let name = fields::label("name", &request.name, 100)?;
    let days = fields::within("expires_in_days", request.expires_in_days.unwrap_or(90), 1..=365)?;
    let scope = match request.scope {
        Scope::Read => "read",
        Scope::Write => "write",
    };
    let token = Token::from_random(Prefix::Personal, &platform::random()?);
    let arguments = vec![
        new_id()?.into(),
        name.into(),
        scope.into(),
        days.into(),
        token.hash().to_string().into(),
        token.last_four().into(),
    ];
    let mut made: serde_json::Map<String, serde_json::Value> = call.run(arguments).await?.read()?;
    made.insert("token".into(), token.reveal().into());
    Ok(Answer::json(201, serde_json::Value::Object(made).to_string()))
}

/// `DELETE /v1/tokens/{token}`
///
/// # Errors
/// 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let token = call.id::<TokenId>("token")?;
    access::changed(&call, call.run(vec![token.into()]).await?).await
}
