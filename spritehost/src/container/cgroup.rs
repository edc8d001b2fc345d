//! Freezing and thawing a container's processes, through whichever freezer the host has.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::ContainerError;

/// How long freezing may take: a process in an uninterruptible system call delays it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container's freezer.
pub(super) enum Freezer {
    /// The freezer controller of the old hierarchy.
    Version1(PathBuf),
    /// The unified hierarchy.
    Version2(PathBuf),
}

impl Freezer {
    /// Finds the freezer of the cgroup that a process is in.
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let memberships = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero()))?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        find(&memberships, &mounts).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Freezes, and waits until everything stands still.
    pub(super) async fn freeze(&self) -> Result<(), ContainerError> {
        match self {
            Self::Version1(folder) => write(folder, "freezer.state", "FROZEN")?,
            Self::Version2(folder) => write(folder, "cgroup.freeze", "1")?,
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.is_frozen() {
            if Instant::now() > deadline {
                self.thaw()?;
                return Err(ContainerError::Slow("freeze"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Lets everything go on.
    pub(super) fn thaw(&self) -> Result<(), ContainerError> {
        match self {
            Self::Version1(folder) => write(folder, "freezer.state", "THAWED"),
            Self::Version2(folder) => write(folder, "cgroup.freeze", "0"),
        }
    }

    /// Every process in it.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let mut found = Vec::new();
        match self {
            Self::Version1(folder) => gather(folder, false, &mut found),
            // The guest may have divided it.
            Self::Version2(folder) => gather(folder, true, &mut found),
        }
        found
    }

    fn is_frozen(&self) -> bool {
        let (folder, file, line) = match self {
            Self::Version1(folder) => (folder, "freezer.state", "FROZEN"),
            Self::Version2(folder) => (folder, "cgroup.events", "frozen 1"),
        };
        fs::read_to_string(folder.join(file)).is_ok_and(|text| text.lines().any(|have| have == line))
    }
}

fn gather(folder: &Path, below: bool, found: &mut Vec<Pid>) {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
    if below {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                gather(&entry.path(), true, found);
            }
        }
    }
}

/// Where the unified hierarchy is mounted, if it is.
pub(super) fn unified() -> Option<PathBuf> {
    mounted(&fs::read_to_string("/proc/self/mountinfo").ok()?, "cgroup2", "")
}

/// Where a hierarchy of this kind and with this option is mounted.
fn mounted(mounts: &str, kind: &str, option: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let point = front.split(' ').nth(4)?;
        let mut back = back.split(' ');
        let is_it = back.next()? == kind && back.nth(1)?.split(',').any(|it| option.is_empty() || it == option);
        is_it.then(|| PathBuf::from(point))
    })
}

fn write(folder: &Path, file: &str, value: &str) -> Result<(), ContainerError> {
    fs::write(folder.join(file), value).map_err(ContainerError::at("freezer cgroup"))
}

/// The freezer's folder, from the texts of `/proc/PID/cgroup` and `/proc/self/mountinfo`.
fn find(memberships: &str, mounts: &str) -> Option<Freezer> {
    let path_in = |wanted: &str| {
        memberships.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it =
                if wanted.is_empty() { controllers.is_empty() } else { controllers.split(',').any(|it| it == wanted) };
            // A container that sits in the root has no freezer of its own.
            (is_it && path != "/").then(|| path.trim_start_matches('/').to_owned())
        })
    };
    if let (Some(path), Some(point)) = (path_in("freezer"), mounted(mounts, "cgroup", "freezer")) {
        return Some(Freezer::Version1(point.join(path)));
    }
    Some(Freezer::Version2(mounted(mounts, "cgroup2", "")?.join(path_in("")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_freezer_of_hybrid_and_of_unified_hosts() {
        let mounts = "31 26 0:27 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer\n\
            32 26 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let hybrid = find("6:freezer:/spritehost/a\n0::/\n", mounts);
        assert!(
            matches!(hybrid, Some(Freezer::Version1(path)) if path == Path::new("/sys/fs/cgroup/freezer/spritehost/a"))
        );
        let mounts = "32 26 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let unified = find("0::/spritehost/a\n", mounts);
        assert!(matches!(unified, Some(Freezer::Version2(path)) if path == Path::new("/sys/fs/cgroup/spritehost/a")));
        assert!(find("0::/\n", mounts).is_none());
        assert!(find("", "").is_none());
    }
}
