//! What exists only while an instance runs: mounts, sockets, containers, interfaces, firewall rules.
//!
//! ```text
//! /run/spritehost/lock            held while an instance starts
//! /run/spritehost/{port}/lock     held by the instance as long as it lives
//!                       /block    the addresses it took
//!                       /runc     state of runc
//!                       /s/{name} rootfs (mount point) · bundle · guest (api.sock, init) · pid
//! ```
//!
//! An instance that is gone without its lock crashed: the next one that starts clears up after it. Its containers have
//! ended by themselves, since process 1 ends with the control socket.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shared;
use crate::arguments::Serve;
use crate::network::{self, Network, NetworkError};
use crate::store::Store;

/// On tmpfs, and short: paths of unix sockets have 107 bytes.
const ROOT: &str = "/run/spritehost";

/// Why the host could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// A file.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Another one with the same port.
    #[error("a spritehost with this port is running")]
    Running,
}

impl RuntimeError {
    pub(crate) fn at(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Makes this instance's folder and network; the lock is to be kept.
pub(super) async fn start(
    options: &Serve,
    instance: u16,
    store: &Store,
) -> Result<(PathBuf, File, Arc<Network>), RuntimeError> {
    let folder = Path::new(ROOT).join(instance.to_string());
    let at = RuntimeError::at;
    fs::create_dir_all(ROOT).map_err(at(ROOT))?;
    let starting = File::create(Path::new(ROOT).join("lock")).map_err(at(ROOT))?;
    let starting = tokio::task::spawn_blocking(move || starting.lock().map(|()| starting));
    let _starting = starting.await.map_err(io::Error::from).and_then(|locked| locked).map_err(at(ROOT))?;

    let mut taken = Vec::new();
    for entry in fs::read_dir(ROOT).map_err(at(ROOT))?.flatten() {
        let other = entry.file_name().to_str().and_then(|name| name.parse::<u16>().ok());
        if let Some(other) = other
            && !clear_if_dead(other, &entry.path()).await
        {
            if other == instance {
                return Err(RuntimeError::Running);
            }
            let block = fs::read_to_string(entry.path().join("block")).unwrap_or_default();
            taken.extend(block.trim().parse::<Ipv4Addr>().ok());
        }
    }
    fs::create_dir_all(folder.join("s")).map_err(at("runtime folder"))?;
    for path in [Path::new(ROOT), &folder, &folder.join("s")] {
        // Guests' process 1 passes through as an unprivileged user of the host; there is nothing to list for it.
        fs::set_permissions(path, fs::Permissions::from_mode(0o711)).map_err(at("runtime folder"))?;
    }
    let lock = File::create(folder.join("lock")).map_err(at("runtime folder"))?;
    lock.try_lock().map_err(|_| RuntimeError::Running)?;
    let network = Network::start(instance, options, &taken).await?;
    fs::write(folder.join("block"), network.block().to_string()).map_err(at("runtime folder"))?;

    // A copy, since the original may be replaced by a newer one while sprites run.
    let (init, partial) = (store.file("guest-init"), store.file("guest-init.partial"));
    let program = std::env::current_exe().map_err(at("own program"))?;
    fs::copy(program, &partial).map_err(at("own program"))?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755)).map_err(at("own program"))?;
    fs::rename(&partial, &init).map_err(at("own program"))?;
    Ok((folder, lock, network))
}

/// Removes what [`start`] has made; sprites are put away already.
pub(super) async fn stop(shared: &Shared) {
    shared.network.stop().await;
    clear_containers(&shared.runtime).await;
    crate::container::clear_cgroups(shared.instance);
    clear_folder(&shared.runtime);
}

/// Clears up after an instance if nobody holds its lock; whether that was so.
async fn clear_if_dead(instance: u16, folder: &Path) -> bool {
    let held = File::create(folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
    if held {
        return false;
    }
    tracing::info!(instance, "clearing up after an instance that did not stop in order");
    clear_containers(folder).await;
    network::clear(instance).await;
    crate::container::clear_cgroups(instance);
    clear_folder(folder);
    true
}

async fn clear_containers(folder: &Path) {
    let runc = folder.join("runc");
    for entry in fs::read_dir(&runc).into_iter().flatten().flatten() {
        if let Some(id) = entry.file_name().to_str() {
            crate::container::delete(&runc, id).await;
        }
    }
}

/// Removes an instance's folder, but nothing under a mount that could not be undone.
fn clear_folder(folder: &Path) {
    for entry in fs::read_dir(folder.join("s")).into_iter().flatten().flatten() {
        crate::container::clear(&entry.path());
    }
    // One that crashed early has none.
    let emptied = fs::remove_dir(folder.join("s"));
    if emptied.is_ok() || emptied.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let _ = fs::remove_dir_all(folder);
    }
}
