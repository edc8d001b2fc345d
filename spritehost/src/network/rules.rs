//! The firewall of one instance, as an nftables table of its own.

use std::net::Ipv4Addr;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{NetworkError, missing};

/// How this instance's interfaces begin; with a serial number of six digits they fit the kernel's 15 characters.
pub(super) fn interface_prefix(instance: u16) -> String {
    format!("sh{instance}-")
}

fn table(instance: u16) -> String {
    format!("inet spritehost_{instance}")
}

/// A network: its first address and the length of its prefix.
type Network = (Ipv4Addr, u8);

/// Installs the rules, in place of what a crashed instance of the same port left. The instance has `block` of the `range`
/// that all instances share: nothing in that is ever beyond a way out, also when no sprite has it just now.
pub(super) async fn install(instance: u16, block: Network, range: Network) -> Result<(), NetworkError> {
    let ways_out = ways_out().await?;
    if ways_out.is_empty() {
        tracing::warn!("this machine has no default route: sprites will not reach the internet");
    }
    let text = |(first, prefix): Network| format!("{first}/{prefix}");
    apply(&render(instance, &text(block), &text(range), &ways_out)).await
}

/// Removes the rules.
pub(super) async fn remove(instance: u16) {
    let table = table(instance);
    // Declared first, so that deleting works whether it is there or not.
    if let Err(error) = apply(&format!("table {table} {{}}\ndelete table {table}\n")).await {
        tracing::warn!(%error, "removing the firewall table");
    }
}

/// From now on an interface lets through what is opened for it, and nothing else.
pub(super) async fn police(instance: u16, interface: &str) -> Result<(), NetworkError> {
    let (table, name) = (table(instance), part(interface));
    apply(&format!(
        "add set {table} open_{name} {{ type ipv4_addr; }}
add chain {table} policy_{name}
flush chain {table} policy_{name}
add rule {table} policy_{name} ip daddr @open_{name} accept
add rule {table} policy_{name} goto refuse
add element {table} policies {{ \"{interface}\" : jump policy_{name} }}
"
    ))
    .await
}

/// Takes that back.
pub(super) async fn unpolice(instance: u16, interface: &str) -> Result<(), NetworkError> {
    let (table, name) = (table(instance), part(interface));
    // Declared first, so that deleting works whether it is there or not.
    police(instance, interface).await?;
    apply(&format!(
        "delete element {table} policies {{ \"{interface}\" }}
flush chain {table} policy_{name}
delete chain {table} policy_{name}
delete set {table} open_{name}
"
    ))
    .await
}

/// Opens addresses for an interface.
pub(super) async fn open(instance: u16, interface: &str, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
    change("add", instance, interface, addresses).await
}

/// Closes addresses that were open.
pub(super) async fn close(instance: u16, interface: &str, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
    change("delete", instance, interface, addresses).await
}

async fn change(verb: &str, instance: u16, interface: &str, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
    if addresses.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let (table, name) = (table(instance), part(interface));
    apply(&format!("{verb} element {table} open_{name} {{ {} }}\n", list.join(", "))).await
}

/// The part of an interface's name that is its own.
fn part(interface: &str) -> &str {
    interface.rsplit('-').next().unwrap_or(interface)
}

fn render(instance: u16, block: &str, range: &str, ways_out: &[String]) -> String {
    let (table, sprites) = (table(instance), format!("\"{}*\"", interface_prefix(instance)));
    let out = if ways_out.is_empty() {
        "goto refuse".to_owned()
    } else {
        let names: Vec<String> = ways_out.iter().map(|name| format!("\"{name}\"")).collect();
        format!("oifname != {{ {} }} goto refuse", names.join(", "))
    };
    format!(
        "table {table} {{}}
delete table {table}
table {table} {{
    map policies {{
        type ifname : verdict
    }}
    chain refuse {{
        meta l4proto tcp reject with tcp reset
        reject with icmpx admin-prohibited
    }}
    chain to_host {{
        type filter hook input priority -10; policy accept;
        iifname {sprites} goto refuse
    }}
    chain from_host {{
        type filter hook output priority -10; policy accept;
        oifname {sprites} ct state new meta l4proto {{ tcp, udp }} goto refuse
    }}
    chain through {{
        type filter hook forward priority -10; policy accept;
        iifname {sprites} jump from_sprite
        oifname {sprites} ct state established,related accept
        oifname {sprites} drop
    }}
    chain from_sprite {{
        meta nfproto ipv6 goto refuse
        ip saddr != {block} drop
        ip daddr {{ {range}, 169.254.0.0/16 }} goto refuse
        {out}
        iifname vmap @policies
    }}
    chain outgoing {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {block} oifname != {sprites} masquerade
    }}
}}
"
    )
}

/// Interfaces with a default route.
async fn ways_out() -> Result<Vec<String>, NetworkError> {
    let mut command = Command::new("ip");
    command.args(["-4", "-oneline", "route", "show", "default"]).stdin(Stdio::null());
    let output = command.output().await.map_err(|error| missing(error, "ip", "iproute2"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<String> = text.lines().filter_map(device).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The interface of one line of `ip route`.
fn device(line: &str) -> Option<String> {
    let name = line.split_whitespace().skip_while(|word| *word != "dev").nth(1)?;
    // It goes into a rule: nothing that could end the string.
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@'))
        .then(|| name.to_owned())
}

async fn apply(script: &str) -> Result<(), NetworkError> {
    let mut command = Command::new("nft");
    command.args(["--file", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing(error, "nft", "nftables"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).await.map_err(NetworkError::at("nft"))?;
    }
    let output = child.wait_with_output().await.map_err(NetworkError::at("nft"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(NetworkError::Failed { program: "nft", words: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_found_and_odd_names_refused() {
        assert_eq!(device("default via 192.0.2.1 dev eth0 proto dhcp"), Some("eth0".into()));
        assert_eq!(device("default dev x\"y"), None);
        assert_eq!(device("unreachable default"), None);
        assert!(interface_prefix(u16::MAX).len() + 6 <= 15);
    }
}
