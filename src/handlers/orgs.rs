//! Organizations.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;

use super::pass;
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::fields;
use crate::error::Error;

/// A new organization.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateOrg {
    /// Part of every app address; cannot be changed.
    pub slug: String,
    /// For people.
    pub name: String,
}

/// `GET /v1/orgs`
///
/// # Errors
/// 401.
pub async fn list(call: Call) -> Result<Answer, Error> {
    pass(call.run(vec![]).await?)
}

/// `POST /v1/orgs`: with the caller as its owner.
///
/// # Errors
/// 409 `slug_taken` or `limit`; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateOrg = call.read()?;
    let slug = fields::org_slug(&request.slug)?;
    let name = fields::label("name", &request.name, 100)?;
    pass(call.run(vec![new_id()?.into(), slug.as_str().into(), name.into()]).await?)
}

/// `GET /v1/orgs/{org}`
///
/// # Errors
/// 404.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let org = call.parameter("org")?.into();
    pass(call.run(vec![org]).await?)
}
