//! A deployment whose Worker comes to carry another agent: [`xtask::stack::Releases`], for a world.

use xtask::stack::StackBuilder;

use crate::machines;
use crate::world::World;

/// The Worker's assets of one stack.
#[derive(Debug)]
pub struct Releases(xtask::stack::Releases);

impl Releases {
    /// Begins with the agent that was built.
    pub fn new() -> Self {
        Self(xtask::stack::Releases::new().expect("a built agent"))
    }

    /// A stack that serves these assets.
    pub fn builder(&self) -> StackBuilder {
        machines::builder().assets(self.0.assets())
    }

    /// The digest of the agent that is carried now.
    pub fn carried(&self) -> String {
        self.0.carried().expect("an agent")
    }

    /// Deploys the Worker with another agent. Answers its digest.
    pub async fn deploy_another(&self, world: &World) -> String {
        let digest = self.0.next(&world.stack).expect("another agent");
        world.stack.worker().expect("a Worker").restart().await.expect("the Worker starts");
        digest
    }
}

impl Default for Releases {
    fn default() -> Self {
        Self::new()
    }
}
