//! Types of the Sprites API, as far as the control plane and `spritehost` use them.
//!
//! Source of every field: `docs/sprites-protocol.md` lists the calls; names and shapes are the provider's, so they
//! are not renamed to our own words. Unknown fields are ignored on reading.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who may use a sprite's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UrlAuth {
    /// Holders of the provider's token: others get a 302 to its sign-in page.
    Sprite,
    /// Anybody.
    Public,
}

/// Settings of a sprite's URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlSettings {
    /// Who may use it.
    pub auth: UrlAuth,
}

/// What the runtime is doing with a sprite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpriteStatus {
    /// No memory: the next request boots it.
    Cold,
    /// Memory kept, processes frozen.
    Warm,
    /// Processes run.
    Running,
}

/// Size and place of a new sprite.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpriteConfig {
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_mb: Option<u32>,
    /// Virtual processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Provider's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_gb: Option<u32>,
}

/// `POST /v1/sprites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSprite {
    /// Lower-case DNS label, at most 48 characters.
    pub name: String,
    /// Settings of the URL; `sprite` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_settings: Option<UrlSettings>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Size and place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<SpriteConfig>,
    /// Variables of every process in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// `PUT /v1/sprites/{name}`: only what is given changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateSprite {
    /// New URL settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_settings: Option<UrlSettings>,
    /// New labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
}

/// A sprite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sprite {
    /// `sprite-<uuid>`: stable over pauses, new when deleted and made again under the same name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The provider's organization.
    #[serde(default)]
    pub organization: String,
    /// Its URL: requests wake it and reach the agent.
    pub url: String,
    /// Settings of the URL.
    #[serde(default)]
    pub url_settings: Option<UrlSettings>,
    /// What the runtime is doing with it.
    pub status: SpriteStatus,
    /// Free labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub updated_at: Option<String>,
}

/// `GET /v1/sprites`: a page, or with less in each item than [`Sprite`] has where `bulk_load` is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpriteList {
    /// The page's sprites.
    pub sprites: Vec<SpriteListItem>,
    /// Whether there is another page.
    #[serde(default)]
    pub has_more: bool,
    /// Where it starts.
    #[serde(default)]
    pub next_continuation_token: Option<String>,
    /// Sprites of the account that run.
    #[serde(default)]
    pub running: Option<u64>,
    /// Sprites that sleep with their memory.
    #[serde(default)]
    pub warm: Option<u64>,
    /// Sprites that sleep without.
    #[serde(default)]
    pub cold: Option<u64>,
    /// Most that may run.
    #[serde(default)]
    pub running_limit: Option<u64>,
    /// Most that may be warm.
    #[serde(default)]
    pub warm_limit: Option<u64>,
    /// The same numbers, where the provider has them there.
    #[serde(default)]
    pub org: Option<OrgCounts>,
}

/// What the account uses, and how much it may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrgCounts {
    /// Sprites that run.
    #[serde(default)]
    pub running: Option<u64>,
    /// Sprites that sleep with their memory.
    #[serde(default)]
    pub warm: Option<u64>,
    /// Sprites that sleep without.
    #[serde(default)]
    pub cold: Option<u64>,
    /// Most that may run.
    #[serde(default)]
    pub running_limit: Option<u64>,
    /// Most that may be warm.
    #[serde(default)]
    pub warm_limit: Option<u64>,
}

/// A sprite in a list: everything but the name may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpriteListItem {
    /// Its name.
    pub name: String,
    /// Its id, where the list was bulk-loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its status, where the list was bulk-loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SpriteStatus>,
    /// Its labels, where the list was bulk-loaded.
    #[serde(default)]
    pub labels: Vec<String>,
    /// RFC 3339, where the list was bulk-loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// `PUT /v1/sprites/{name}/services/{service}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutService {
    /// The program.
    pub cmd: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// Services that must run before it.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Documented as the port the URL goes to; seen to have no effect: it is always 8080.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_port: Option<u16>,
}

/// `POST /v1/sprites/{name}/checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreateCheckpoint {
    /// Words for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// `v1`, `v2`, …: each sprite counts its own.
    pub id: String,
    /// RFC 3339.
    #[serde(default)]
    pub create_time: String,
    /// The checkpoint that the files came from.
    #[serde(default)]
    pub source_id: Option<String>,
    /// Words of whoever made it.
    #[serde(default)]
    pub comment: String,
    /// Empty when it is well.
    #[serde(default)]
    pub health: String,
    /// The provider's own; nothing is known of its form.
    #[serde(default)]
    pub history: Vec<serde_json::Value>,
    /// Whether nobody asked for it.
    #[serde(default)]
    pub is_auto: bool,
}

/// A line that tells how making a checkpoint, or going back to one, goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointEvent {
    /// What kind of line.
    #[serde(rename = "type")]
    pub kind: CheckpointEventKind,
    /// A sentence.
    #[serde(default)]
    pub data: Option<String>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub time: Option<String>,
}

/// What a line about a checkpoint tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckpointEventKind {
    /// It goes on.
    Info,
    /// It failed: the last line.
    Error,
    /// It is done: the last line.
    Complete,
    /// Something newer than this list.
    #[serde(other)]
    Other,
}

/// `GET` and `POST /v1/sprites/{name}/policy/network`: what a sprite may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkPolicy {
    /// Without rules everything may be reached; with any, only what one allows.
    pub rules: Vec<NetworkRule>,
}

/// A rule about names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NetworkRule {
    /// About a name, `*.` and a name, or `*`.
    Domain {
        /// Which names.
        domain: String,
        /// What about them.
        action: NetworkAction,
    },
    /// The provider's list of that name; `defaults` is known.
    Include {
        /// Its name.
        include: String,
    },
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAction {
    /// May be reached.
    Allow,
    /// Not.
    Deny,
}

/// An error body, where it is JSON at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApiError {
    /// A code such as `sprite_creation_rate_limited`.
    #[serde(default)]
    pub error: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
    /// Seconds to wait before the next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// The limit that was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How much of it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_count: Option<u64>,
    /// The time that the limit is about, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// Whether a larger plan would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_available: Option<bool>,
    /// Where to get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_url: Option<String>,
}
