//! When the machine's memory runs short, frozen sprites are dropped: the one that has been frozen the longest first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::host::Host;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Watches memory as long as the host runs.
pub(crate) async fn watch(host: Arc<Host>) {
    let reserve = u64::from(host.shared.options.memory_reserve) * 1024 * 1024;
    loop {
        tokio::time::sleep(EVERY).await;
        if available().is_none_or(|left| left >= reserve) {
            continue;
        }
        let warm = host.all().into_iter().filter_map(|sprite| Some((sprite.warm_since()?, sprite)));
        // One at a time: the next look tells whether it was enough.
        if let Some((_, sprite)) = warm.min_by_key(|(since, _)| *since)
            && sprite.drop_if_warm().await
        {
            tracing::info!(sprite = sprite.record().name, "dropped, since memory runs short");
            host.shared.metrics.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Memory of the machine that programs can still have, in bytes.
pub(crate) fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        assert_eq!(parse("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2_097_152));
        assert_eq!(parse("MemTotal: 9 kB\n"), None);
        assert!(available().is_some_and(|left| left > 0));
    }
}
