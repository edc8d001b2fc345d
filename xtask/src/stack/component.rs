//! One program of a stack: it can be stopped, killed and started again, always on the same ports.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::process::{Process, ProcessSpec};

/// How often a starting program is asked whether it is ready.
const POLL: Duration = Duration::from_millis(20);

/// How a program is known to be ready.
#[derive(Debug, Clone)]
pub(crate) enum Ready {
    /// It accepts connections on this port.
    Accepts(u16),
    /// Postgres answers a query at this URL.
    Answers(String),
}

/// What a [`Component`] is made of.
#[derive(Debug)]
pub(crate) struct ComponentSpec {
    pub(crate) process: ProcessSpec,
    pub(crate) ready: Ready,
    /// How long it may take to be ready.
    pub(crate) start_patience: Duration,
    /// The signal that asks it to end in order.
    pub(crate) stop_signal: Signal,
    /// How long it may take to end before it is killed.
    pub(crate) stop_patience: Duration,
    /// Whether even a drop, which can't wait long, asks it to end in order: it has things to clean up.
    pub(crate) stop_on_drop: bool,
    /// Words in its log with which a start may fail for a moment after a kill, and is tried again.
    pub(crate) transient_failure: Option<&'static str>,
}

/// A program of a stack. Its methods take turns, so tests may share it.
#[derive(Debug)]
pub struct Component {
    spec: ComponentSpec,
    process: Mutex<Option<Process>>,
}

impl Component {
    pub(crate) fn new(spec: ComponentSpec) -> Self {
        Self { spec, process: Mutex::new(None) }
    }

    /// Starts it and waits until it is ready. Does nothing when it runs already.
    ///
    /// # Errors
    /// When it ends, or isn't ready in time; the error has the end of its log.
    pub async fn start(&self) -> Result<()> {
        let mut slot = self.process.lock().await;
        if let Some(process) = slot.as_mut()
            && process.ended()?.is_none()
        {
            return Ok(());
        }
        let deadline = Instant::now() + self.spec.start_patience;
        loop {
            let mut process = self.spec.process.spawn()?;
            match self.wait_until_ready(&mut process, deadline).await {
                Ok(()) => {
                    *slot = Some(process);
                    return Ok(());
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    let transient = self.spec.transient_failure.is_some_and(|words| text.contains(words));
                    if !transient || Instant::now() >= deadline {
                        return Err(error);
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn wait_until_ready(&self, process: &mut Process, deadline: Instant) -> Result<()> {
        loop {
            if let Some(failure) = process.failure()? {
                return Err(failure);
            }
            if self.is_ready().await {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} wasn't ready after {} s. The end of its log:\n{}",
                    self.spec.process.name,
                    self.spec.start_patience.as_secs(),
                    crate::process::tail(&self.spec.process.log)
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_ready(&self) -> bool {
        match &self.spec.ready {
            Ready::Accepts(port) => tokio::net::TcpStream::connect(("127.0.0.1", *port)).await.is_ok(),
            Ready::Answers(url) => match crate::database::connect::connect(url).await {
                Ok(client) => client.execute("select 1", &[]).await.is_ok(),
                Err(_) => false,
            },
        }
    }

    /// Asks it to end, as an operator would, and kills it if it takes too long. Does nothing when it doesn't run.
    ///
    /// # Errors
    /// When the kernel doesn't say how it ended.
    pub async fn stop(&self) -> Result<()> {
        match self.process.lock().await.take() {
            Some(process) => process.stop(self.spec.stop_signal, self.spec.stop_patience).await,
            None => Ok(()),
        }
    }

    /// Kills it and its process group with SIGKILL: a crash, a power cut.
    pub async fn kill(&self) {
        if let Some(mut process) = self.process.lock().await.take() {
            process.kill();
        }
    }

    /// Stops it in order and starts it again.
    ///
    /// # Errors
    /// As [`Component::start`].
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Sends it a signal: SIGSTOP and SIGCONT make it hang and go on.
    ///
    /// # Errors
    /// When it doesn't run.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        let slot = self.process.lock().await;
        slot.as_ref().with_context(|| format!("{} doesn't run", self.spec.process.name))?.signal(signal)
    }

    /// Its process id while it runs.
    pub async fn id(&self) -> Option<u32> {
        let mut slot = self.process.lock().await;
        let process = slot.as_mut()?;
        process.ended().ok()?.is_none().then(|| process.id())
    }

    /// Why it ended, if it ended by itself.
    ///
    /// # Errors
    /// When the kernel doesn't say.
    pub async fn failure(&self) -> Result<Option<anyhow::Error>> {
        match self.process.lock().await.as_mut() {
            Some(process) => process.failure(),
            None => Ok(None),
        }
    }

    /// The file that has everything it printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.spec.process.log
    }

    /// Everything it printed so far.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read(&self.spec.process.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.process.name
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if let Some(process) = self.process.get_mut().as_mut()
            && self.spec.stop_on_drop
        {
            process.stop_blocking(self.spec.stop_signal, self.spec.stop_patience);
        }
    }
}
