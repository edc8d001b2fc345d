//! What the functions in `migrations/api/usage.sql` answer with.

#![expect(dead_code, reason = "the database makes these; here are only their shapes")]

use schemars::JsonSchema;
use snapvm_protocol::ids::MachineId;

use super::Time;

/// For how long machines were awake: from the moment they were woken until their runtime was known to have paused.
#[derive(JsonSchema)]
pub(in crate::openapi) struct Usage {
    from: Time,
    to: Time,
    awake_seconds: u64,
    /// Also those that are gone. The one that was awake longest comes first.
    machines: Vec<UsageMachine>,
    sizes: Vec<UsageSize>,
    /// Days of UTC.
    days: Vec<UsageDay>,
}

#[derive(JsonSchema)]
struct UsageMachine {
    id: MachineId,
    /// The name it had last.
    name: String,
    size: String,
    awake_seconds: u64,
    /// How often it was woken.
    wakes: u32,
    /// Whether it is still there.
    exists: bool,
}

#[derive(JsonSchema)]
struct UsageSize {
    size: String,
    awake_seconds: u64,
}

#[derive(JsonSchema)]
struct UsageDay {
    day: String,
    awake_seconds: u64,
}
