//! An organization's live updates.

use crate::answer::Answer;
use crate::context::Call;
use crate::error::Error;
use crate::gateway;

/// `GET /v1/orgs/{org}/feed`: a WebSocket; see `docs/feed-protocol.md`.
///
/// # Errors
/// 404; 422 for `after`; 426 for anything but a WebSocket of our sub-protocol; 503 when too many follow already.
pub async fn stream(call: Call) -> Result<Answer, Error> {
    let upgraded = gateway::feed::stream(call).await?;
    Ok(Answer { upgraded: Some(upgraded), ..Answer::nothing() })
}
