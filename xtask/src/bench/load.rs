//! The load generator: connections that stay open, each sending its next request when it has the last answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::client::Connection;

/// What one connection sends, over and over: `(path, cookie)`.
pub(crate) type Asks = Vec<(String, String)>;

/// How long requests took.
#[derive(Debug, Default, Clone)]
pub(crate) struct Times(Vec<Duration>);

/// What a load led to; loads of several rounds add up.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// How long each request took.
    pub(crate) times: Times,
    /// How long all of them took together.
    pub(crate) spent: Duration,
}

impl Times {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// A quantile, in milliseconds; 0 when there are none.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let place = ((sorted.len() as f64 * quantile) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

impl Load {
    /// Adds another round.
    pub(crate) fn add(&mut self, other: Self) {
        self.times.0.extend(other.times.0);
        self.spent += other.spent;
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a number of requests is small")]
        let count = self.times.0.len() as f64;
        count / self.spent.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Sends this many requests over as many connections as there are lists of asks, but for no longer than `bound`.
///
/// # Errors
/// When any answer is not 200: a bench of refusals measures nothing.
pub(crate) async fn run(port: u16, host: &str, asks: &[Asks], requests: usize, bound: Duration) -> Result<Load> {
    let sent = std::sync::Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in asks {
        connections.push(Connection::open(port, host).await?);
    }
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (mut connection, asks) in connections.into_iter().zip(asks.iter().cloned()) {
        let sent = sent.clone();
        tasks.spawn(async move {
            let mut times = Times::default();
            for (path, cookie) in asks.iter().cycle() {
                if sent.fetch_add(1, Ordering::Relaxed) >= requests || started.elapsed() >= bound {
                    break;
                }
                let before = Instant::now();
                let answer = connection.ask("GET", path, &[("cookie", cookie)], None).await?;
                times.push(before.elapsed());
                if answer.status != 200 {
                    bail!("{path} answered {}: {}", answer.status, answer.text());
                }
            }
            Ok(times)
        });
    }
    let mut load = Load::default();
    while let Some(times) = tasks.join_next().await {
        load.times.0.extend(times??.0);
    }
    load.spent = started.elapsed();
    Ok(load)
}
