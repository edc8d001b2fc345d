//! Which ports programs of a sprite listen on.
//!
//! The kernel tells nobody: the tables of the sprite's network namespace are looked at from time to time, for as long as
//! somebody wants to know. That keeps no sprite awake.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior};

use super::Boot;
use crate::network::DIAL_ADDRESS;

/// How often the tables are looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    inode: u64,
    pid: Option<i32>,
}

/// Watches the ports of one boot.
pub(crate) struct PortWatch {
    boot: Arc<Boot>,
    known: BTreeMap<u16, Listener>,
    tick: Interval,
}

impl PortWatch {
    /// Watches from now on.
    pub(crate) async fn start(boot: &Arc<Boot>) -> Self {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { known: look(boot, BTreeMap::new()).await, boot: boot.clone(), tick }
    }

    /// The ports as they are, in the API's form.
    pub(crate) fn list(&self) -> Vec<Value> {
        self.known.iter().map(|(port, listener)| event("port_opened", *port, listener)).collect()
    }

    /// The next changes, in the API's form. May be dropped while it waits.
    pub(crate) async fn changes(&mut self) -> Vec<Value> {
        loop {
            self.tick.tick().await;
            let now = look(&self.boot, self.known.clone()).await;
            let changes = differences(&self.known, &now);
            self.known = now;
            if !changes.is_empty() {
                return changes;
            }
        }
    }
}

fn differences(before: &BTreeMap<u16, Listener>, now: &BTreeMap<u16, Listener>) -> Vec<Value> {
    let gone = before.iter().filter(|(port, _)| !now.contains_key(port));
    let new = now.iter().filter(|(port, _)| !before.contains_key(port));
    let closed = gone.map(|(port, listener)| event("port_closed", *port, listener));
    closed.chain(new.map(|(port, listener)| event("port_opened", *port, listener))).collect()
}

fn event(kind: &str, port: u16, listener: &Listener) -> Value {
    json!({ "type": kind, "port": port, "address": listener.address.to_string(), "pid": listener.pid })
}

/// Looks at the tables; what was known keeps its process.
async fn look(boot: &Arc<Boot>, known: BTreeMap<u16, Listener>) -> BTreeMap<u16, Listener> {
    let boot = boot.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let first = boot.first_process();
        let mut now = BTreeMap::new();
        for table in ["tcp6", "tcp"] {
            let path = format!("/proc/{}/net/{table}", first.as_raw_nonzero());
            now.extend(listeners(&std::fs::read_to_string(path).unwrap_or_default()));
        }
        for (port, listener) in &mut now {
            listener.pid = known.get(port).filter(|old| old.inode == listener.inode).and_then(|old| old.pid);
        }
        if now.values().any(|listener| listener.pid.is_none()) {
            let owners = owners(&boot.processes());
            for listener in now.values_mut() {
                listener.pid = owners.get(&listener.inode).copied();
            }
        }
        now
    });
    looking.await.unwrap_or_default()
}

/// Listening sockets in the text of `/proc/PID/net/tcp` or `tcp6`, without the dial origin's.
fn listeners(text: &str) -> impl Iterator<Item = (u16, Listener)> {
    text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let is_listening = fields.nth(1)? == "0A";
        let inode = fields.nth(5)?.parse().ok()?;
        let address = address_of(address)?;
        let listener = Listener { address, inode, pid: None };
        (is_listening && address != IpAddr::V4(DIAL_ADDRESS)).then_some((u16::from_str_radix(port, 16).ok()?, listener))
    })
}

/// An address as the kernel prints it: words of four bytes in the machine's order.
fn address_of(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<u32>> = text
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .map(|word| word.map(|word| u32::from_be_bytes(word.to_ne_bytes())))
        .collect();
    match words?.as_slice() {
        [one] => Some(Ipv4Addr::from_bits(*one).into()),
        [first, second, third, fourth] => {
            let bits =
                [*first, *second, *third, *fourth].iter().fold(0_u128, |bits, word| bits << 32 | u128::from(*word));
            Some(Ipv6Addr::from_bits(bits).into())
        }
        _ => None,
    }
}

/// Which process of the guest, by its number there, holds which socket.
fn owners(processes: &[Pid]) -> HashMap<u64, i32> {
    let mut owners = HashMap::new();
    for pid in processes {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let inner =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last()?.parse().ok());
        let Some(inner) = inner else { continue };
        for entry in std::fs::read_dir(format!("{folder}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                owners.entry(inode).or_insert(inner);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn listening_sockets_are_found_and_others_are_not() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0\n\
            1: 0153FEA9:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0\n\
            2: 0100007F:A0A0 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4244 1 0 100 0 0 10 0\n";
        let found: Vec<_> = listeners(text).collect();
        let expected = Listener { address: Ipv4Addr::LOCALHOST.into(), inode: 4242, pid: None };
        assert_eq!(found, [(8080, expected.clone())], "not the dial origin, and not a connection");
        let six = "x\n0: 00000000000000000000000001000000:0050 0:0 0A 0:0 0:0 0 0 0 7 1\n";
        let found: Vec<_> = listeners(six).collect();
        assert_eq!(found[0].1.address, IpAddr::V6(Ipv6Addr::LOCALHOST));
        let now = BTreeMap::from([(8080, expected)]);
        assert_eq!(differences(&BTreeMap::new(), &now)[0]["type"], "port_opened");
        assert_eq!(differences(&now, &BTreeMap::new())[0]["type"], "port_closed");
        assert!(differences(&now, &now).is_empty());
    }

    proptest! {
        #[test]
        fn any_table_is_read(text in "\\PC{0,200}") {
            let _ = listeners(&text).count();
        }
    }
}
