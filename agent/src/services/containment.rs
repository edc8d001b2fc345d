//! How all processes of a service are found, signalled and ended, however they fork.
//!
//! Always by the process group of the one that was spawned. Beyond it by a control group ([`super::cgroup`]); where the
//! guest allows none, by a variable that every process of a service inherits, and by descent from one that has it. The
//! agent is a subreaper, so what loses its parent is its child, and reaped.
//!
//! What the fallback cannot find: a process that left its group, cleared its environment, and outlived every process
//! that it descends from.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::rc::Rc;

use rustix::process::{Pid, Signal};
use snapvm_protocol::services::{Containment as Kind, ServiceDefinition};
use snapvm_protocol::variables::Variables;

use super::cgroup::{Cgroup, Cgroups, signal as signal_process};
use super::process;
use crate::journal::note;

/// Tells the processes of a service apart from others.
pub const VARIABLE: &str = "SNAPVM_SERVICE";
/// Rounds in which processes that fork while they are killed are caught.
const ROUNDS: usize = 10;

/// What the services of an agent share.
#[derive(Debug, Clone)]
pub struct Grounds {
    /// Distinguishes this agent's services from those of another one.
    scope: String,
    /// Emptied when they turn out to be of no use.
    cgroups: Rc<RefCell<Option<Cgroups>>>,
}

impl Grounds {
    /// For the services of the agent of this name; by control groups where they are wanted and can be had.
    #[must_use]
    pub fn new(scope: String, by_cgroups: bool) -> Self {
        let cgroups = by_cgroups.then(|| Cgroups::find(&scope)).flatten();
        if cgroups.is_none() {
            note!("no control groups for services: their processes are found by group and descent");
        }
        Self { scope, cgroups: Rc::new(RefCell::new(cgroups)) }
    }

    /// Ends what an agent before this one has left: nobody awaits it, and its services start anew.
    pub fn clear(&self) {
        if let Some(cgroups) = self.cgroups.borrow().as_ref() {
            cgroups.clear();
        }
        let mark = format!("{VARIABLE}={}/", self.scope);
        for _ in 0..ROUNDS {
            let left: Vec<u32> = processes()
                .into_iter()
                .filter(|process| process.is_marked(&mark, false))
                .map(|process| process.pid)
                .collect();
            if left.is_empty() {
                return;
            }
            for pid in left {
                signal_process(pid, Signal::KILL);
            }
        }
    }
}

/// The processes of one service.
#[derive(Debug)]
pub struct Containment {
    grounds: Grounds,
    service: String,
}

impl Containment {
    /// Of the service of this name.
    #[must_use]
    pub fn new(grounds: &Grounds, service: &str) -> Self {
        Self { grounds: grounds.clone(), service: service.to_owned() }
    }

    /// Spawns it, with the machine's variables around its own; its output goes to `output`. Answers its process id, for [`crate::reaper::Child::of`], and how its
    /// processes will be found.
    ///
    /// # Errors
    /// What the system says, for people.
    pub fn spawn(
        &self,
        definition: &ServiceDefinition,
        variables: &Variables,
        output: &io::PipeWriter,
    ) -> io::Result<(u32, Kind)> {
        let mark = format!("{}/{}", self.grounds.scope, self.service);
        if let Some(entrance) = self.cgroup().and_then(|group| group.entrance().ok()) {
            match process::spawn(definition, variables, output, &mark, Some(entrance)) {
                Ok(pid) => return Ok((pid, Kind::Cgroup)),
                // A group that it may not enter says no more than a program that is not there: without it, it shows.
                Err(refused) => {
                    let pid = process::spawn(definition, variables, output, &mark, None).map_err(|_| refused)?;
                    note!("control groups are of no use here: processes of services are found by group and descent");
                    self.grounds.cgroups.take();
                    return Ok((pid, Kind::Descent));
                }
            }
        }
        process::spawn(definition, variables, output, &mark, None).map(|pid| (pid, Kind::Descent))
    }

    /// TERM to all of it, each process once. `group` is the process group of the one that was spawned.
    pub fn terminate(&self, group: u32) {
        process::signal(group, Signal::TERM);
        let leader = Pid::from_raw(group.cast_signed());
        let others: Vec<u32> = self.others(group).into_iter().filter(|pid| group_of(*pid) != leader).collect();
        for pid in &others {
            signal_process(*pid, Signal::TERM);
        }
        // A stopped process takes it only when it goes on.
        process::signal(group, Signal::CONT);
        for pid in others {
            signal_process(pid, Signal::CONT);
        }
    }

    /// KILL to all of it.
    pub fn kill(&self, group: u32) {
        process::signal(group, Signal::KILL);
        if let Some(cgroup) = self.cgroup() {
            return cgroup.kill();
        }
        for _ in 0..ROUNDS {
            let others = self.others(group);
            if others.is_empty() {
                return;
            }
            for pid in others {
                signal_process(pid, Signal::KILL);
            }
        }
    }

    /// Whether anything of it is left.
    #[must_use]
    pub fn lives(&self, group: u32) -> bool {
        process::group_lives(group)
            || self.cgroup().map_or_else(|| !self.others(group).is_empty(), |cgroup| cgroup.lives())
    }

    /// Nothing of it is left, and nothing will be: takes its control group away.
    pub fn close(&self) {
        if let Some(cgroup) = self.cgroup() {
            cgroup.remove();
        }
    }

    fn cgroup(&self) -> Option<Cgroup> {
        self.grounds.cgroups.borrow().as_ref().map(|cgroups| cgroups.of(&self.service))
    }

    /// Its processes, as far as they are not only known by their group.
    fn others(&self, group: u32) -> Vec<u32> {
        match self.cgroup() {
            Some(cgroup) => cgroup.processes(),
            None => descent(&processes(), group, &format!("{VARIABLE}={}/{}", self.grounds.scope, self.service)),
        }
    }
}

fn group_of(pid: u32) -> Option<Pid> {
    rustix::process::getpgid(Pid::from_raw(pid.cast_signed())).ok()
}

/// A process that has not ended.
struct Process {
    pid: u32,
    parent: u32,
    session: u32,
}

impl Process {
    /// Whether its environment has this, alone or as the beginning of a value.
    fn is_marked(&self, mark: &str, whole: bool) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        let mark = mark.as_bytes();
        environment.split(|byte| *byte == 0).any(|entry| if whole { entry == mark } else { entry.starts_with(mark) })
    }
}

/// Those that are marked or in the leader's session, and whatever descends from one of them.
fn descent(all: &[Process], leader: u32, mark: &str) -> Vec<u32> {
    let is_first = |process: &&Process| process.session == leader || process.is_marked(mark, true);
    let mut found: HashSet<u32> = all.iter().filter(is_first).map(|process| process.pid).collect();
    loop {
        let before = found.len();
        found.extend(
            all.iter().filter(|process| found.contains(&process.parent)).map(|process| process.pid).collect::<Vec<_>>(),
        );
        if found.len() == before {
            return found.into_iter().collect();
        }
    }
}

/// Every process that has not ended, but this one.
fn processes() -> Vec<Process> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).filter_map(read).collect()
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may contain anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let (parent, _group, session) = (fields.next()?, fields.next()?, fields.next()?);
    let has_ended = matches!(state, "Z" | "X");
    (!has_ended).then_some(Process { pid, parent: parent.parse().ok()?, session: session.parse().ok()? })
}
