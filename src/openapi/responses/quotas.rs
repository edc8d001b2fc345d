//! What the functions in `migrations/api/quotas.sql` answer with.

#![expect(dead_code, reason = "the database makes these; here are only their shapes")]

use schemars::JsonSchema;

/// What an organization may have, and what it has.
#[derive(JsonSchema)]
pub(in crate::openapi) struct Quotas {
    machines: QuotaCount,
    /// Machines that are awake, or about to be.
    awake: QuotaCount,
    idle: QuotaIdle,
}

#[derive(JsonSchema)]
struct QuotaCount {
    used: u32,
    /// What counts: the lower one of `own` and `ceiling`.
    limit: u32,
    /// What the deployment allows.
    ceiling: u32,
    /// What the organization's admins have set.
    own: Option<u32>,
}

/// Seconds of nothing after which machines hibernate.
#[derive(JsonSchema)]
struct QuotaIdle {
    /// Of a new machine that does not say.
    seconds: u32,
    /// The longest that a machine may have.
    max_seconds: u32,
    /// What the organization's admins have set.
    own_seconds: Option<u32>,
    /// What the organization's admins have set.
    own_max_seconds: Option<u32>,
}
