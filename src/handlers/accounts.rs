//! Accounts: sign-up, and who am I.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{pass, sessions};
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::db::{Database, Operation};
use crate::domain::fields;
use crate::error::Error;
use crate::secrets::{Prefix, Token};
use crate::{passwords, platform};

/// A sign-up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateAccount {
    /// The address to sign in with.
    pub email: String,
    /// What others see.
    pub name: String,
    /// 10 to 200 characters.
    pub password: String,
}

/// `POST /v1/accounts`: an account with a first organization, signed in.
///
/// # Errors
/// 409 `email_taken`; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateAccount = call.read()?;
    let email = fields::email(&request.email)?;
    let name = fields::label("name", &request.name, 100)?;
    let phc = passwords::hash(&call.env, fields::password(&request.password)?).await?;
    let token = Token::from_random(Prefix::Session, &platform::random()?);
    let slugs = fields::slug_candidates(&email, platform::random()?).join(",");
    let arguments = vec![
        call.request_context().into(),
        new_id()?.into(),
        email.into(),
        name.clone().into(),
        phc.into(),
        new_id()?.into(),
        token.hash().to_string().into(),
        call.user_agent.clone().into(),
        new_id()?.into(),
        name.into(),
        slugs.into(),
    ];
    let operation = Operation { name: "accounts_create", arguments };
    let reply = Database::connect(&call.env).await?.call(operation).await?;
    Ok(sessions::begin(pass(reply)?, &token))
}

/// `GET /v1/account`
///
/// # Errors
/// 401.
pub async fn get(call: Call) -> Result<Answer, Error> {
    pass(call.run(vec![]).await?)
}
