//! `cargo xtask`: every task of this repository. `cargo xtask help` lists them.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::prelude::{Long, Value};
use xtask::build::{ALL, Target};
use xtask::database::connect::connect;
use xtask::database::migrate::{RolePassword, migrate};
use xtask::setup;
use xtask::stack::Stack;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  setup              install what building and running needs
  build [worker|agent|spritehost|console]…
                     build everything, or what is named
  build check        look at the built Worker: exported classes, size
  db migrate --database-url URL [--app-password-env NAME] [--jobs-password-env NAME]
                     bring a database up to date (the command operators run)
  db serve           a private, empty, migrated Postgres behind PgBouncer, until Ctrl-C
";

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("xtask: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode> {
    let mut parser = lexopt::Parser::from_env();
    let Some(Value(command)) = parser.next()? else {
        print!("{HELP}");
        return Ok(ExitCode::FAILURE);
    };
    match command.to_str() {
        Some("setup") => {
            only(parser)?;
            setup::setup()?;
            Ok(ExitCode::SUCCESS)
        }
        Some("build") => build(parser),
        Some("db") => db(parser).await,
        Some("help") => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("no such command: {}\n\n{HELP}", command.display()),
    }
}

/// Refuses arguments that a command doesn't take.
fn only(mut parser: lexopt::Parser) -> Result<()> {
    match parser.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(()),
    }
}

fn build(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut targets = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if value == "check" => {
                xtask::build::check()?;
                return Ok(ExitCode::SUCCESS);
            }
            Value(value) => targets.push(Target::parse(&value.to_string_lossy())?),
            other => return Err(other.unexpected().into()),
        }
    }
    xtask::build::build(if targets.is_empty() { &ALL } else { &targets })?;
    Ok(ExitCode::SUCCESS)
}

async fn db(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut verb = None;
    let mut url = None;
    let mut passwords = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("database-url") => url = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("app-password-env") => passwords.push(password("snap_app", &mut parser)?),
            Long("jobs-password-env") => passwords.push(password("snap_jobs", &mut parser)?),
            Value(value) if verb.is_none() => verb = Some(value),
            other => return Err(other.unexpected().into()),
        }
    }
    match verb.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("migrate") => db_migrate(url, &passwords).await,
        Some("serve") => db_serve().await,
        _ => bail!("which one: db migrate, or db serve?"),
    }
}

/// A database to try things on: nothing of it stays.
async fn db_serve() -> Result<ExitCode> {
    let stack = Stack::builder().database_only().start().await?;
    println!("superuser  {}", stack.database.superuser);
    println!("owner      {}", stack.database.admin);
    println!("snap_app   {}   (through PgBouncer)", stack.database.app);
    println!("snap_app   {}   (directly)", stack.database.app_direct);
    println!("snap_jobs  {}   (through PgBouncer)", stack.database.jobs);
    println!("Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    stack.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn db_migrate(url: Option<String>, passwords: &[RolePassword]) -> Result<ExitCode> {
    let url = url.context("--database-url URL is missing")?;
    let mut client = connect(&url).await?;
    let report = migrate(&mut client, &xtask::paths::root().join("migrations"), passwords).await?;
    for name in &report.numbered {
        println!("applied migrations/{name}");
    }
    if !report.repeatable.is_empty() {
        println!("applied migrations/api ({} files)", report.repeatable.len());
    }
    if report.numbered.is_empty() && report.repeatable.is_empty() {
        println!("the database is up to date");
    }
    Ok(ExitCode::SUCCESS)
}

fn password(role: &str, parser: &mut lexopt::Parser) -> Result<RolePassword> {
    let name = parser.value()?.to_string_lossy().into_owned();
    let password = std::env::var(&name).with_context(|| format!("the variable {name} isn't set"))?;
    Ok(RolePassword { role: role.to_owned(), password })
}
