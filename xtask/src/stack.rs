//! A whole `SnapVM` on this machine: Postgres, `PgBouncer`, `spritehost` and the Worker in workerd.
//!
//! `cargo xtask dev` runs one whose state is kept; every test starts a private one, on ports of its own, with its
//! state in a temporary folder. Dropping a [`Stack`] kills everything it started, and so does the end of the process
//! that holds it, however it ends. Each component can be stopped, killed and started again by itself.
//!
//! What is absent on purpose: production runs none of this, and nothing here is a mock. The Worker, the migrations and
//! `spritehost` are the ones that are deployed.

mod builder;
mod component;
mod pgbouncer;
mod postgres;

use std::path::PathBuf;

use anyhow::Result;

pub use builder::StackBuilder;
pub use component::Component;

use crate::ports::ReservedPort;

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
#[derive(Debug)]
pub struct Stack {
    /// Ways into the database.
    pub database: DatabaseUrls,
    /// The database server.
    pub postgres: Component,
    /// The pooler before it.
    pub pgbouncer: Component,
    /// Where this stack keeps everything; removed on drop unless the caller chose it.
    pub dir: PathBuf,
    keep_dir: bool,
    _ports: Vec<ReservedPort>,
}

impl Stack {
    /// Describes a stack to start.
    #[must_use]
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    /// Stops everything in order: first what uses, then what is used.
    ///
    /// # Errors
    /// When the kernel doesn't say how a program ended.
    pub async fn stop(&self) -> Result<()> {
        self.pgbouncer.stop().await?;
        self.postgres.stop().await
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if !self.keep_dir {
            // The programs still run; what they write now is lost with them. A leftover is only a temporary folder.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Our search path with the administrators' folders, where Debian puts some programs and users' paths lack them.
pub(crate) fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}
