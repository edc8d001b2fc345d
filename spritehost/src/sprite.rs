//! A sprite: its record, what it is doing, and what keeps it awake.
//!
//! ```text
//!            awake()            idle for warm_after        frozen for cold_after
//!   Cold ───────────▶ Running ─────────────────────▶ Warm ─────────────────────▶ Cold
//!                        ◀───────────────────────────          (or process 1 dies)
//!                                  awake()
//! ```
//!
//! What a cold sprite will boot in may be ready, which nobody but the host's operator can tell: see [`standby`].
//!
//! Invariants:
//! * Transitions happen under one lock ([`Sprite::phase`]), so any number of waiters make one wake.
//! * [`Awake`] is counted while the lock is held, and a sprite is only frozen when the count is 0 under the lock: nobody
//!   who was told that it is awake finds it frozen.
//! * When a sprite stands still, every TCP connection that it had to the host is cut; nobody is told before.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use snapvm_protocol::sprites::{SpriteStatus, UrlAuth, UrlSettings};
use tokio_util::sync::CancellationToken;

use crate::container::ContainerError;
use crate::disk::TooMany;
use crate::guest::lock;
use crate::host::Shared;
use crate::limits::{Limited, Place};
use crate::network::NetworkError;
use crate::store::Record;
use crate::wire::WireError;

mod activity;
mod boot;
mod checkpoints;
pub(crate) mod exec;
pub(crate) mod files;
mod lifecycle;
mod link;
pub(crate) mod ports;
pub(crate) mod services;
pub(crate) mod sessions;
mod standby;
pub(crate) mod tasks;

pub(crate) use activity::{Activity, Guard};
pub(crate) use boot::{Boot, HOME, environment};

/// Why something could not be done with a sprite.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpriteError {
    /// It was deleted meanwhile.
    #[error("the sprite is gone")]
    Gone,
    /// The guest went away in the middle of it.
    #[error("the sprite stopped in the middle of this")]
    Stopped,
    /// The guest did not do what it was asked for in time.
    #[error("the sprite's process 1 does not answer")]
    Silent,
    /// The guest refused.
    #[error("{message}")]
    Refused {
        /// An error code such as `ENOENT`.
        code: String,
        /// A sentence.
        message: String,
    },
    /// The organization's limit.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// There is no such checkpoint.
    #[error("checkpoint not found")]
    NoCheckpoint,
    /// There can't be another checkpoint.
    #[error(transparent)]
    Full(#[from] TooMany),
    /// Its files could not be copied.
    #[error("its files could not be copied: {0}")]
    Copy(String),
    /// The container.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The control socket.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A file or a pipe.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// What a sprite is doing.
enum Phase {
    /// No processes of its own; what it will boot in may stand by.
    Cold(Option<Box<standby::Standby>>),
    /// Processes run.
    Running(Arc<Boot>),
    /// Processes stand still since then.
    Warm(Arc<Boot>, Instant),
    /// Deleted.
    Gone,
}

/// A sprite.
pub(crate) struct Sprite {
    shared: Arc<Shared>,
    record: Mutex<Record>,
    phase: tokio::sync::Mutex<Phase>,
    status: Mutex<SpriteStatus>,
    activity: Arc<activity::Activity>,
    /// Marks that keep it awake.
    pub tasks: tasks::Tasks,
    gone: CancellationToken,
    /// Its part of the limit, while it runs.
    place: Mutex<Option<Place>>,
}

/// Permission to use a running sprite, which stays awake meanwhile.
pub(crate) struct Awake {
    /// The boot that is running.
    pub boot: Arc<Boot>,
    /// Keeps it awake.
    pub guard: Guard,
}

impl Sprite {
    /// Takes on a record; the sprite is cold.
    pub(crate) fn new(shared: Arc<Shared>, record: Record) -> Arc<Self> {
        let activity = activity::Activity::new();
        let sprite = Arc::new(Self {
            shared,
            record: Mutex::new(record),
            phase: tokio::sync::Mutex::new(Phase::Cold(None)),
            status: Mutex::new(SpriteStatus::Cold),
            tasks: tasks::Tasks::new(activity.clone()),
            activity,
            gone: CancellationToken::new(),
            place: Mutex::default(),
        });
        tokio::spawn(lifecycle::watch_idleness(sprite.clone()));
        sprite
    }

    /// A copy of its record.
    pub(crate) fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// Who may use its URL.
    pub(crate) fn auth(&self) -> UrlAuth {
        lock(&self.record).auth
    }

    /// What it is doing. During a wake still what it was before.
    pub(crate) fn status(&self) -> SpriteStatus {
        *lock(&self.status)
    }

    /// What the whole host shares.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether it was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}", self.shared.options.public_host, lock(&self.record).port)
    }

    /// Changes its record, on disk first.
    pub(crate) fn change(&self, edit: impl FnOnce(&mut Record)) -> Result<(), SpriteError> {
        let mut record = lock(&self.record);
        let mut changed = record.clone();
        edit(&mut changed);
        changed.updated_at = crate::clock::now();
        self.shared.store.save(&changed)?;
        *record = changed;
        Ok(())
    }

    /// It as the API shows it.
    pub(crate) fn view(&self) -> snapvm_protocol::sprites::Sprite {
        let record = self.record();
        snapvm_protocol::sprites::Sprite {
            url: self.url(),
            id: record.id,
            name: record.name,
            organization: self.shared.options.organization.clone(),
            url_settings: Some(UrlSettings { auth: record.auth }),
            status: self.status(),
            labels: record.labels,
            created_at: Some(record.created_at),
            updated_at: Some(record.updated_at),
        }
    }

    fn set_status(&self, status: SpriteStatus) {
        *lock(&self.status) = status;
    }
}
