//! What a terminal session's object needs of the world outside.

use snapvm_durable::access::Access;
use snapvm_durable::machine_gateway::command::{Command, Reply};
use snapvm_durable::terminal_session::outside::{Outside, Visitor};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::Verifier;

use super::{World, parse};
use crate::gateway::object;
use crate::platform;

impl Outside for World {
    fn now_ms(&self) -> u64 {
        platform::now_ms()
    }

    async fn delay(&self, milliseconds: u64) {
        worker::Delay::from(std::time::Duration::from_millis(milliseconds)).await;
    }

    fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn log(&self, line: &str) {
        worker::console_log!("{line}");
    }

    async fn access(&self, visitor: &Visitor) -> Access<bool> {
        #[derive(serde::Deserialize)]
        struct Granted {
            write: bool,
        }
        let arguments = vec![
            visitor.credential.clone().into(),
            "{}".into(),
            visitor.org.clone().into(),
            visitor.name.clone().into(),
            visitor.session.clone().into(),
        ];
        self.look("terminals_stream", arguments).await.read(|reply| Some(parse::<Granted>(&reply).ok()?.write))
    }

    async fn gateway(&self, machine: MachineId, command: &Command) -> Option<Reply> {
        match object::command(&self.env, machine, command).await {
            Ok(reply) => Some(reply),
            Err(error) => {
                worker::console_warn!("machine {machine}: {error}");
                None
            }
        }
    }
}
