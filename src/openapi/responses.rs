//! What the functions in `migrations/api/` answer with.

#![expect(dead_code, reason = "the database makes these; here are only their shapes")]
#![expect(clippy::struct_field_names, reason = "a field's name is the API's")]

mod quotas;
mod usage;

pub(super) use quotas::Quotas;
use schemars::JsonSchema;
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::{AccountId, CheckpointId, HoldId, MachineId, SessionId, TerminalId, TokenId};
use snapvm_protocol::lifecycle::{Cause, MachineState, RuntimeType};
use snapvm_protocol::names::{MachineName, OrgSlug};
use snapvm_protocol::services::{Containment, ServiceDefinition, ServiceState, Unready};
pub(super) use usage::Usage;

use crate::handlers::tokens::Scope;

/// A time, RFC 3339 in UTC.
#[derive(JsonSchema)]
#[schemars(transparent, inline)]
pub(super) struct Time(#[schemars(extend("format" = "date-time"))] String);

/// A role in an organization.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Role {
    Viewer,
    Member,
    Admin,
    Owner,
}

/// Why a request was refused (RFC 9457).
#[derive(JsonSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    r#type: String,
    title: String,
    status: u16,
    /// Stable, for programs.
    code: String,
    /// For people: what happened, and what to do.
    detail: String,
    /// The field of the request that it is about.
    field: Option<String>,
    /// When to try again.
    retry_after_seconds: Option<u32>,
    /// Names this request in our logs.
    request_id: String,
}

#[derive(JsonSchema)]
pub(super) struct Health {
    status: String,
}

/// A person.
#[derive(JsonSchema)]
pub(super) struct Account {
    id: AccountId,
    email: String,
    name: String,
    created_at: Time,
    /// Where they belong.
    orgs: Vec<AccountOrg>,
}

#[derive(JsonSchema)]
pub(super) struct AccountOrg {
    slug: OrgSlug,
    name: String,
    role: Role,
}

#[derive(JsonSchema)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
}

/// A browser session.
#[derive(JsonSchema)]
pub(super) struct Session {
    id: SessionId,
    /// Whether it is the one that asks.
    current: bool,
    address: Option<String>,
    user_agent: Option<String>,
    created_at: Time,
    last_seen_at: Time,
    expires_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
}

