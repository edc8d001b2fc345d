//! One boot of a sprite as an OCI container, started by runc.
//!
//! Invariants:
//! * Guest root is user [`ID_SHIFT`] of the host; every namespace is the container's own.
//! * A container's id is used once, so the remains of an old one never meet a new one.
//! * [`Container::end`] returns when the container's processes are gone, so that nothing writes to its files any more.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

use crate::disk::Disk;

mod cgroup;
mod config;
mod delegation;

pub(crate) use config::Limits;

/// Guest id 0 is this id of the host.
pub(crate) const ID_SHIFT: u32 = 100_000;
/// How many ids a guest has.
pub(crate) const ID_COUNT: u32 = 65_536;
/// What the folder is called that the kernel needs beside an upper one, after that one's name.
pub(crate) const WORK: &str = "-work";
/// Where a guest finds the control group that it may divide, below `/.sprite`.
const DELEGATED: &str = "cgroup";
/// How long killed processes may take to be gone.
const DEATH: Duration = Duration::from_secs(10);

/// Why a container could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    /// runc refused.
    #[error("runc could not start the sprite: {0}")]
    Refused(String),
    /// runc is not there.
    #[error("runc is not installed; on Debian: apt-get install runc")]
    Missing,
    /// A file or a system call.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Processes would not stop in time.
    #[error("the sprite's processes did not {0} in time")]
    Slow(&'static str),
}

impl ContainerError {
    fn at<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// What a container is made from.
pub(crate) struct Plan<'a> {
    /// Its id: never used before.
    pub id: String,
    /// Folder of runc's own state.
    pub runc: &'a Path,
    /// A folder on tmpfs of the sprite: `rootfs`, `bundle`, `guest`.
    pub folder: &'a Path,
    /// The base image's tree.
    pub image: &'a Path,
    /// The sprite's folder on disk: its layers, `logs`.
    pub folders: &'a Path,
    /// Which layers make up its files.
    pub disk: &'a Disk,
    /// Process 1.
    pub init: &'a Path,
    /// The sprite's name.
    pub hostname: &'a str,
    /// Under which cgroup, without a slash in front.
    pub cgroup: &'a str,
    /// Limits.
    pub limits: Limits,
}

/// A started container.
pub(crate) struct Container {
    id: String,
    runc: PathBuf,
    pid: Pid,
    death: AsyncFd<OwnedFd>,
    freezer: cgroup::Freezer,
    /// Its network namespace.
    pub network: OwnedFd,
}

impl Container {
    /// Mounts the file system and starts process 1 with `control` as its stdin.
    pub(crate) async fn start(plan: Plan<'_>, control: OwnedFd) -> Result<Self, ContainerError> {
        prepare(&plan)?;
        let log_path = plan.folders.join("boot.log");
        let log = fs::File::create(&log_path).map_err(ContainerError::at("boot.log"))?;
        let pid_file = plan.folder.join("pid");
        let status = Command::new("runc")
            .arg("--root")
            .arg(plan.runc)
            .args(["run", "--detach", "--bundle"])
            .arg(plan.folder.join("bundle"))
            .arg("--pid-file")
            .arg(&pid_file)
            .arg(&plan.id)
            .env_remove(crate::arguments::TOKEN_VARIABLE)
            .stdin(Stdio::from(control))
            .stdout(log.try_clone().map_err(ContainerError::at("boot.log"))?)
            .stderr(log)
            .status()
            .await
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => ContainerError::Missing,
                _ => ContainerError::System { what: "runc", source },
            })?;
        if !status.success() {
            let words = fs::read_to_string(&log_path).unwrap_or_default();
            let words: String = words.trim().chars().take(500).collect();
            delete(plan.runc, &plan.id).await;
            return Err(ContainerError::Refused(words));
        }
        let started = adopt(&plan, &pid_file);
        if started.is_err() {
            delete(plan.runc, &plan.id).await;
        }
        started
    }

    /// Freezes every process; returns when all of them stand still.
    pub(crate) async fn freeze(&self) -> Result<(), ContainerError> {
        self.freezer.freeze().await
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) -> Result<(), ContainerError> {
        self.freezer.thaw()
    }

    /// Process 1, as the host sees it.
    pub(crate) fn first_process(&self) -> Pid {
        self.pid
    }

    /// Every process, as the host sees it.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        self.freezer.processes()
    }

    /// Whether process 1 is gone by now, whoever has been told of it so far.
    pub(crate) fn has_ended(&self) -> bool {
        let mut death = [PollFd::new(self.death.get_ref(), PollFlags::IN)];
        rustix::event::poll(&mut death, Some(&Timespec::default())).is_ok_and(|ended| ended > 0)
    }

    /// Waits until process 1 is gone.
    pub(crate) async fn ended(&self) {
        let _ = self.death.readable().await;
    }

    /// Kills every process and waits until they are gone; runc's remains are cleared away in the background.
    pub(crate) async fn end(&self) -> Result<(), ContainerError> {
        // An old-style freezer holds even killed processes: they have to be thawed to die.
        let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        let _ = self.freezer.thaw();
        let gone = tokio::time::timeout(DEATH, self.ended()).await;
        let (runc, id) = (self.runc.clone(), self.id.clone());
        tokio::spawn(async move { delete(&runc, &id).await });
        gone.map_err(|_| ContainerError::Slow("end"))
    }
}

