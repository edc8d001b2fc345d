//! All sprites of one spritehost.
//!
//! Invariants:
//! * A name belongs to one sprite at a time; creating and deleting go through one lock per name's entry in the table.
//! * The port of a sprite's URL is its own from its creation to its deletion, over restarts.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use snapvm_protocol::sprites::{CreateSprite, NetworkPolicy, UrlAuth};
use tokio::net::TcpListener;

use crate::arguments::Serve;
use crate::disk::Disk;
use crate::edge;
use crate::faults::Faults;
use crate::guest::lock;
use crate::limits::{Limited, Limits};
use crate::metrics::Metrics;
use crate::network::Network;
use crate::operations::Calls;
use crate::sprite::{Sprite, SpriteError};
use crate::standbys::Standbys;
use crate::store::{Record, Store};

mod runtime;

pub(crate) use runtime::RuntimeError;

/// Ports of sprites' URLs: outside the range from which the kernel gives ports to outgoing connections, so that a port
/// is still free after a restart.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What all sprites share.
pub(crate) struct Shared {
    /// The command line.
    pub options: Serve,
    /// The state folder.
    pub store: Store,
    /// Folder of this run, on tmpfs.
    pub runtime: PathBuf,
    /// The base image's tree.
    pub image: PathBuf,
    /// The network.
    pub network: Arc<Network>,
    /// The API's port: it names everything of this instance.
    pub instance: u16,
    /// Orders to fail.
    pub faults: Faults,
    /// How often each call was made.
    pub calls: Calls,
    /// What a sprite may not exceed.
    pub limits: Arc<Limits>,
    /// Which cold sprites are ready to boot.
    pub standbys: Standbys,
    /// What is counted.
    pub metrics: Metrics,
}

/// The host.
pub(crate) struct Host {
    /// What all sprites share.
    pub shared: Arc<Shared>,
    sprites: Mutex<BTreeMap<String, Arc<Sprite>>>,
    /// Names that are being created or deleted.
    busy: Mutex<HashSet<String>>,
    _locks: [File; 2],
}

/// Why a sprite could not be created or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// There is one of this name.
    #[error("a sprite of this name exists")]
    Exists,
    /// There is none of this name.
    #[error("sprite not found")]
    NotFound,
    /// The organization's limit.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// Every port is taken.
    #[error("no port left for the sprite's URL")]
    NoPort,
    /// A file.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// A sprite.
    #[error(transparent)]
    Sprite(#[from] SpriteError),
}

