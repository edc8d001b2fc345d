//! Control groups for services, where the guest lets the agent make them: in the unified hierarchy, below the group
//! that the agent is in itself, one for each service.
//!
//! A process is in its parent's group and nothing but a write to that hierarchy takes it out, so whatever a service
//! starts is found again, however it forks. No controller is used: limits are the runtime's business.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::process::{Pid, Signal};

/// `CLONE_INTO_CGROUP` of Linux.
const INTO_CGROUP: u64 = 0x2_0000_0000;
/// Deeper groups are not looked into: programs that divide themselves use one or two.
const DEPTH_MAX: usize = 8;
/// Rounds in which processes that fork while they are killed are caught, on kernels before 5.14.
const ROUNDS: usize = 20;

/// The folder that services get their groups in.
#[derive(Debug, Clone)]
pub struct Cgroups(PathBuf);

impl Cgroups {
    /// Finds or makes the folder of this name; nothing where the guest does not allow it.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let memberships = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = own_groups(&memberships, &mounts);
        own.into_iter().find_map(|own| {
            let folder = own.join(name);
            make(&folder).ok()?;
            // Moving takes the right to write to both ends' common ancestor, which is the agent's own group.
            let may_move = OpenOptions::new().write(true).open(own.join("cgroup.procs")).is_ok();
            may_move.then_some(Self(folder))
        })
    }

    /// The group of a service.
    #[must_use]
    pub fn of(&self, service: &str) -> Cgroup {
        // Not its name alone, which may be that of one of the kernel's files.
        Cgroup(self.0.join(format!("{}.service", service.replace('/', "_"))))
    }

    /// Ends everything in any of them: what an agent before this one has left.
    pub fn clear(&self) {
        for folder in folders(&self.0) {
            let group = Cgroup(folder);
            group.kill();
            group.remove();
        }
    }
}

/// The group of one service.
#[derive(Debug, Clone)]
pub struct Cgroup(PathBuf);

/// The ways into a group, for a process that has not begun its program.
#[derive(Debug)]
pub struct Entrance {
    folder: File,
    list: File,
}

impl Cgroup {
    /// Makes it if it is not there, and opens the ways into it.
    ///
    /// # Errors
    /// What the system says.
    pub fn entrance(&self) -> io::Result<Entrance> {
        make(&self.0)?;
        let list = OpenOptions::new().write(true).open(self.0.join("cgroup.procs"))?;
        Ok(Entrance { folder: File::open(&self.0)?, list })
    }

    /// Its processes, also those that divided themselves further.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mut found = Vec::new();
        gather(&self.0, DEPTH_MAX, &mut found);
        found
    }

    /// Whether any process is in it.
    #[must_use]
    pub fn lives(&self) -> bool {
        let events = fs::read_to_string(self.0.join("cgroup.events"));
        events.is_ok_and(|events| events.lines().any(|line| line == "populated 1"))
    }

    /// Kills every process in it.
    pub fn kill(&self) {
        if fs::write(self.0.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        for _ in 0..ROUNDS {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for pid in left {
                signal(pid, Signal::KILL);
            }
        }
    }

    /// Removes it, if nothing is in it any more.
    pub fn remove(&self) {
        remove(&self.0, DEPTH_MAX);
    }
}

/// How a process gets into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is made there, where the kernel can.
    Born,
    /// It goes there.
    Moved,
}

impl Entrance {
    /// To be called in a child between fork and exec: from its return on, the process that goes on is in the group.
    ///
    /// That is a child of the calling one's parent, born in the group, and the calling one ends: to move a process costs
    /// the kernel ten milliseconds, in which it waits for every processor. Where no process can be born in a group, which
    /// takes Linux 5.7, it is moved.
    ///
    /// # Errors
    /// What the system says.
    pub fn enter(&self, way: Way) -> io::Result<()> {
        let moved = || rustix::io::write(&self.list, b"0").map(|_| ()).map_err(io::Error::from);
        if way == Way::Moved {
            return moved();
        }
        let call = libc::clone_args {
            flags: u64::from(libc::CLONE_PARENT.cast_unsigned()) | INTO_CGROUP,
            pidfd: 0,
            child_tid: 0,
            parent_tid: 0,
            exit_signal: 0,
            stack: 0,
            stack_size: 0,
            tls: 0,
            set_tid: 0,
            set_tid_size: 0,
            cgroup: self.folder.as_raw_fd().cast_unsigned().into(),
        };
        #[expect(unsafe_code, reason = "nothing else makes a process in a control group")]
        // SAFETY: it shares nothing with the new process, as fork does, and both make system calls only.
        let made = unsafe { libc::syscall(libc::SYS_clone3, &raw const call, size_of::<libc::clone_args>()) };
        match made {
            0 => Ok(()),
            -1 => moved(),
            #[expect(unsafe_code, reason = "what was set up to run in the parent is not to run in this one")]
            // SAFETY: it ends the process at once.
            _ => unsafe { libc::_exit(0) },
        }
    }
}

/// Signals one process; one that is gone is fine.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<u32>) {
    let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    found.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
    if depth > 0 {
        for inner in folders(folder) {
            gather(&inner, depth - 1, found);
        }
    }
}

fn remove(folder: &Path, depth: usize) {
    if depth > 0 {
        for inner in folders(folder) {
            remove(&inner, depth - 1);
        }
    }
    let _ = fs::remove_dir(folder);
}

/// The folders that the process's own group has, from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`: one
/// for each writable mount of the unified hierarchy that shows it.
fn own_groups(memberships: &str, mounts: &str) -> Vec<PathBuf> {
    let Some(path) = memberships.lines().find_map(|line| line.strip_prefix("0::")) else { return Vec::new() };
    let mounted = mounts.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
        let is_unified = kind.split(' ').next() == Some("cgroup2");
        let is_writable = options.split(',').any(|option| option == "rw");
        let below = Path::new(path).strip_prefix(root).ok()?;
        (is_unified && is_writable).then(|| Path::new(point).join(below))
    });
    mounted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_group_is_found_where_it_is_writable() {
        let hybrid = "12:freezer:/a\n0::/\n";
        let mounts = "31 26 0:27 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
            32 26 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw\n\
            33 26 0:28 / /.sprite/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(own_groups(hybrid, mounts), [Path::new("/.sprite/cgroup")]);
        let nested = "0::/box/init\n";
        let mounts = "32 26 0:28 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
            33 26 0:28 /other /mnt rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_groups(nested, mounts), [Path::new("/sys/fs/cgroup/init")]);
        assert!(own_groups("3:pids:/\n", mounts).is_empty());
        assert!(own_groups(nested, "nonsense\n\n - cgroup2").is_empty());
    }
}
