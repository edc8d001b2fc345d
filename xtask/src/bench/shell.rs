//! A shell at the far end of something, and what is measured of it: the same for SnapVM, for its agent alone, and for
//! a peer.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;

use super::load::Times;

/// Between two keys: a fast typist's distance is ten times that, and the agent has sent everything by then.
pub(super) const BETWEEN_KEYS: Duration = Duration::from_millis(3);
/// What a flood has brought before it is interrupted: more than any window or buffer on the way holds.
const FLOOD: usize = 16_000_000;

/// A shell that somebody types at.
pub(crate) trait Shell {
    /// Types.
    async fn input(&mut self, text: &str) -> Result<()>;

    /// The next output, acknowledged on receipt.
    async fn output(&mut self) -> Result<Bytes>;

    /// The length and the last two bytes of the next output, of which nobody wants more.
    async fn skim(&mut self) -> Result<(usize, Bytes)> {
        let output = self.output().await?;
        Ok((output.len(), output.slice(output.len().saturating_sub(2)..)))
    }

    /// Reads until the output holds this text, and gives what came after it.
    async fn until(&mut self, text: &str) -> Result<Vec<u8>> {
        let mut seen = Vec::new();
        loop {
            let output = self.output().await?;
            // Only what is new, and what a text that is split in two may have begun in.
            let from = seen.len().saturating_sub(text.len());
            seen.extend_from_slice(&output);
            if let Some(place) = find(seen.get(from..).unwrap_or_default(), text.as_bytes()) {
                return Ok(seen.split_off(from + place + text.len()));
            }
        }
    }

    /// Waits for a shell's prompt.
    async fn prompt(&mut self) -> Result<()> {
        let mut end = Vec::new();
        loop {
            end.extend_from_slice(&self.skim().await?.1);
            if end.ends_with(b"$ ") || end.ends_with(b"# ") {
                return Ok(());
            }
            end.drain(..end.len().saturating_sub(2));
        }
    }

    /// How long a key takes to come back from `cat`.
    async fn echoes(&mut self, keys: usize) -> Result<Times> {
        self.input("stty raw -echo; printf 'GO''GO'; exec cat\r").await?;
        self.until("GOGO").await?;
        let mut times = Times::default();
        // The first tenth warms up.
        for key in 0..keys + keys / 10 {
            tokio::time::sleep(BETWEEN_KEYS).await;
            let before = Instant::now();
            self.input("x").await?;
            while self.output().await?.is_empty() {}
            if key >= keys / 10 {
                times.push(before.elapsed());
            }
        }
        Ok(times)
    }

    /// Bytes a second of this many bytes of output.
    async fn bulk(&mut self, bytes: usize) -> Result<f64> {
        self.input(&format!("stty raw -echo; printf 'GO''GO'; head -c {bytes} /dev/zero | tr '\\0' x\r")).await?;
        let mut rest = bytes.saturating_sub(self.until("GOGO").await?.len());
        let before = Instant::now();
        let measured = rest;
        while rest > 0 {
            rest = rest.saturating_sub(self.skim().await?.0);
        }
        Ok(super::per_second(measured, before.elapsed()))
    }

    /// How long Ctrl-C takes to bring the prompt back while `yes` floods the terminal.
    async fn interrupt(&mut self) -> Result<Duration> {
        self.input("yes\r").await?;
        let mut rest = FLOOD;
        while rest > 0 {
            rest = rest.saturating_sub(self.skim().await?.0);
        }
        let before = Instant::now();
        self.input("\x03").await?;
        self.prompt().await?;
        Ok(before.elapsed())
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
