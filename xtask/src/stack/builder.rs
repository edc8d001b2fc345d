//! Starting a stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::component::Component;
use super::folder::StackFolder;
use super::pgbouncer::{self, PgBouncerOptions};
use super::postgres::{self, ADMIN, DATABASE, PostgresOptions, Release};
use super::secrets::Secrets;
use super::spritehost::{self, SpritehostOptions};
use super::worker::{self, Bundle, WorkerOptions};
use super::{DatabaseUrls, Stack};
use crate::database::connect::connect;
use crate::database::migrate::{self, RolePassword};
use crate::ports::{self, ReservedPort};

/// Describes a stack; [`StackBuilder::start`] starts it. Without any call it is the Worker and a migrated database.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent choice, set by a method of its own")]
pub struct StackBuilder {
    port: Option<u16>,
    state_dir: Option<PathBuf>,
    migrations: bool,
    worker: bool,
    main: Bundle,
    passwords: Option<Bundle>,
    assets: PathBuf,
    spritehost: bool,
    warm_after: Duration,
    cold_after: Duration,
    faults: bool,
    variables: BTreeMap<String, String>,
}

impl Default for StackBuilder {
    fn default() -> Self {
        Self {
            port: None,
            state_dir: None,
            migrations: true,
            worker: true,
            main: Bundle::built(&crate::paths::root()),
            passwords: Some(Bundle::built(&crate::paths::root().join("passwords"))),
            assets: crate::paths::assets(),
            spritehost: false,
            warm_after: Duration::from_secs(30),
            cold_after: Duration::from_mins(10),
            faults: false,
            variables: BTreeMap::new(),
        }
    }
}

impl StackBuilder {
    /// The Worker's port. Without it, a free one is taken.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Keeps state in this folder, durably, over starts. Without it, state is in a temporary folder that goes.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Whether machines have a runtime. It needs root, the base image and the built binary.
    #[must_use]
    pub fn spritehost(mut self, wanted: bool) -> Self {
        self.spritehost = wanted;
        self
    }

    /// How long a sprite may be idle before `spritehost` freezes it.
    #[must_use]
    pub fn warm_after(mut self, idle: Duration) -> Self {
        self.warm_after = idle;
        self
    }

    /// How long a frozen sprite keeps its memory.
    #[must_use]
    pub fn cold_after(mut self, frozen: Duration) -> Self {
        self.cold_after = frozen;
        self
    }

    /// Lets tests order `spritehost` to fail, over `operator.sock` in its folder.
    #[must_use]
    pub fn faults(mut self, wanted: bool) -> Self {
        self.faults = wanted;
        self
    }

    /// Sets a variable of the Worker; it wins over `wrangler.toml` and over what the stack would set.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// No Worker and no runtime: only the database, for tests of SQL.
    #[must_use]
    pub fn database_only(mut self) -> Self {
        self.worker = false;
        self
    }

    /// Leaves the database empty: for tests of the migrations themselves.
    #[must_use]
    pub fn without_migrations(mut self) -> Self {
        self.migrations = false;
        self
    }

    /// Runs another Worker, alone: the folder with its `index.js`, and its `wrangler.toml`.
    #[must_use]
    pub fn worker_bundle(mut self, modules: &Path, wrangler: &Path) -> Self {
        self.passwords = None;
        self.main = Bundle { modules: modules.to_path_buf(), wrangler: wrangler.to_path_buf() };
        self
    }

    /// Serves other static assets.
    #[must_use]
    pub fn assets(mut self, folder: &Path) -> Self {
        self.assets = folder.to_path_buf();
        self
    }

    /// Starts everything and returns when all of it answers.
    ///
    /// # Errors
    /// When something can't be started; whatever ran already is stopped.
    pub async fn start(self) -> Result<Stack> {
        let folder = match &self.state_dir {
            Some(dir) => StackFolder::kept(dir.clone())?,
            None => StackFolder::temporary()?,
        };
        let dir = folder.path().to_path_buf();
        let secrets = Secrets::load_or_create(&dir)?;
        let ports = Ports::choose(self.port)?;

        let postgres_options = PostgresOptions {
            release: Release::from_environment()?,
            data: &dir.join("postgres"),
            log: dir.join("postgres.log"),
            port: ports.postgres.number,
            superuser_password: &secrets.superuser_password,
            durable: folder.is_kept(),
        };
        let postgres = postgres::prepare(&postgres_options)?;
        let pgbouncer = pgbouncer::prepare(&PgBouncerOptions {
            folder: &dir,
            port: ports.pgbouncer.number,
            postgres_port: ports.postgres.number,
            users: &[("snap_app", &secrets.app_password), ("snap_jobs", &secrets.jobs_password)],
        })?;
        let spritehost = if self.spritehost && self.worker {
            Some(spritehost::prepare(&SpritehostOptions {
                folder: &dir,
                port: ports.spritehost.number,
                worker_port: ports.worker_number,
                token: &secrets.sprites_token,
                warm_after: self.warm_after,
                cold_after: self.cold_after,
                faults: self.faults,
            })?)
        } else {
            None
        };
        let passwords = match &self.passwords {
            Some(bundle) if self.worker => {
                Some(worker::prepare_passwords(&dir, bundle, ports.passwords.number, &secrets.password_pepper)?)
            }
            _ => None,
        };
        let workerd =
            self.worker_component(&dir, &ports, &secrets, spritehost.as_ref().map(|host| host.url.clone()))?;
        let stack = Stack {
            console: format!("http://localhost:{}", ports.worker_number),
            port: ports.worker_number,
            database: database_urls(&postgres_options, &ports, &secrets),
            secrets,
            workerd,
            passwords,
            spritehost,
            pgbouncer,
            postgres,
            dir,
            cron_port: ports.cron.number,
            _ports: ports.into_all(),
            _folder: folder,
        };
        // Boxed: it would make the future of whoever starts a stack large.
        Box::pin(self.run(&stack)).await?;
        Ok(stack)
    }

