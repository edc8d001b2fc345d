//! Members of an organization.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use snapvm_protocol::ids::AccountId;

use super::pass;
use crate::answer::Answer;
use crate::context::Call;
use crate::domain::fields;
use crate::error::Error;
use crate::gateway::access;

/// A new member: somebody who has an account already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateMember {
    /// The account's address.
    pub email: String,
    /// `viewer`, `member`, `admin` or `owner`.
    pub role: String,
}

/// A member's new role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct UpdateMember {
    /// `viewer`, `member`, `admin` or `owner`.
    pub role: String,
}

/// `GET /v1/orgs/{org}/members`
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let org = call.parameter("org")?.into();
    pass(call.run(vec![org]).await?)
}

/// `POST /v1/orgs/{org}/members`
///
/// # Errors
/// 403 `role`; 409 `already_member`; 422 `no_account` or for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateMember = call.read()?;
    let email = fields::email(&request.email)?;
    let role = fields::role(&request.role)?;
    let org = call.parameter("org")?.into();
    pass(call.run(vec![org, email.into(), role.as_str().into()]).await?)
}

/// `PATCH /v1/orgs/{org}/members/{account}`
///
/// # Errors
/// 403 `role`; 404; 409 `last_owner`; 422 for a field.
pub async fn update(call: Call) -> Result<Answer, Error> {
    let request: UpdateMember = call.read()?;
    let role = fields::role(&request.role)?;
    let (org, account) = (call.parameter("org")?.into(), call.id::<AccountId>("account")?);
    access::changed(&call, call.run(vec![org, account.into(), role.as_str().into()]).await?).await
}

/// `DELETE /v1/orgs/{org}/members/{account}`: removing somebody, or leaving.
///
/// # Errors
/// 403 `role`; 404; 409 `last_owner`.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let (org, account) = (call.parameter("org")?.into(), call.id::<AccountId>("account")?);
    access::changed(&call, call.run(vec![org, account.into()]).await?).await
}
