//! The runtime behind the machines of a stack, as an operator sees it: the Sprites API of its `spritehost`, the order
//! book of its failures, and the host's own view of a sprite's processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Answer, Client, Credential};
use crate::people::text;
use crate::world::{Site, World};

/// A client of the Sprites API with the organization's token.
#[derive(Debug, Clone)]
pub struct Sprites {
    client: Client,
    operator: PathBuf,
}

impl World {
    /// The runtime of this stack.
    pub fn sprites(&self) -> Sprites {
        let host = self.stack.spritehost.as_ref().expect("a stack with a runtime");
        let port = host.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        // Answers of another API are not held against our contract: its host is none of ours.
        let site = Arc::new(Site { port, host: String::new(), origin: host.url.clone() });
        let client = Client::new(site, Credential::Token(host.token.clone()));
        Sprites { client, operator: host.dir.join("operator.sock") }
    }
}

impl Sprites {
    async fn ask(&self, method: &'static str, path: &str, body: Option<Value>) -> Answer {
        let request = self.client.request(method, path).header("host", "sprites");
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    }

    /// `cold`, `warm` or `running`; nothing when there is no such sprite. Does not wake it.
    pub async fn status(&self, name: &str) -> Option<String> {
        let answer = self.ask("GET", &format!("/v1/sprites/{name}"), None).await;
        (answer.status == 200).then(|| text(&answer.json()["status"]))
    }

    /// The names of all sprites that begin so.
    pub async fn names(&self, prefix: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("/v1/sprites?prefix={prefix}"), None).await.expect(200);
        let sprites = answer["sprites"].as_array().expect("a list").clone();
        sprites.iter().map(|sprite| text(&sprite["name"])).filter(|name| name.starts_with(prefix)).collect()
    }

    /// A sprite as the API has it.
    pub async fn get(&self, name: &str) -> Value {
        self.ask("GET", &format!("/v1/sprites/{name}"), None).await.expect(200)
    }

    /// Makes a sprite, as somebody else who has the account's token.
    pub async fn create(&self, name: &str, labels: &Value) -> Value {
        self.ask("POST", "/v1/sprites", Some(json!({"name": name, "labels": labels}))).await.expect(201)
    }

    /// Deletes a sprite behind everybody's back.
    pub async fn delete(&self, name: &str) {
        self.ask("DELETE", &format!("/v1/sprites/{name}"), None).await.expect(204);
    }

    /// What a sprite may reach.
    pub async fn network_policy(&self, name: &str) -> Value {
        self.ask("GET", &format!("/v1/sprites/{name}/policy/network"), None).await.expect(200)["rules"].clone()
    }

    /// Sets who may use a sprite's URL: `sprite` or `public`.
    pub async fn set_auth(&self, name: &str, auth: &str) {
        let body = json!({"url_settings": {"auth": auth}});
        self.ask("PUT", &format!("/v1/sprites/{name}"), Some(body)).await.expect(200);
    }

    /// A service's definition, as it was put.
    pub async fn service(&self, sprite: &str, service: &str) -> Value {
        self.ask("GET", &format!("/v1/sprites/{sprite}/services/{service}"), None).await.expect(200)
    }

    /// Defines a service and starts it; one of that name is stopped first.
    pub async fn put_service(&self, sprite: &str, service: &str, definition: Value) {
        let path = format!("/v1/sprites/{sprite}/services/{service}?duration=0s");
        let answer = self.ask("PUT", &path, Some(definition)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Deletes a service, which is stopped first.
    pub async fn delete_service(&self, sprite: &str, service: &str) {
        self.ask("DELETE", &format!("/v1/sprites/{sprite}/services/{service}"), None).await.expect(204);
    }

    /// All checkpoints of a sprite, as the runtime lists them.
    pub async fn checkpoints(&self, sprite: &str) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/v1/sprites/{sprite}/checkpoints"), None).await.expect(200);
        answer.as_array().expect("a list").clone()
    }

    /// Deletes a checkpoint, past everybody who knows of it.
    pub async fn delete_checkpoint(&self, sprite: &str, name: &str) {
        self.ask("DELETE", &format!("/v1/sprites/{sprite}/checkpoints/{name}"), None).await.expect(204);
    }

    /// Orders a failure; see `spritehost/src/faults.rs`.
    pub async fn fail(&self, operation: &str, when: &str, times: u32, answer: Value) {
        let order = json!({"operation": operation, "when": when, "times": times, "answer": answer}).to_string();
        self.order("PUT", &order).await;
    }

    /// Takes all orders back.
    pub async fn stop_failing(&self) {
        self.order("DELETE", "").await;
    }

    /// How often each operation was called, by its name.
    ///
    /// # Panics
    /// When the control plane, or an agent, asked for something that `docs/sprites-protocol.md` doesn't list.
    pub async fn listed_calls(&self) -> Value {
        let answer = self.operate("GET", "/calls", "").await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let report: Value = serde_json::from_str(body).expect("a report");
        assert_eq!(report["unlisted"], json!([]), "calls that the reference doesn't list");
        report["calls"].clone()
    }

    async fn order(&self, method: &str, body: &str) {
        let answer = self.operate(method, "/faults", body).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{body}: {answer}");
    }

    async fn operate(&self, method: &str, path: &str, body: &str) -> String {
        // It is there a moment after the API.
        let connect = || async { tokio::net::UnixStream::connect(&self.operator).await.ok() };
        let mut socket = crate::until("the operator's socket", crate::PATIENCE, connect).await;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: operator\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.expect("the order is sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("an answer");
        answer
    }
}

/// The host's processes, of any sprite, that have this word among their arguments.
pub fn processes(word: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
        })
        .collect()
}

/// Whether the kernel keeps a process from running: its cgroup's freezer says so, of either version.
pub fn is_frozen(pid: u32) -> bool {
    let memberships = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    memberships.lines().any(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return false };
        let (file, word) = match controllers {
            "" => (format!("/sys/fs/cgroup{path}/cgroup.freeze"), "1"),
            "freezer" => (format!("/sys/fs/cgroup/freezer{path}/freezer.state"), "FROZEN"),
            _ => return false,
        };
        std::fs::read_to_string(Path::new(&file)).is_ok_and(|state| state.trim() == word)
    })
}
