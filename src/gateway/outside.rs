//! What the objects need of the world outside, as the Worker has it: the database with the credential of the gateway,
//! the Sprites API, other objects.

mod feed;
mod saving;
mod sprite;
mod terminal;

use serde::de::DeserializeOwned;
use snapvm_durable::access::Access;
use snapvm_durable::machine_gateway::checkpoint::{Order, Outcome};
use snapvm_durable::machine_gateway::outside::{Failure, Line, Outside, Record, Verdict};
use snapvm_durable::machine_gateway::state::Machine;
use snapvm_durable::terminal_session::command::Command as TerminalCommand;
use snapvm_protocol::agent::{BINARY_PATH, NEXT_BINARY_PATH, SERVICE_NAME};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::services::{FIRST_BOOT, ServiceStatus};
use snapvm_protocol::sprites::{NetworkPolicy, Sprite};
use snapvm_protocol::tickets::{Signer, Verifier};

use super::feed::Announcer;
use super::object;
use crate::config::Config;
use crate::context::new_id;
use crate::db::{Argument, Database, Operation, Reply as DatabaseReply};
use crate::error::{Error, Problem};
use crate::platform::{self, Variables};
use crate::sealing::{Keys, Place};
use crate::secrets;
use crate::sprites::{Client, Error as SpritesError};

/// The world outside of an object.
pub struct World {
    env: worker::Env,
    config: Config,
    signer: Signer,
    verifier: Verifier,
    sprites: Client,
    credential: String,
    agent_digest: String,
    policy: Option<NetworkPolicy>,
    looks_seconds: Vec<u64>,
    announcer: Announcer,
}

impl World {
    /// Reads the deployment's variables and secrets.
    ///
    /// # Errors
    /// [`Error::Misconfigured`].
    pub fn new(env: worker::Env) -> Result<Self, Error> {
        let signer = signer(&env)?;
        let looks = env.text("SLEEP_LOOK_SECONDS").unwrap_or_else(|_| "30,60,120,300".into());
        Ok(Self {
            config: Config::read(&env)?,
            verifier: signer.verifier(),
            signer,
            sprites: Client::new(&env)?,
            credential: service_credential(&env)?,
            agent_digest: env.text("AGENT_DIGEST")?,
            policy: sprite::network_policy(&env)?,
            looks_seconds: looks.split(',').filter_map(|text| text.trim().parse().ok()).collect(),
            announcer: Announcer::new(env.clone()),
            env,
        })
    }

    async fn run(&self, name: &'static str, arguments: Vec<Argument>) -> Result<DatabaseReply, Failure> {
        let request = serde_json::json!({"apps": self.config.apps_pattern()}).to_string();
        let mut all = vec![self.credential.clone().into(), request.into()];
        all.extend(arguments);
        let unavailable = |error: Error| Failure::Unavailable(error.to_string());
        let database = Database::connect(&self.env).await.map_err(unavailable)?;
        let reply = database.call(Operation { name, arguments: all }).await.map_err(unavailable)?;
        match reply.status {
            404 => Err(Failure::NoMachine),
            409 => Err(refused(&reply)),
            status if status >= 400 => Err(Failure::Unavailable(format!("the database answered {status}"))),
            _ => {
                self.announcer.announce(&reply.changes);
                Ok(reply)
            }
        }
    }

    /// Asks as somebody else, who has a socket open, whether they may still, and what.
    async fn look(&self, name: &'static str, arguments: Vec<Argument>) -> Access<DatabaseReply> {
        let Ok(database) = Database::connect(&self.env).await else { return Access::Unknown };
        let Ok(reply) = database.call(Operation { name, arguments }).await else { return Access::Unknown };
        match reply.status {
            200 => Access::Granted(reply),
            401 => Access::Unauthenticated,
            _ => Access::Forbidden,
        }
    }
}

/// The platform's signing key.
///
/// # Errors
/// [`Error::Misconfigured`].
pub fn signer(env: &worker::Env) -> Result<Signer, Error> {
    Signer::from_seed_text(&env.text("PLATFORM_KEY_SEED")?)
        .map_err(|_| Error::Misconfigured("PLATFORM_KEY_SEED must be 32 bytes in base64url"))
}

/// The credential of our own parts, as the database knows it.
///
/// # Errors
/// [`Error::Misconfigured`].
pub fn service_credential(env: &worker::Env) -> Result<String, Error> {
    Ok(format!("j:{}", secrets::hash(env.text("SERVICE_CREDENTIAL")?.as_bytes())))
}

/// The credential of scheduled work.
///
/// # Errors
/// [`Error::Misconfigured`].
pub fn jobs_credential(env: &worker::Env) -> Result<String, Error> {
    Ok(format!("j:{}", secrets::hash(env.text("JOBS_CREDENTIAL")?.as_bytes())))
}

