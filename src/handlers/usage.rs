//! Usage: for how long an organization's machines were awake.

use super::pass;
use crate::answer::Answer;
use crate::context::Call;
use crate::domain::times;
use crate::error::Error;
use crate::platform;

/// `GET /v1/orgs/{org}/usage`: from `from` to `to`; what is absent is the start of this month, and now.
///
/// # Errors
/// 404; 422 for `from` or `to`.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let (from, to) = times::span(call.query("from"), call.query("to"), platform::now_ms())?;
    let org = call.parameter("org")?.into();
    pass(call.run(vec![org, from.into(), to.into()]).await?)
}