/// An API token, without its secret.
#[derive(JsonSchema)]
pub(super) struct Token {
    id: TokenId,
    name: String,
    scope: Scope,
    /// The last four characters of the secret.
    last_four: String,
    created_at: Time,
    last_seen_at: Option<Time>,
    expires_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct CreatedToken {
    #[schemars(flatten)]
    about: Token,
    /// The secret. Shown only here.
    token: String,
}

#[derive(JsonSchema)]
pub(super) struct Orgs {
    orgs: Vec<Org>,
}

/// An organization.
#[derive(JsonSchema)]
pub(super) struct Org {
    slug: OrgSlug,
    name: String,
    /// The caller's role.
    role: Role,
    created_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct Members {
    members: Vec<Member>,
}

/// A member of an organization.
#[derive(JsonSchema)]
pub(super) struct Member {
    account_id: AccountId,
    email: String,
    name: String,
    role: Role,
    created_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct AuditEntries {
    entries: Vec<AuditEntry>,
}

/// Something that somebody did, or was refused.
#[derive(JsonSchema)]
pub(super) struct AuditEntry {
    id: String,
    at: Time,
    actor: Option<String>,
    /// `session`, `token`, `service` or `none`.
    credential: String,
    operation: String,
    target: String,
    status: u16,
    request_id: Option<String>,
    address: Option<String>,
}

#[derive(JsonSchema)]
pub(super) struct Machines {
    machines: Vec<Machine>,
    /// Send it as `after` to get the next page.
    next: Option<MachineName>,
}

/// A machine.
#[derive(JsonSchema)]
pub(super) struct Machine {
    id: MachineId,
    name: MachineName,
    org: OrgSlug,
    state: MachineState,
    /// Why it is in this state, for people.
    reason: String,
    /// Since when.
    state_at: Time,
    runtime: RuntimeType,
    size: String,
    region: String,
    /// The port behind `url`.
    app_port: u16,
    /// Seconds of nothing after which it hibernates.
    idle_seconds: u32,
    /// Whether load on its processors keeps it awake.
    cpu_counts: bool,
    url: String,
    /// Whoever created it, while they have an account.
    owner: Option<MachineOwner>,
    /// Grows when it is restored to a checkpoint: what was let in before is not any more.
    generation: u32,
    /// Grows with every change of the record: of two sights of it, the one with the higher number is newer.
    version: u64,
    created_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct MachineOwner {
    account_id: AccountId,
    name: String,
}

#[derive(JsonSchema)]
pub(super) struct MachineEvents {
    events: Vec<MachineEvent>,
    /// Send it as `before` to get the next page.
    next: Option<String>,
}

/// Something that happened to a machine.
#[derive(JsonSchema)]
pub(super) struct MachineEvent {
    id: MachineId,
    at: Time,
    kind: String,
    detail: String,
    /// What brought it about; null for what happened before this was written down.
    cause: Option<Cause>,
    /// Who did, where it was a person.
    actor: Option<String>,
    machine: EventMachine,
}

/// The machine that it happened to.
#[derive(JsonSchema)]
pub(super) struct EventMachine {
    id: MachineId,
    name: MachineName,
}

#[derive(JsonSchema)]
pub(super) struct Checkpoints {
    /// Newest first.
    checkpoints: Vec<Checkpoint>,
    /// Most of them that a machine can have. Those that failed do not count.
    limit: u32,
}

/// A machine's files as they were at a time. Memory is not in it, nor are services, ports, settings.
#[derive(JsonSchema)]
pub(super) struct Checkpoint {
    id: CheckpointId,
    /// The runtime's name of it, once it is made.
    name: Option<String>,
    /// Words of whoever made it.
    comment: String,
    state: CheckpointState,
    /// What should be known of it, for people: why it failed, or what may be missing in it.
    reason: String,
    /// The machine's generation when it was ordered.
    generation: u32,
    /// Who made it, while they have an account.
    created_by: Option<String>,
    created_at: Time,
    made_at: Option<Time>,
}

/// What goes on with a checkpoint. Only one of a machine's is not `ready` or `failed` at a time.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum CheckpointState {
    Making,
    Ready,
    Restoring,
    Deleting,
    Failed,
}

#[derive(JsonSchema)]
pub(super) struct Holds {
    /// Those that last, the first to end first.
    holds: Vec<Hold>,
}

/// What keeps an awake machine awake until a time.
#[derive(JsonSchema)]
pub(super) struct Hold {
    id: HoldId,
    /// What for, in the words of whoever took it.
    reason: String,
    /// Who took it, while they have an account.
    created_by: Option<String>,
    created_at: Time,
    until: Time,
}

/// Why a machine is awake or asleep.
#[derive(JsonSchema)]
pub(super) struct Why {
    state: MachineState,
    /// Why it is in this state, for people.
    reason: String,
    /// Since when.
    since: Time,
    /// Seconds of nothing after which it hibernates.
    idle_seconds: u32,
    /// The newest line of its history: what led here, and who caused it.
    last_change: Option<MachineEvent>,
    /// What it is to be: `running`, `asleep`, `stopped` or `deleted`; null when its state says all.
    desired: Option<String>,
    /// Holds that last. They keep an awake machine awake and wake none.
    holds: Vec<Hold>,
    /// Whether the machine's gateway answered. Where it did not, what follows is empty and the rest is the record's.
    live: bool,
    /// What its agent last saw that is worth staying awake for.
    last_activity: Option<LastActivity>,
    /// Tasks of programs in it that keep it awake.
    tasks: Vec<String>,
    /// Services that keep it awake while they run.
    services: Vec<String>,
    /// When it hibernates if nothing happens; null when it is not awake, or a task or a service keeps it awake.
    sleeps_at: Option<Time>,
    /// What would change its state, for people.
    changes: Vec<String>,
}

#[derive(JsonSchema)]
pub(super) struct LastActivity {
    /// `terminal`, `request`, `command`, `cpu`, or `other`.
    kind: String,
    at: Time,
}

#[derive(JsonSchema)]
pub(super) struct Variables {
    variables: Vec<Variable>,
}

/// A variable of a machine.
#[derive(JsonSchema)]
pub(super) struct Variable {
    name: String,
    /// Whether its value is write-only.
    secret: bool,
    /// Its value; null for a secret, and for viewers.
    value: Option<String>,
    /// Who set it last, while they are a member.
    updated_by: Option<String>,
    updated_at: Time,
}

#[derive(JsonSchema)]
pub(super) struct Services {
    services: Vec<Service>,
}

/// A service, and what it was last seen doing.
#[derive(JsonSchema)]
pub(super) struct Service {
    #[schemars(flatten)]
    definition: ServiceDefinition,
    status: Option<ServiceStatus>,
}

/// What a service was last seen doing.
#[derive(JsonSchema)]
pub(super) struct ServiceStatus {
    name: String,
    state: ServiceState,
    /// Its process, while there is one.
    #[schemars(default)]
    pid: Option<u32>,
    /// How often it was started again since it was last started by hand or by a wake.
    #[schemars(default)]
    restarts: u32,
    /// What is wrong: a sentence for people, such as `exited with code 1` or `not ready after 60 s`.
    #[schemars(default)]
    error: Option<String>,
    /// Whether those that need it may start.
    #[schemars(default)]
    ready: bool,
    /// What it waits for before it starts.
    #[schemars(default)]
    waiting_on: Vec<Unready>,
    /// Whether the machine does not hibernate by itself now because of it.
    #[schemars(default)]
    keeps_awake: bool,
    /// How its processes are found, since it was last started.
    #[schemars(default)]
    containment: Option<Containment>,
    /// How its process ended, newest first, ten at most.
    exits: Vec<ServiceExit>,
}

/// One end of a service's process.
#[derive(JsonSchema)]
pub(super) struct ServiceExit {
    at: Time,
    /// Its exit code, where no signal ended it.
    #[schemars(default)]
    code: Option<i32>,
    /// The signal that ended it.
    #[schemars(default)]
    signal: Option<i32>,
    /// For how long it had run, in milliseconds.
    ran_ms: u64,
    /// Whether it had been told to end.
    ordered: bool,
}

#[derive(JsonSchema)]
pub(super) struct Ports {
    ports: Vec<Port>,
}

/// A named port.
#[derive(JsonSchema)]
pub(super) struct Port {
    port: u16,
    label: String,
    url: String,
}

#[derive(JsonSchema)]
pub(super) struct Terminals {
    terminals: Vec<Terminal>,
}

/// A terminal session.
#[derive(JsonSchema)]
pub(super) struct Terminal {
    id: TerminalId,
    name: String,
    state: TerminalState,
    /// Where its shell started; the home directory when absent.
    directory: Option<String>,
    created_at: Time,
    ended_at: Option<Time>,
    /// How its shell ended, once that is known.
    end: Option<TerminalEnd>,
    /// The name of whoever opened it, while they are a member.
    created_by: Option<String>,
}

/// Whether a terminal can still be used. One that has ended is listed for a day.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum TerminalState {
    Open,
    Ended,
}