/// A refusal of the database.
fn refused(reply: &DatabaseReply) -> Failure {
    match serde_json::from_slice::<Problem>(reply.body.as_bytes()) {
        Ok(problem) if problem.code == "awake_limit" => Failure::NoPlace(problem.detail),
        _ => Failure::Deleting,
    }
}

fn parse<T: DeserializeOwned>(reply: &DatabaseReply) -> Result<T, Failure> {
    serde_json::from_slice(reply.body.as_bytes()).map_err(|error| Failure::Unavailable(error.to_string()))
}

/// What the runtime says of an order about a checkpoint. That what it is about is not there is its last word too.
fn verdict(answer: Result<Option<String>, SpritesError>) -> Result<Verdict, Failure> {
    match answer {
        Ok(name) => Ok(Verdict::Done(name)),
        Err(SpritesError::Missing { .. }) => Ok(Verdict::Refused("the runtime has no such checkpoint".into())),
        Err(SpritesError::Refused { words, .. }) => Ok(Verdict::Refused(words)),
        Err(error) => Err(error.into()),
    }
}

impl Outside for World {
    fn now_ms(&self) -> u64 {
        platform::now_ms()
    }

    fn random_id(&self) -> String {
        new_id().unwrap_or_default()
    }

    fn signer(&self) -> &Signer {
        &self.signer
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn looks_seconds(&self) -> Vec<u64> {
        self.looks_seconds.clone()
    }

    async fn delay(&self, milliseconds: u64) {
        worker::Delay::from(std::time::Duration::from_millis(milliseconds)).await;
    }

    fn log(&self, line: &str) {
        worker::console_log!("{line}");
    }

    async fn load(&self, machine: MachineId) -> Result<Record, Failure> {
        parse(&self.run("gateway_load", vec![machine.to_string().into()]).await?)
    }

    async fn open(&self, record: &Record, name: &str, sealed: &str) -> Result<String, Failure> {
        let place = Place { org: &record.org, machine: &record.machine.to_string(), name };
        let opened = async { Keys::read(&self.env)?.open(&place, sealed).await };
        opened.await.map_err(|error: Error| Failure::Unavailable(error.to_string()))
    }

    async fn admit(&self, machine: MachineId) -> Result<(), Failure> {
        let arguments = vec![machine.to_string().into(), self.config.offer.quota.awake.into()];
        self.run("gateway_admit", arguments).await.map(|_| ())
    }

    async fn save(&self, record: &Record, machine: &Machine, line: Option<Line<'_>>) -> Result<u64, Failure> {
        let arguments = if record.is_prepared() {
            saving::prepared(record, machine)
        } else {
            saving::machine(record, machine, line)
        };
        let name = if record.is_prepared() { "gateway_prepared" } else { "gateway_state" };
        let saved: saving::Saved = parse(&self.run(name, arguments).await?)?;
        Ok(saved.epoch)
    }

    async fn save_service(&self, machine: MachineId, status: &ServiceStatus) -> Result<(), Failure> {
        let text = serde_json::to_string(status).map_err(|error| Failure::Unavailable(error.to_string()))?;
        // Names the line of history that the end of a first boot is.
        let event = if status.name == FIRST_BOOT { Some(Outside::random_id(self)) } else { None };
        let arguments = vec![machine.to_string().into(), status.name.clone().into(), text.into(), event.into()];
        self.run("gateway_service_status", arguments).await.map(|_| ())
    }

    async fn save_terminal_end(&self, machine: MachineId, session: TerminalId, ending: &str) -> Result<(), Failure> {
        let arguments = vec![machine.to_string().into(), session.to_string().into(), ending.into()];
        self.run("gateway_terminal_ended", arguments).await.map(|_| ())
    }

    async fn save_checkpoint(&self, machine: MachineId, order: &Order, outcome: &Outcome) -> Result<(), Failure> {
        let event = new_id().map_err(|error| Failure::Unavailable(error.to_string()))?;
        let arguments = vec![
            machine.to_string().into(),
            order.id.to_string().into(),
            order.order.clone().into(),
            outcome.state.clone().into(),
            outcome.name.clone().into(),
            outcome.reason.clone().into(),
            event.into(),
            outcome.kind.clone().into(),
            outcome.detail.clone().into(),
        ];
        self.run("gateway_checkpoint", arguments).await.map(|_| ())
    }

    async fn remove(&self, machine: MachineId) -> Result<(), Failure> {
        self.run("gateway_deleted", vec![machine.to_string().into()]).await.map(|_| ())
    }

    async fn sprite(&self, record: &Record) -> Result<Sprite, Failure> {
        let found = self.sprites.get(&record.sprite_name()).await?;
        self.ours(record, found)
    }

    async fn recreate(&self, record: &Record) -> Result<u32, Failure> {
        #[derive(serde::Deserialize)]
        struct Recreated {
            generation: u32,
        }
        let arguments = vec![
            record.machine.to_string().into(),
            i32::try_from(record.generation).unwrap_or(0).into(),
            record.sprite_id.clone().into(),
        ];
        let recreated: Recreated = parse(&self.run("gateway_recreate", arguments).await?)?;
        Ok(recreated.generation)
    }

    async fn label(&self, record: &Record, sprite: &Sprite) -> Result<(), Failure> {
        let labels = self.labels(record);
        if labels.iter().all(|label| sprite.labels.contains(label)) {
            return Ok(());
        }
        Ok(self.sprites.label(&sprite.name, &labels).await?)
    }

    async fn provision(&self, record: &Record) -> Result<Sprite, Failure> {
        let wanted = self.create_request(record);
        // A create whose reply was lost has left a sprite under the same name.
        let found = match self.sprites.get(&wanted.name).await? {
            None if record.sprite_id.is_none() => Some(self.sprites.create(&wanted).await?),
            found => found,
        };
        let sprite = self.ours(record, found)?;
        if let Some(policy) = &self.policy {
            self.sprites.set_network_policy(&wanted.name, policy).await?;
        }
        self.sprites.write_file(&wanted.name, BINARY_PATH, "0755", self.agent_binary().await?).await?;
        self.sprites.put_service(&wanted.name, SERVICE_NAME, &self.agent_service(record)).await?;
        Ok(sprite)
    }

    async fn wake(&self, url: &str, ticket: &str, timeout_ms: u64) -> Result<(), Failure> {
        Ok(self.sprites.wake(url, ticket, timeout_ms).await?)
    }

    async fn restart_agent(&self, record: &Record) -> Result<(), Failure> {
        let name = record.sprite_name();
        match self.sprites.start_service(&name, SERVICE_NAME).await {
            Err(SpritesError::Missing { .. }) => Err(Failure::NoAgent),
            answer => Ok(answer?),
        }
    }

    fn agent_digest(&self) -> &str {
        &self.agent_digest
    }

    async fn deliver_agent(&self, record: &Record) -> Result<String, Failure> {
        let sprite = self.sprite(record).await?;
        self.sprites.write_file(&sprite.name, NEXT_BINARY_PATH, "0755", self.agent_binary().await?).await?;
        Ok(self.agent_digest.clone())
    }

    async fn settle_agent(&self, record: &Record) -> Result<(), Failure> {
        let sprite = self.sprite(record).await?;
        Ok(self.sprites.rename_file(&sprite.name, NEXT_BINARY_PATH, BINARY_PATH).await?)
    }

    async fn replace_agent(&self, record: &Record) -> Result<(), Failure> {
        self.deliver_agent(record).await?;
        // A running program's file is never written, only its name is given to another one.
        self.settle_agent(record).await?;
        let name = record.sprite_name();
        self.sprites.stop_service(&name, SERVICE_NAME).await?;
        Ok(self.sprites.put_service(&name, SERVICE_NAME, &self.agent_service(record)).await?)
    }

    async fn make_checkpoint(&self, record: &Record, comment: &str) -> Result<Verdict, Failure> {
        let sprite = self.sprite(record).await?;
        verdict(self.sprites.create_checkpoint(&sprite.name, comment).await.map(|made| Some(made.id)))
    }

    async fn restore_checkpoint(&self, record: &Record, name: &str) -> Result<Verdict, Failure> {
        let sprite = self.sprite(record).await?;
        // No checkpoint has this file: all of them were ordered in an older generation.
        let mark = format!("/opt/snapvm/restoring-g{}", record.generation);
        verdict(self.sprites.restore_checkpoint(&sprite.name, name, &mark).await.map(|()| None))
    }

    async fn delete_checkpoint(&self, record: &Record, name: &str) -> Result<Verdict, Failure> {
        let sprite = self.sprite(record).await?;
        match self.sprites.delete_checkpoint(&sprite.name, name).await {
            // A runtime need not be able to: it is forgotten here.
            Err(SpritesError::Refused { status: 405, .. } | SpritesError::Broken { status: 501, .. }) => {
                Ok(Verdict::Done(None))
            }
            answer => verdict(answer.map(|()| None)),
        }
    }

    async fn delete_sprite(&self, record: &Record) -> Result<(), Failure> {
        Ok(self.sprites.delete(&record.sprite_name()).await?)
    }

    async fn tell_terminal(&self, session: TerminalId, command: &TerminalCommand) -> Result<(), Failure> {
        object::tell_terminal(&self.env, session, command)
            .await
            .map_err(|error| Failure::Unavailable(error.to_string()))
    }
}
