//! The audit log.

use super::pass;
use crate::answer::Answer;
use crate::context::Call;
use crate::error::Error;

/// `GET /v1/orgs/{org}/audit`: newest first.
///
/// # Errors
/// 403; 404; 422 for `limit`.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, limit) = (call.parameter("org")?.into(), call.limit(100, 500)?);
    pass(call.run(vec![org, limit.into()]).await?)
}
