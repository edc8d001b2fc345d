//! When the machine's memory runs short, cold sprites are ready to boot no more, and frozen sprites are dropped: the one
//! that has been so the longest first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::arguments::Serve;
use crate::host::Host;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Watches memory as long as the host runs.
pub(crate) async fn watch(host: Arc<Host>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if !is_short(&host.shared.options) {
            continue;
        }
        if let Some(ready) = host.shared.standbys.take_oldest() {
            ready.stand_down().await;
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

/// Whether the machine has less memory left than it should.
pub(crate) fn is_short(options: &Serve) -> bool {
    let reserve = u64::from(options.memory_reserve) * 1024 * 1024;
    available().is_some_and(|left| left < reserve)
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
