//! Browser sessions: sign-in, list, sign-out.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use snapvm_protocol::ids::SessionId;

use super::pass;
use crate::answer::Answer;
use crate::authn::{cleared_session_cookie, session_cookie};
use crate::context::{Call, new_id};
use crate::db::{Database, Operation};
use crate::domain::fields;
use crate::error::{Error, Problem};
use crate::gateway::access;
use crate::secrets::{Prefix, Token};
use crate::{passwords, platform};

/// A sign-in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateSession {
    /// The account's address.
    pub email: String,
    /// Its password.
    pub password: String,
}

#[derive(Deserialize)]
struct Begun {
    phc: Option<String>,
}

/// `POST /v1/sessions`. The one operation of more than one statement: fetch the hash, verify, record.
///
/// # Errors
/// 401 `wrong_password`, the same for an unknown address; 429 `too_many_tries`.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateSession = call.read()?;
    let email = fields::email(&request.email)?;
    if request.password.chars().count() > fields::PASSWORD_MAX {
        return Err(wrong_password());
    }
    let database = Database::connect(&call.env).await?;
    let arguments = vec![call.request_context().into(), email.clone().into()];
    let begun: Begun = database.call(Operation { name: "sessions_begin", arguments }).await?.read()?;
    let matches = passwords::verify(&call.env, &request.password, begun.phc.as_deref()).await?;
    let (true, Some(phc)) = (matches, begun.phc) else { return Err(wrong_password()) };
    let token = Token::from_random(Prefix::Session, &platform::random()?);
    let arguments = vec![
        call.request_context().into(),
        email.into(),
        phc.into(),
        new_id()?.into(),
        token.hash().to_string().into(),
        call.user_agent.clone().into(),
    ];
    let reply = database.call(Operation { name: "sessions_create", arguments }).await?;
    Ok(begin(pass(reply)?, &token))
}

fn wrong_password() -> Error {
    Problem::new(401, "wrong_password", "The e-mail address or the password is wrong.").into()
}

/// Hands the browser its session.
#[must_use]
pub fn begin(answer: Answer, token: &Token) -> Answer {
    answer.with("set-cookie", session_cookie(token))
}

/// `GET /v1/sessions`
///
/// # Errors
/// 401.
pub async fn list(call: Call) -> Result<Answer, Error> {
    pass(call.run(vec![]).await?)
}

/// `DELETE /v1/sessions/{session}`: an id, or `current`.
///
/// # Errors
/// 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let current = call.parameter("session")? == "current";
    let session = if current { "current".to_owned() } else { call.id::<SessionId>("session")? };
    let answer = access::changed(&call, call.run(vec![session.into()]).await?).await?;
    Ok(if current { answer.with("set-cookie", cleared_session_cookie()) } else { answer })
}