    fn worker_component(
        &self,
        dir: &Path,
        ports: &Ports,
        secrets: &Secrets,
        sprites_url: Option<String>,
    ) -> Result<Option<Component>> {
        if !self.worker {
            return Ok(None);
        }
        worker::prepare(&WorkerOptions {
            folder: dir,
            main: &self.main,
            passwords_port: self.passwords.as_ref().map(|_| ports.passwords.number),
            assets: &self.assets,
            port: ports.worker_number,
            cron_port: ports.cron.number,
            pgbouncer_port: ports.pgbouncer.number,
            secrets,
            sprites_url,
            extra: &self.variables,
        })
        .map(Some)
    }

    /// Starts the components: the database while `spritehost` starts, the Worker when both are there.
    async fn run(&self, stack: &Stack) -> Result<()> {
        let database = async {
            stack.postgres.start().await?;
            postgres::set_up(&stack.database.superuser, &stack.secrets.admin_password).await?;
            if self.migrations {
                prepare_database(stack).await?;
            }
            stack.pgbouncer.start().await
        };
        let runtime = async {
            match &stack.spritehost {
                Some(spritehost) => spritehost.process.start().await,
                None => Ok(()),
            }
        };
        let passwords = async {
            match &stack.passwords {
                Some(passwords) => passwords.start().await,
                None => Ok(()),
            }
        };
        tokio::try_join!(database, runtime, passwords)?;
        match &stack.workerd {
            Some(workerd) => workerd.start().await,
            None => Ok(()),
        }
    }
}

/// The ports of one stack. The Worker's may be the caller's choice, and is then not ours to reserve.
struct Ports {
    worker_number: u16,
    worker: Option<ReservedPort>,
    cron: ReservedPort,
    postgres: ReservedPort,
    pgbouncer: ReservedPort,
    spritehost: ReservedPort,
    passwords: ReservedPort,
}

impl Ports {
    fn choose(wanted: Option<u16>) -> Result<Self> {
        let worker = match wanted {
            Some(port) => {
                ports::require_free(port, "the Worker")?;
                None
            }
            None => Some(ports::reserve()?),
        };
        Ok(Self {
            worker_number: worker.as_ref().map_or(wanted.unwrap_or_default(), |port| port.number),
            worker,
            cron: ports::reserve()?,
            postgres: ports::reserve()?,
            pgbouncer: ports::reserve()?,
            spritehost: ports::reserve()?,
            passwords: ports::reserve()?,
        })
    }

    fn into_all(self) -> Vec<ReservedPort> {
        let mut all = vec![self.cron, self.postgres, self.pgbouncer, self.spritehost, self.passwords];
        all.extend(self.worker);
        all
    }
}

fn database_urls(postgres: &PostgresOptions<'_>, ports: &Ports, secrets: &Secrets) -> DatabaseUrls {
    let url =
        |user: &str, password: &str, port: u16| format!("postgresql://{user}:{password}@127.0.0.1:{port}/{DATABASE}");
    let (direct, pooled) = (ports.postgres.number, ports.pgbouncer.number);
    DatabaseUrls {
        superuser: postgres.superuser_url(),
        admin: url(ADMIN, &secrets.admin_password, direct),
        app: url("snap_app", &secrets.app_password, pooled),
        jobs: url("snap_jobs", &secrets.jobs_password, pooled),
        app_direct: url("snap_app", &secrets.app_password, direct),
    }
}

/// What `docs/deploy.md` tells an operator to do: migrate, set passwords, register the service credentials.
async fn prepare_database(stack: &Stack) -> Result<()> {
    let mut admin = connect(&stack.database.admin).await?;
    let passwords = [
        RolePassword { role: "snap_app".into(), password: stack.secrets.app_password.clone() },
        RolePassword { role: "snap_jobs".into(), password: stack.secrets.jobs_password.clone() },
    ];
    migrate::migrate(&mut admin, &crate::paths::root().join("migrations"), &passwords).await?;
    register(&admin, "gateway", &stack.secrets.service_credential).await?;
    register(&admin, "jobs", &stack.secrets.jobs_credential).await?;
    register(&admin, "operator", &stack.secrets.operator_credential).await
}

/// Gives a service's credential to the database, which keeps only its hash.
async fn register(admin: &Client, name: &str, credential: &str) -> Result<()> {
    let hash = Sha256::digest(credential.as_bytes()).to_vec();
    admin.execute("select authz.set_service_credential($1, $2)", &[&name, &hash]).await?;
    Ok(())
}
