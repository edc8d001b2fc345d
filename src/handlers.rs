//! One module per resource: read the request, check its fields, make one call, answer.

pub mod accounts;
pub mod audit;
pub mod checkpoints;
pub mod deployment;
pub mod exec;
pub mod holds;
pub mod logs;
pub mod machines;
pub mod members;
pub mod operator;
pub mod orgs;
pub mod ports;
pub mod quotas;
pub mod services;
pub mod sessions;
pub mod terminals;
pub mod tokens;
pub mod usage;
pub mod variables;
pub mod why;

use crate::answer::Answer;
use crate::db::Reply;
use crate::error::Error;

/// The database's reply as it is.
///
/// # Errors
/// The refusal that it may be.
fn pass(reply: Reply) -> Result<Answer, Error> {
    let reply = reply.accepted()?;
    Ok(Answer::json(reply.status, reply.body))
}
