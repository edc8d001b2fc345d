//! Starting a stack.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::pgbouncer::{self, PgBouncerOptions};
use super::postgres::{self, ADMIN, DATABASE, PostgresOptions};
use super::{DatabaseUrls, Stack};
use crate::database::connect::connect;
use crate::database::migrate::{self, RolePassword};
use crate::ports;

/// Describes a stack; [`StackBuilder::start`] starts it.
#[derive(Debug, Default)]
pub struct StackBuilder {
    state_dir: Option<PathBuf>,
    without_migrations: bool,
}

impl StackBuilder {
    /// Keeps state in this folder, durably, over starts. Without it, state is in a temporary folder.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Leaves the database empty: for tests of the migrations themselves.
    #[must_use]
    pub fn without_migrations(mut self) -> Self {
        self.without_migrations = true;
        self
    }

    /// Starts everything and returns when all of it answers.
    ///
    /// # Errors
    /// When something can't be started; whatever ran already is killed.
    pub async fn start(self) -> Result<Stack> {
        let keep_dir = self.state_dir.is_some();
        let dir = match self.state_dir {
            Some(dir) => dir,
            None => std::env::temp_dir().join(format!("snapvm-stack-{}", crate::random::hex(6)?)),
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;

        let postgres_port = ports::reserve()?;
        let pgbouncer_port = ports::reserve()?;
        let superuser_password = crate::random::hex(16)?;
        let admin_password = crate::random::hex(16)?;
        let app_password = crate::random::hex(16)?;
        let jobs_password = crate::random::hex(16)?;

        let options = PostgresOptions {
            data: &dir.join("postgres"),
            log: dir.join("postgres.log"),
            port: postgres_port.number,
            superuser_password: &superuser_password,
            durable: keep_dir,
        };
        let postgres = postgres::prepare(&options)?;
        let pgbouncer = pgbouncer::prepare(&PgBouncerOptions {
            folder: &dir,
            port: pgbouncer_port.number,
            postgres_port: postgres_port.number,
            users: &[("snap_app", &app_password), ("snap_jobs", &jobs_password)],
        })?;
        let url = |user: &str, password: &str, port: u16| {
            format!("postgresql://{user}:{password}@127.0.0.1:{port}/{DATABASE}")
        };
        let database = DatabaseUrls {
            superuser: options.superuser_url(DATABASE),
            admin: url(ADMIN, &admin_password, postgres_port.number),
            app: url("snap_app", &app_password, pgbouncer_port.number),
            jobs: url("snap_jobs", &jobs_password, pgbouncer_port.number),
            app_direct: url("snap_app", &app_password, postgres_port.number),
        };
        let superuser_url = options.superuser_url("postgres");
        let stack =
            Stack { database, postgres, pgbouncer, dir, keep_dir, _ports: vec![postgres_port, pgbouncer_port] };

        stack.postgres.start().await?;
        postgres::set_up(&superuser_url, &admin_password).await?;
        if !self.without_migrations {
            let mut admin = connect(&stack.database.admin).await?;
            let passwords = [
                RolePassword { role: "snap_app".into(), password: app_password },
                RolePassword { role: "snap_jobs".into(), password: jobs_password },
            ];
            migrate::migrate(&mut admin, &crate::paths::root().join("migrations"), &passwords).await?;
        }
        stack.pgbouncer.start().await?;
        Ok(stack)
    }
}
