//! A whole `SnapVM` on this machine: Postgres, `PgBouncer`, `spritehost` and the Worker in workerd.
//!
//! `cargo xtask dev` runs one whose state is kept; every test starts a private one, on ports of its own, with its
//! state in a temporary folder. Dropping a [`Stack`] kills everything it started, and so does the end of the process
//! that holds it, however it ends. Each component can be stopped, killed and started again by itself, and finds its
//! ports free.
//!
//! What is absent on purpose: production runs none of this, and nothing here is a mock. The Worker, the migrations and
//! `spritehost` are the ones that are deployed.

mod builder;
mod component;
mod config;
mod folder;
mod pgbouncer;
mod postgres;
mod releases;
mod secrets;
mod spritehost;
mod worker;
mod wrangler;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

pub use builder::StackBuilder;
pub use component::Component;
pub use releases::Releases;
pub use secrets::Secrets;
pub use spritehost::Spritehost;
pub(crate) use wrangler::Wrangler;

use crate::ports::ReservedPort;
use folder::StackFolder;

pub(crate) use postgres::link_libraries;
pub use postgres::{POSTGRES_VARIABLE, Release};

/// URLs of the database, one for each way in.
#[derive(Debug, Clone)]
pub struct DatabaseUrls {
    /// The superuser, directly: for catalog tests.
    pub superuser: String,
    /// The database's owner, directly: runs the migrations; no superuser.
    pub admin: String,
    /// The Worker's role through `PgBouncer`.
    pub app: String,
    /// The scheduled work's role through `PgBouncer`.
    pub jobs: String,
    /// The Worker's role directly, past the pooler.
    pub app_direct: String,
}

/// A running `SnapVM`; see the module's text.
// Fields are dropped in this order: what uses before what is used, the folder last.
#[derive(Debug)]
pub struct Stack {
    /// The console's and the API's origin: `http://localhost:PORT`.
    pub console: String,
    /// The Worker's port. Hosts under `apps.localhost` are app URLs.
    pub port: u16,
    /// Ways into the database.
    pub database: DatabaseUrls,
    /// What the Worker was given as secrets.
    pub secrets: Secrets,
    /// The Worker and its objects; absent in a stack that is only a database.
    pub workerd: Option<Component>,
    /// The second Worker, which hashes passwords.
    pub passwords: Option<Component>,
    /// The runtime of machines, if the stack has one.
    pub spritehost: Option<Spritehost>,
    /// The pooler before the database.
    pub pgbouncer: Component,
    /// The database server.
    pub postgres: Component,
    /// Where this stack keeps everything: logs, data, the objects' files.
    pub dir: PathBuf,
    cron_port: u16,
    _ports: Vec<ReservedPort>,
    _folder: StackFolder,
}

impl Stack {
    /// Describes a stack to start.
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    /// The Worker's process.
    ///
    /// # Errors
    /// When this stack has none.
    pub fn worker(&self) -> Result<&Component> {
        match &self.workerd {
            Some(workerd) => Ok(workerd),
            None => bail!("this stack has no Worker"),
        }
    }

    /// Calls the Worker's scheduled handler once and waits for it, as the platform does every minute.
    ///
    /// # Errors
    /// When the handler fails; the Worker's log says why.
    pub async fn run_scheduled(&self) -> Result<()> {
        let answer = crate::http::get(self.cron_port, "/", Duration::from_mins(1)).await?;
        if answer.status != 200 {
            bail!("the scheduled handler answered {}: {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// Every component with its name, in the order in which they stop.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.workerd
            .iter()
            .chain(&self.passwords)
            .chain(self.spritehost.iter().map(|spritehost| &spritehost.process))
            .chain([&self.pgbouncer, &self.postgres])
    }

    /// Stops everything in order: first what uses, then what is used.
    ///
    /// # Errors
    /// When the kernel doesn't say how a program ended.
    pub async fn stop(&self) -> Result<()> {
        for component in self.components() {
            component.stop().await?;
        }
        Ok(())
    }
}

/// Our search path with the administrators' folders, where Debian puts some programs and users' paths lack them.
pub(crate) fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}
