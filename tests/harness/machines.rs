//! A machine with a runtime, as somebody uses it through the API.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use snapvm_protocol::ids::sprite_name;
use tokio::runtime::Runtime;
use xtask::stack::{Stack, StackBuilder};

use crate::client::Client;
use crate::people::{Org, text};
use crate::world::World;
use crate::{PATIENCE, until};

/// The program that tests run in machines as their app; what it answers is in its text.
const APP: &str = include_str!("app.py");

/// A stack with a runtime whose sprites fall asleep soon after nothing keeps them awake.
pub fn builder() -> StackBuilder {
    Stack::builder().spritehost(true).warm_after(Duration::from_secs(1)).variable("SLEEP_LOOK_SECONDS", "1,1,1,2")
}

/// Starts a stack once for all tests of a binary, on a runtime that lives as long as the process; its programs ask the
/// kernel to be ended with the process, since nothing drops a static.
pub fn shared(
    world: &'static OnceLock<World>,
    builder: impl FnOnce() -> StackBuilder + Send + 'static,
) -> &'static World {
    world.get_or_init(|| {
        std::thread::spawn(move || {
            let runtime: &'static Runtime = Box::leak(Box::new(Runtime::new().expect("a runtime")));
            runtime.block_on(World::start(builder()))
        })
        .join()
        .expect("the stack starts")
    })
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Who uses it.
    pub client: Client,
    /// Its path in the API.
    pub path: String,
    /// Its id.
    pub id: String,
    /// Its name and its organization's, as its URL has them.
    pub label: String,
}

impl Machine {
    /// Creates one, as the organization's owner.
    pub async fn create(org: &Org, name: &str) -> Self {
        let client = org.owner.client.clone();
        let made = org.machine(&client, name).await;
        let path = org.path(&format!("/machines/{name}"));
        Self { client, path, id: text(&made["id"]), label: format!("{name}--{}", org.slug) }
    }

    /// Creates one in a new organization, and waits for it.
    pub async fn running(world: &World) -> (Org, Self) {
        let org = world.org().await;
        let machine = Self::create(&org, "demo").await;
        machine.until("running").await;
        (org, machine)
    }

    /// The same machine, used by somebody else.
    #[must_use]
    pub fn used_by(&self, client: &Client) -> Self {
        Self { client: client.clone(), ..self.clone() }
    }

    /// Its record.
    pub async fn record(&self) -> Value {
        self.client.get(&self.path).await.expect(200)
    }

    /// Waits for a state. One that failed on the way to another will not get there.
    pub async fn until(&self, state: &str) -> Value {
        let reached = || async {
            let record = self.record().await;
            assert!(record["state"] != "failed" || state == "failed", "{record}");
            (record["state"] == state).then_some(record)
        };
        until(&format!("{}: {state}", self.label), PATIENCE, reached).await
    }

    /// Waits until there is no such machine.
    pub async fn until_gone(&self) {
        let gone = || async { (self.client.get(&self.path).await.status == 404).then_some(()) };
        until(&format!("{}: gone", self.label), PATIENCE, gone).await;
    }

    /// `start`, `stop` or `hibernate`.
    pub async fn order(&self, verb: &str) -> Value {
        let answer = self.client.order(format!("{}/{verb}", self.path)).await;
        assert!(answer.status < 300, "{}: {} {}", answer.asked, answer.status, answer.text());
        answer.json()
    }

    /// Orders its deletion.
    pub async fn order_deletion(&self) {
        self.client.delete(&self.path).await.expect(202);
    }

    /// A new terminal session's id.
    pub async fn terminal(&self) -> String {
        text(&self.client.post(format!("{}/terminals", self.path), json!({})).await.expect(201)["id"])
    }

    /// A terminal session as the list has it.
    pub async fn listed(&self, terminal: &str) -> Value {
        let list = self.client.get(format!("{}/terminals", self.path)).await.expect(200);
        let found = list["terminals"].as_array().expect("a list").iter().find(|other| other["id"] == terminal);
        found.unwrap_or_else(|| panic!("{terminal} is not in {list}")).clone()
    }

    /// Defines the tests' app as a service, and waits until it runs.
    pub async fn serve(&self, port: u16) {
        let definition = json!({"command": "python3", "args": ["-u", "-c", APP, port.to_string()], "http_port": port});
        self.client.put(format!("{}/services/app", self.path), definition).await.expect(200);
        self.until_service("app", "running").await;
    }

    /// Waits for a service's state.
    pub async fn until_service(&self, name: &str, state: &str) {
        let reached = || async {
            let list = self.client.get(format!("{}/services", self.path)).await.expect(200);
            let services = list["services"].as_array().expect("a list").clone();
            services.iter().any(|service| service["name"] == name && service["status"]["state"] == state).then_some(())
        };
        until(&format!("service {name}: {state}"), PATIENCE, reached).await;
    }

    /// Its history: what was done to it, newest first.
    pub async fn history(&self) -> Vec<Value> {
        let list = self.client.get(format!("{}/events", self.path)).await.expect(200);
        list["events"].as_array().expect("a list").clone()
    }

    /// Waits for an event of its history whose text has these words.
    pub async fn until_told(&self, words: &str, patience: Duration) {
        let told = || async {
            let has = |event: &Value| event["detail"].as_str().is_some_and(|detail| detail.contains(words));
            self.history().await.iter().any(has).then_some(())
        };
        until(&format!("{}: {words}", self.label), patience, told).await;
    }

    /// Its sprite's name, in its first generation.
    pub fn sprite(&self) -> String {
        sprite_name(self.id.parse().expect("an id"), 1)
    }

    /// The host of one of its apps.
    pub fn host(&self, world: &World, port: u16) -> String {
        format!("{port}--{}.apps.localhost:{}", self.label, world.site().port)
    }
}
