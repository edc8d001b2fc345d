//! What an organization's feed needs of the world outside.

use snapvm_durable::access::Access;
use snapvm_durable::org_feed::outside::{Outside, Visitor};
use snapvm_protocol::roles::Role;

use super::World;
use crate::context::new_id;
use crate::db::Argument;
use crate::gateway::feed::{Allowed, alone_seconds};
use crate::platform;

impl Outside for World {
    fn now_ms(&self) -> u64 {
        platform::now_ms()
    }

    fn random_id(&self) -> String {
        new_id().unwrap_or_default()
    }

    fn log(&self, line: &str) {
        worker::console_log!("{line}");
    }

    fn alone_ms(&self) -> u64 {
        u64::try_from(alone_seconds(&self.env)).unwrap_or(0) * 1000
    }

    async fn access(&self, visitor: &Visitor) -> Access<Role> {
        let text = |text: &str| Argument::from(text);
        let arguments = vec![text(&visitor.credential), text("{}"), text(&visitor.org), Some(false).into()];
        self.look("feed_stream", arguments).await.read(|reply| reply.read::<Allowed>().ok()?.role())
    }
}