/// Whether runc is there; asked at the start, so that nobody learns it from a failed boot.
pub(crate) async fn check() -> Result<(), ContainerError> {
    match Command::new("runc").arg("--version").output().await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ContainerError::Missing),
        Err(source) => Err(ContainerError::System { what: "runc", source }),
    }
}

/// The cgroup that a host's containers lie under, without a slash in front.
pub(crate) fn cgroup_of(instance: u16) -> String {
    format!("spritehost/{instance}")
}

/// Removes the emptied cgroups of a host that is stopping, or that crashed.
pub(crate) fn clear_cgroups(instance: u16) {
    const ROOT: &str = "/sys/fs/cgroup";
    let controllers = fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
    for root in controllers.chain(std::iter::once(PathBuf::from(ROOT))) {
        // Containers' cgroups go if runc has left any.
        delegation::remove(&root.join(cgroup_of(instance)));
    }
}

/// Kills and removes a container that may be in any state.
pub(crate) async fn delete(runc: &Path, id: &str) {
    let command = Command::new("runc").arg("--root").arg(runc).args(["delete", "--force", id]).output().await;
    if let Ok(output) = command
        && !output.status.success()
    {
        tracing::debug!(container = id, "runc delete: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
}

/// Makes the mount point and the bundle.
fn prepare(plan: &Plan<'_>) -> Result<(), ContainerError> {
    use std::os::unix::fs::chown;
    let rootfs = plan.folder.join("rootfs");
    let (upper, logs) = (plan.folders.join(&plan.disk.upper), plan.folders.join("logs"));
    let work = plan.folders.join(format!("{}{WORK}", plan.disk.upper));
    let (bundle, guest) = (plan.folder.join("bundle"), plan.folder.join("guest"));
    for folder in [&rootfs, &bundle, &guest.join("logs"), &upper, &work, &logs] {
        fs::create_dir_all(folder).map_err(ContainerError::at("folders of the sprite"))?;
    }
    for folder in [&upper, &work, &logs] {
        chown(folder, Some(ID_SHIFT), Some(ID_SHIFT)).map_err(ContainerError::at("owner of the sprite's folders"))?;
    }
    fs::write(guest.join("init"), "").map_err(ContainerError::at("mount point of process 1"))?;
    if !is_mount(&rootfs) {
        let layers = plan.disk.layers.iter().rev().map(|layer| plan.folders.join(layer));
        mount_layers(&rootfs, layers.chain(std::iter::once(plan.image.to_owned())), &upper, &work)
            .map_err(ContainerError::at("mounting the overlay"))?;
    }
    let delegated = delegation::delegate(plan.cgroup);
    if delegated.is_some() {
        let shown = guest.join(DELEGATED);
        fs::create_dir_all(&shown).map_err(ContainerError::at("mount point of the control group"))?;
    }
    let config = config::render(plan, delegated.as_deref()).to_string();
    fs::write(bundle.join("config.json"), config).map_err(ContainerError::at("config.json"))
}

/// Mounts an overlay, the uppermost of `lower` first. The kernel takes one page of options: descriptors keep the names of
/// folders short, however many there are.
fn mount_layers(target: &Path, lower: impl Iterator<Item = PathBuf>, upper: &Path, work: &Path) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    use rustix::mount::{MountFlags, mount};
    let open = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let lower = lower.map(|path| open(&path)).collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open(upper)?, open(work)?);
    let name = |folder: &OwnedFd| format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(folder));
    let names: Vec<String> = lower.iter().map(name).collect();
    let options = format!("lowerdir={},upperdir={},workdir={}", names.join(":"), name(&upper), name(&work));
    let options = std::ffi::CString::new(options)?;
    Ok(mount("overlay", target, "overlay", MountFlags::empty(), Some(options.as_c_str()))?)
}

/// Whether something is mounted on this folder.
fn is_mount(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(folder) != folder.parent().and_then(device)
}

/// Takes hold of what runc started.
#[expect(
    deprecated,
    reason = "what is unsound about it, a descriptor that somebody else closes, can't happen with an owned one"
)]
fn adopt(plan: &Plan<'_>, pid_file: &Path) -> Result<Container, ContainerError> {
    let text = fs::read_to_string(pid_file).map_err(ContainerError::at("pid file"))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| ContainerError::at("pid file")(io::Error::from(io::ErrorKind::InvalidData)))?;
    let death = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(ContainerError::at("process 1"))?;
    let number = pid.as_raw_nonzero();
    let network = fs::File::open(format!("/proc/{number}/ns/net")).map_err(ContainerError::at("network namespace"))?;
    Ok(Container {
        id: plan.id.clone(),
        runc: plan.runc.to_owned(),
        pid,
        death: AsyncFd::new(death).map_err(ContainerError::at("process 1"))?,
        freezer: cgroup::Freezer::of(pid).map_err(ContainerError::at("freezer cgroup"))?,
        network: network.into(),
    })
}

/// Removes a sprite's folder on tmpfs; nothing of it while its root can't be unmounted.
pub(crate) fn clear(folder: &Path) {
    let rootfs = folder.join("rootfs");
    while is_mount(&rootfs) {
        if rustix::mount::unmount(&rootfs, rustix::mount::UnmountFlags::DETACH).is_err() {
            return;
        }
    }
    // Not with everything below it: should it be mounted after all, this fails and nothing is lost.
    if fs::remove_dir(&rootfs).is_ok() || !rootfs.exists() {
        let _ = fs::remove_dir_all(folder);
    }
}
