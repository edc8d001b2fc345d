//! An agent that is driven by hand: it has taken a machine over with a wake ticket, as whoever holds a fresh one may.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use snapvm_protocol::agent::{PROTOCOL_VERSION, ToAgent, decode};
use snapvm_protocol::headers::{AGENT_KEY, BOOT, PASS, TICKET};
use snapvm_protocol::tickets::{Purpose, Signer, Ticket};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::chance::word;
use crate::machines::Machine;
use crate::sockets::{self, Refused, Socket};
use crate::world::World;

/// The agent.
pub struct Agent {
    /// Its control socket.
    pub control: Socket,
    machine: String,
    key: Signer,
    pass: String,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("milliseconds")
}

fn ticket(machine: &str, generation: u32, purpose: Purpose, signer: &Signer) -> String {
    let machine = machine.parse().expect("an id");
    signer.ticket(&Ticket { machine, generation, purpose, jti: word() }, now()).expect("a ticket")
}

fn platform(world: &World) -> Signer {
    Signer::from_seed_text(&world.stack.secrets.platform_key_seed).expect("the platform's key")
}

fn control_path(machine: &str) -> String {
    format!("/agent/v1/machines/{machine}/control")
}

fn dial_host(world: &World) -> String {
    format!("dial.snapvm.internal:{}", world.site().port)
}

impl Agent {
    /// Takes a machine over from its own agent, with no shell and no service.
    pub async fn take_over(world: &World, machine: &Machine) -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("randomness");
        let key = Signer::from_seed(&seed).expect("a key");
        let (text, boot) = (key.verifier().to_text(), word());
        let wake = ticket(&machine.id, 1, Purpose::Wake, &platform(world));
        let path = control_path(&machine.id);
        let headers = [(TICKET, wake.as_str()), (AGENT_KEY, text.as_str()), (BOOT, boot.as_str())];
        let mut control = sockets::open(world, &dial_host(world), &path, &headers).await.expect("a control socket");
        let hello = serde_json::json!({
            "type": "hello", "protocol": PROTOCOL_VERSION, "boot": boot, "generation": 1, "woke": "boot", "terminals": [], "services": [],
        });
        sockets::send(&mut control, Message::text(hello.to_string())).await;
        let pass = loop {
            match sockets::next(&mut control).await {
                Some(Message::Text(text)) => {
                    if let Ok(ToAgent::Welcome { pass, .. }) = decode::<ToAgent>(&text) {
                        break pass;
                    }
                }
                Some(Message::Close(_)) | None => panic!("no welcome"),
                Some(_) => {}
            }
        };
        Self { control, machine: machine.id.clone(), key, pass }
    }

    /// Dials the control socket again with its pass, and a ticket of its own that claims this generation.
    ///
    /// # Errors
    /// The refusal.
    pub async fn dial_again(&self, world: &World, generation: u32) -> Result<Socket, Refused> {
        let own = ticket(&self.machine, generation, Purpose::Control, &self.key);
        let headers = [(TICKET, own.as_str()), (PASS, self.pass.as_str())];
        sockets::open(world, &dial_host(world), &control_path(&self.machine), &headers).await
    }

    /// Dials as an agent that was just woken, with a ticket of ours for this generation.
    ///
    /// # Errors
    /// The refusal.
    pub async fn dial_with_wake_ticket(world: &World, machine: &Machine, generation: u32) -> Result<Socket, Refused> {
        let wake = ticket(&machine.id, generation, Purpose::Wake, &platform(world));
        let key = Signer::from_seed(&[5; 32]).expect("a key").verifier().to_text();
        let headers = [(TICKET, wake.as_str()), (AGENT_KEY, key.as_str()), (BOOT, "somebody")];
        sockets::open(world, &dial_host(world), &control_path(&machine.id), &headers).await
    }

    /// Says something on the control socket.
    pub async fn say(&mut self, message: Value) {
        sockets::send(&mut self.control, Message::text(message.to_string())).await;
    }

    /// Dials a session's socket.
    pub async fn terminal(&self, world: &World, session: &str) -> Socket {
        let purpose = Purpose::Terminal { session: session.parse().expect("an id") };
        let own = ticket(&self.machine, 1, purpose, &self.key);
        let path = format!("/agent/v1/machines/{}/terminals/{session}", self.machine);
        let headers = [(TICKET, own.as_str()), (PASS, self.pass.as_str())];
        sockets::open(world, &dial_host(world), &path, &headers).await.expect("a terminal's socket")
    }
}
