//! `cargo xtask`: every task of this repository. `cargo xtask help` lists them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Value};
use xtask::build::{ALL, Target};
use xtask::database::connect::connect;
use xtask::database::migrate::{RolePassword, migrate};
use xtask::dev::{DEFAULT_PORT, DevOptions};
use xtask::setup;
use xtask::stack::Stack;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  dev [--port 8787] [--without-spritehost]
                     set up, build and run everything; Ctrl-C stops it
  test [FILTER]…     set up, build and run every test
  lint               formatting, lints, and what no file may hold

  setup              install what building and running needs
  build [worker|agent|spritehost|console]…
                     build everything, or what is named
  build check        look at the built Worker: exported classes, size
  bench first [--quick]
                     measure what was built, beside what it is compared with (--quick: only whether it runs)
  bench terminal [--quick]
                     terminals alone, in more detail: the whole path, the agent alone, and sshx where it can be had
  bench lifecycle [--quick]
                     create, sleep and wake, beside runc alone and podman where it is installed
  soak terminal [--sessions 8] [--minutes 5] [--seed S]
                     terminals under every fault, on what was built; its last line says what was done and what went wrong
  soak terminal --model [--sessions 10000] [--keystrokes 1000000] [--seed S]
                     the same in one thread, with the agent's stream alone
  soak lifecycle [--sequences 10000] [--operations 60] [--seed S]
                     a machine's life under every fault, in simulated time; its last line says what went wrong

  db migrate --database-url URL [--app-password-env NAME] [--jobs-password-env NAME]
                     bring a database up to date (the command operators run)
  db schema [--check] [--database-url URL]
                     write tests/output/schema.txt, or compare it (with a URL: to that database)
  db serve           a private, migrated, empty Postgres behind PgBouncer, until Ctrl-C
  openapi [--check]  write docs/openapi.json and the console's types, or compare them
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
        Some("dev") => dev(parser).await,
        Some("test") => test(parser),
        Some("lint") => {
            only(parser)?;
            xtask::lint::lint()?;
            Ok(ExitCode::SUCCESS)
        }
        Some("openapi") => {
            xtask::openapi::write_or_check(check_flag(parser)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some("bench") => bench(parser).await,
        Some("soak") => soak(parser).await,
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

/// The only flag of commands that write a locked file.
fn check_flag(mut parser: lexopt::Parser) -> Result<bool> {
    let mut check = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("check") => check = true,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(check)
}

async fn dev(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut options = DevOptions { port: DEFAULT_PORT, spritehost: true };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => options.port = parser.value()?.parse()?,
            Long("without-spritehost") => options.spritehost = false,
            other => return Err(other.unexpected().into()),
        }
    }
    xtask::dev::dev(options).await?;
    Ok(ExitCode::SUCCESS)
}

fn test(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut filters = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) => filters.push(value.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(if xtask::test::test(&filters)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

async fn bench(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut name, mut quick) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => quick = true,
            Value(value) if name.is_none() => name = Some(value.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    xtask::bench::bench(&name.context("which one: bench first, bench terminal, or bench lifecycle?")?, quick).await?;
    Ok(ExitCode::SUCCESS)
}

async fn soak(mut parser: lexopt::Parser) -> Result<ExitCode> {
    match parser.next()? {
        Some(Value(value)) if value == "terminal" => {}
        Some(Value(value)) if value == "lifecycle" => return soak_lifecycle(parser),
        _ => bail!("which one: soak terminal, or soak lifecycle?"),
    }
    let (mut sessions, mut minutes, mut keystrokes, mut model) = (None, 5.0_f64, 1_000_000, false);
    let mut seed = getrandom::u64().map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("sessions") => sessions = Some(parser.value()?.parse()?),
            Long("minutes") => minutes = parser.value()?.parse()?,
            Long("keystrokes") => keystrokes = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            Long("model") => model = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if model {
        let passed = xtask::soak::model(sessions.unwrap_or(10_000), keystrokes, seed)?;
        return Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let options = xtask::soak::Options {
        sessions: sessions.unwrap_or(8),
        time: Duration::from_secs_f64(minutes * 60.0),
        ..xtask::soak::Options::everything(seed)
    };
    let tally = xtask::soak::terminal(&options).await?;
    println!("{tally}");
    Ok(if tally.violated() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn soak_lifecycle(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut sequences, mut operations) = (10_000, 60);
    let mut seed = getrandom::u64().map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("sequences") => sequences = parser.value()?.parse()?,
            Long("operations") => operations = parser.value()?.parse()?,
            Long("seed") => seed = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let passed = xtask::soak::lifecycle(sequences, operations, seed)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn db(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let verb = match parser.next()? {
        Some(Value(verb)) => verb.to_string_lossy().into_owned(),
        _ => bail!("which one: db migrate, db schema or db serve?"),
    };
    match verb.as_str() {
        "migrate" => db_migrate(parser).await?,
        "schema" => db_schema(parser).await?,
        "serve" => {
            only(parser)?;
            db_serve().await?;
        }
        other => bail!("no such command: db {other}"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn db_schema(mut parser: lexopt::Parser) -> Result<()> {
    let (mut check, mut url) = (false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("check") => check = true,
            Long("database-url") => url = Some(parser.value()?.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    xtask::schema_file::write_or_check(check, url.as_deref()).await
}

/// A database to try things on: nothing of it stays.
async fn db_serve() -> Result<()> {
    let stack = Stack::builder().database_only().start().await?;
    println!("superuser  {}", stack.database.superuser);
    println!("owner      {}", stack.database.admin);
    println!("snap_app   {}   (through PgBouncer)", stack.database.app);
    println!("snap_app   {}   (directly)", stack.database.app_direct);
    println!("snap_jobs  {}   (through PgBouncer)", stack.database.jobs);
    println!("Ctrl-C ends it.");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = terminate.recv() => {}
    }
    stack.stop().await
}

async fn db_migrate(mut parser: lexopt::Parser) -> Result<()> {
    let mut url = None;
    let mut passwords = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("database-url") => url = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("app-password-env") => passwords.push(password("snap_app", &mut parser)?),
            Long("jobs-password-env") => passwords.push(password("snap_jobs", &mut parser)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let url = url.context("--database-url URL is missing")?;
    let mut client = connect(&url).await?;
    let report = migrate(&mut client, &xtask::paths::root().join("migrations"), &passwords).await?;
    for name in &report.numbered {
        println!("applied migrations/{name}");
    }
    if !report.repeatable.is_empty() {
        println!("applied migrations/api ({} files)", report.repeatable.len());
    }
    if report.numbered.is_empty() && report.repeatable.is_empty() {
        println!("the database is up to date");
    }
    Ok(())
}

fn password(role: &str, parser: &mut lexopt::Parser) -> Result<RolePassword> {
    let name = parser.value()?.to_string_lossy().into_owned();
    let password = std::env::var(&name).with_context(|| format!("the variable {name} isn't set"))?;
    Ok(RolePassword { role: role.to_owned(), password })
}