impl Host {
    /// Takes over the state folder, clears what a crash left behind, and finds the sprites again.
    pub(crate) async fn start(options: &Serve, instance: u16, image: PathBuf) -> Result<Arc<Self>, RuntimeError> {
        let (store, state_lock) = Store::open(&options.state).map_err(RuntimeError::at("state folder"))?;
        let (runtime, runtime_lock, network) = runtime::start(options, instance, &store).await?;
        let shared = Shared {
            options: options.clone(),
            store,
            runtime,
            image,
            network,
            instance,
            faults: Faults::default(),
            calls: Calls::default(),
            limits: Limits::new(options.running_limit, options.creation_limit),
            standbys: Standbys::new(options.ready.into()),
            metrics: Metrics::default(),
        };
        let host = Arc::new(Self {
            shared: Arc::new(shared),
            sprites: Mutex::default(),
            busy: Mutex::default(),
            _locks: [state_lock, runtime_lock],
        });
        for path in host.shared.store.trash() {
            tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path));
        }
        for record in host.shared.store.load().map_err(RuntimeError::at("state folder"))? {
            host.adopt(record).await;
        }
        Ok(host)
    }

    /// Takes on a sprite of an earlier run.
    async fn adopt(&self, record: Record) {
        let name = record.name.clone();
        match TcpListener::bind((self.shared.options.address(), record.port)).await {
            Ok(listener) => {
                let sprite = Sprite::new(self.shared.clone(), record);
                // What a crash in the middle of a checkpoint has left.
                sprite.collect_folders();
                tokio::spawn(edge::serve(sprite.clone(), listener));
                lock(&self.sprites).insert(name, sprite);
            }
            Err(error) => {
                tracing::error!(%error, sprite = name, port = record.port, "the URL's port is taken; only the API works");
                lock(&self.sprites).insert(name, Sprite::new(self.shared.clone(), record));
            }
        }
    }

    /// A sprite.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Sprite>, HostError> {
        lock(&self.sprites).get(name).cloned().ok_or(HostError::NotFound)
    }

    /// All sprites, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Sprite>> {
        lock(&self.sprites).values().cloned().collect()
    }

    /// Creates a sprite. It is cold until something wakes it.
    pub(crate) async fn create(self: &Arc<Self>, wanted: CreateSprite) -> Result<Arc<Sprite>, HostError> {
        let _reserved = self.reserve(&wanted.name).ok_or(HostError::Exists)?;
        if lock(&self.sprites).contains_key(&wanted.name) {
            return Err(HostError::Exists);
        }
        self.shared.limits.create(std::time::Instant::now())?;
        let (listener, port) = self.listen().await?;
        let (now, config) = (crate::clock::now(), wanted.config.unwrap_or_default());
        let record = Record {
            id: format!("sprite-{}", uuid::Uuid::new_v4()),
            name: wanted.name.clone(),
            port,
            auth: wanted.url_settings.map_or(UrlAuth::Sprite, |settings| settings.auth),
            labels: wanted.labels,
            environment: wanted.environment,
            memory: config.ram_mb,
            cpus: config.cpus,
            created_at: now.clone(),
            updated_at: now,
            last_running_at: None,
            services: BTreeMap::new(),
            disk: Disk::default(),
            policy: NetworkPolicy::default(),
        };
        self.shared.store.save(&record)?;
        let sprite = Sprite::new(self.shared.clone(), record);
        tokio::spawn(edge::serve(sprite.clone(), listener));
        lock(&self.sprites).insert(wanted.name, sprite.clone());
        Ok(sprite)
    }

    /// Deletes a sprite with everything in it.
    pub(crate) async fn delete(self: &Arc<Self>, name: &str) -> Result<(), HostError> {
        let _reserved = self.reserve(name).ok_or(HostError::NotFound)?;
        let sprite = self.find(name)?;
        sprite.retire().await;
        let trash = self.shared.store.discard(&sprite.record())?;
        lock(&self.sprites).remove(name);
        tokio::task::spawn_blocking(move || std::fs::remove_dir_all(trash));
        Ok(())
    }

    /// Puts every sprite away in order and removes what this run has set up.
    pub(crate) async fn stop(self: &Arc<Self>) {
        self.shared.standbys.close();
        let mut ending = tokio::task::JoinSet::new();
        for sprite in self.all() {
            let folder = self.shared.runtime.join("s").join(sprite.record().name);
            ending.spawn(async move {
                sprite.put_away(true).await;
                crate::container::clear(&folder);
            });
        }
        ending.join_all().await;
        runtime::stop(&self.shared).await;
    }

    fn reserve(self: &Arc<Self>, name: &str) -> Option<Reservation> {
        lock(&self.busy).insert(name.to_owned()).then(|| Reservation { host: self.clone(), name: name.to_owned() })
    }

    /// Listens on a port that no sprite has.
    async fn listen(&self) -> Result<(TcpListener, u16), HostError> {
        let taken: HashSet<u16> = self.all().iter().map(|sprite| sprite.record().port).collect();
        // Instances on one machine look in different places first.
        let (count, start) = (PORTS.end - PORTS.start, self.shared.instance.wrapping_mul(97));
        for step in 0..count {
            let port = PORTS.start + (start.wrapping_add(step)) % count;
            if !taken.contains(&port)
                && let Ok(listener) = TcpListener::bind((self.shared.options.address(), port)).await
            {
                return Ok((listener, port));
            }
        }
        Err(HostError::NoPort)
    }
}

/// A name that is being created or deleted.
struct Reservation {
    host: Arc<Host>,
    name: String,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.host.busy).remove(&self.name);
    }
}
