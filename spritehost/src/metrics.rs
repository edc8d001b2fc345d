//! Numbers for an operator's Prometheus, on a loopback address of its own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use snapvm_protocol::sprites::SpriteStatus;
use tokio::net::TcpListener;

use crate::guest::lock;
use crate::host::Host;

/// How old the sizes of disks may be: measuring walks through every file.
const DISK_AGE: Duration = Duration::from_mins(1);

/// What is counted as it happens.
#[derive(Default)]
pub(crate) struct Metrics {
    /// From cold to running.
    pub boots: Timed,
    /// From cold to running, with everything ready.
    pub ready_boots: Timed,
    /// From warm to running.
    pub thaws: Timed,
    /// Frozen sprites that were dropped because memory ran short.
    pub dropped: AtomicU64,
    disks: Mutex<Option<(Instant, BTreeMap<String, u64>)>>,
}

/// How often something happened, and how long it took in all.
#[derive(Default)]
pub(crate) struct Timed {
    count: AtomicU64,
    microseconds: AtomicU64,
}

impl Timed {
    /// It happened once more.
    pub(crate) fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> (u64, f64) {
        let took = Duration::from_micros(self.microseconds.load(Ordering::Relaxed));
        (self.count.load(Ordering::Relaxed), took.as_secs_f64())
    }
}

/// Serves them.
pub(crate) fn serve(host: Arc<Host>, listener: TcpListener) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(host);
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn scrape(State(host): State<Arc<Host>>) -> impl IntoResponse {
    let disks = disks(&host).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render(&host, &disks))
}

fn render(host: &Host, disks: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
        let _ = write!(text, "# HELP spritehost_{name} {help}\n# TYPE spritehost_{name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(text, "spritehost_{name}{labels} {value}");
        }
    };
    let all = host.all();
    let statuses = [("cold", SpriteStatus::Cold), ("warm", SpriteStatus::Warm), ("running", SpriteStatus::Running)];
    let count = |status| all.iter().filter(|sprite| sprite.status() == status).count().to_string();
    let sprites = statuses.map(|(name, status)| (format!("{{status=\"{name}\"}}"), count(status)));
    family("sprites", "gauge", "Sprites by what they are doing.", sprites.into());

    let calls = host.shared.calls.counted().into_iter();
    let calls = calls.map(|((operation, status), count)| {
        (format!("{{operation=\"{operation}\",status=\"{status}\"}}"), count.to_string())
    });
    family("calls_total", "counter", "Answered calls of the API and of sprites' URLs.", calls.collect());
    let unlisted = host.shared.calls.all_unlisted().0.to_string();
    family("unlisted_calls_total", "counter", "Calls that the API doesn't have.", vec![(String::new(), unlisted)]);

    let ready = host.shared.standbys.count().to_string();
    family("ready_sprites", "gauge", "Cold sprites that are ready to boot.", vec![(String::new(), ready)]);

    let metrics = &host.shared.metrics;
    let (mut counts, mut sums) = (Vec::new(), Vec::new());
    for (from, timed) in [("cold", &metrics.boots), ("ready", &metrics.ready_boots), ("warm", &metrics.thaws)] {
        let (count, seconds) = timed.read();
        counts.push((format!("{{from=\"{from}\"}}"), count.to_string()));
        sums.push((format!("{{from=\"{from}\"}}"), seconds.to_string()));
    }
    family("wakes_total", "counter", "Sprites that were woken.", counts);
    family("wake_seconds_total", "counter", "Time that waking took.", sums);
    let dropped = metrics.dropped.load(Ordering::Relaxed).to_string();
    family("dropped_for_memory_total", "counter", "Frozen sprites dropped for memory.", vec![(String::new(), dropped)]);
    let memory = crate::memory::available().unwrap_or_default().to_string();
    family("memory_available_bytes", "gauge", "Memory of the machine that is left.", vec![(String::new(), memory)]);
    // Names of sprites hold nothing that a label would have to escape.
    let disks = disks.iter().map(|(name, bytes)| (format!("{{sprite=\"{name}\"}}"), bytes.to_string()));
    family("disk_bytes", "gauge", "Disk that a sprite takes, with its checkpoints.", disks.collect());
    text
}

/// How much disk each sprite takes; measured again when that is too old.
async fn disks(host: &Arc<Host>) -> BTreeMap<String, u64> {
    let kept = lock(&host.shared.metrics.disks).clone();
    if let Some((_, sizes)) = kept.filter(|(measured, _)| measured.elapsed() < DISK_AGE) {
        return sizes;
    }
    let names: Vec<String> = host.all().iter().map(|sprite| sprite.record().name).collect();
    let store = host.shared.store.clone();
    let measuring = tokio::task::spawn_blocking(move || {
        names.into_iter().map(|name| (name.clone(), size(&store.folder(&name)))).collect::<BTreeMap<_, _>>()
    });
    let sizes = measuring.await.unwrap_or_default();
    *lock(&host.shared.metrics.disks) = Some((Instant::now(), sizes.clone()));
    sizes
}

/// The disk that a tree takes. Files come and go meanwhile.
fn size(root: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}
