//! Checkpoints of a machine, as somebody orders them through the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::machines::Machine;
use crate::until;

/// The longest that an order may take on a busy computer, faults among it.
pub const ORDER: Duration = Duration::from_secs(90);

impl Machine {
    /// All of them, newest first.
    pub async fn checkpoints(&self) -> Vec<Value> {
        let list = self.client.get(format!("{}/checkpoints", self.path)).await.expect(200);
        list["checkpoints"].as_array().expect("a list").clone()
    }

    /// Orders one, and gives its id.
    pub async fn order_checkpoint(&self, comment: &str) -> String {
        let made =
            self.client.post(format!("{}/checkpoints", self.path), json!({"comment": comment})).await.expect(202);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Makes one, and gives its id.
    pub async fn checkpoint(&self, comment: &str) -> String {
        let id = self.order_checkpoint(comment).await;
        let made = self.until_checkpoint(&id).await;
        assert_eq!(made["state"], "ready", "{made}");
        id
    }

    /// Waits until nothing goes on with a checkpoint.
    pub async fn until_checkpoint(&self, id: &str) -> Value {
        let settled = || async {
            let all = self.checkpoints().await;
            let found = all.into_iter().find(|checkpoint| checkpoint["id"] == id).expect("it is listed");
            matches!(found["state"].as_str(), Some("ready" | "failed")).then_some(found)
        };
        until(&format!("{}: checkpoint {id}", self.label), ORDER, settled).await
    }

    /// Orders a restore.
    pub async fn order_restore(&self, id: &str) {
        self.client.order(format!("{}/checkpoints/{id}/restore", self.path)).await.expect(202);
    }

    /// Restores one, and waits until the machine runs.
    pub async fn restore(&self, id: &str) {
        self.order_restore(id).await;
        self.until_restored(id).await;
    }

    /// Waits until a restore is over and the machine runs.
    pub async fn until_restored(&self, id: &str) {
        self.until_checkpoint(id).await;
        let running = || async { (self.record().await["state"] == "running").then_some(()) };
        until(&format!("{}: running after a restore", self.label), ORDER, running).await;
    }
}
