//! Resident memory of agents.

use anyhow::{Context, Result};

/// Processes whose program is an agent: the one that boots start, or one that was upgraded in place.
pub(crate) fn agents() -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end while we look.
        let line = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if matches!(line.trim(), "agent" | "agent.next") {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// Whether a process's root lies in this folder.
pub(super) fn is_of(pid: u32, folder: &std::path::Path) -> bool {
    let text = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    text("mountinfo").contains(&*folder.to_string_lossy())
}

/// Resident memory in KiB.
pub(super) fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no VmRSS")?.parse()?)
}
