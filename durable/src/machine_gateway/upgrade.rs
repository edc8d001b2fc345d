//! When a machine's agent is upgraded in place, and what is remembered of it (pure).
//!
//! ```text
//! Hello with another digest ─▶ deliver ─▶ tell ─▶ Hello of the same boot with ours ─▶ settle: boots start it too
//!                                 │        └▶ refused: not now → again later; never → the old one goes on
//!                                 └▶ failed → again later
//! ```
//!
//! Invariants:
//! * A boot is told once to become a given agent, unless it said that it was only the wrong moment.
//! * Agents that died of it count: after [`TELLS_MAX`] boots that were told, the agent stays what it is.
//! * What a boot starts is replaced only by an agent that has said Hello.

use serde::{Deserialize, Serialize};

/// Boots that may be told to become the same agent, when none of them came back as it.
pub const TELLS_MAX: u32 = 3;
/// Deliveries that may fail before the next Hello is waited for.
pub const FAILURES_MAX: u32 = 3;
/// Until the next try, after one that failed or came at the wrong moment.
pub const AGAIN_MS: u64 = 60_000;

/// What is remembered of upgrades.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The agent that runs, as it said in its last Hello.
    agent: Option<Agent>,
    /// The agent that the platform carries: its digest.
    carried: String,
    /// Whether the carried one lies beside the one that boots start.
    delivered: bool,
    /// Whether the one beside runs, and boots still start the one before.
    unsettled: bool,
    /// The boot that was told last.
    told: Option<String>,
    tells: u32,
    failures: u32,
    /// An agent that nobody can talk to is being replaced.
    replacing: bool,
    /// Its protocol version, once people were told.
    announced: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Agent {
    boot: String,
    digest: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Deliver the carried agent beside the one that runs.
    Deliver,
    /// Tell the one that runs to become it.
    Tell {
        /// Its digest.
        digest: String,
    },
    /// Let boots start it.
    Settle,
}

/// What a Hello says of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing new.
    None,
    /// The agent was upgraded.
    Upgraded,
    /// It was told, and came back from a new start as what it was.
    Died,
}

impl Upgrade {
    /// The agent said Hello.
    pub fn hello(&mut self, boot: &str, digest: &str, carried: &str) -> Outcome {
        if self.carried != carried {
            *self = Self { carried: carried.to_owned(), unsettled: self.unsettled, ..Self::default() };
        }
        self.failures = 0;
        (self.replacing, self.announced) = (false, None);
        self.agent = Some(Agent { boot: boot.to_owned(), digest: digest.to_owned() });
        let told = self.told.as_deref() == Some(boot);
        if digest == self.carried {
            self.tells = 0;
            self.unsettled |= told;
            return if self.told.take().is_some() && told { Outcome::Upgraded } else { Outcome::None };
        }
        if self.told.is_none() || told {
            return Outcome::None;
        }
        self.told = None;
        Outcome::Died
    }

    /// What to do while the machine runs and its agent is connected. What it answers counts as done.
    pub fn step(&mut self) -> Option<Step> {
        let agent = self.agent.as_ref()?;
        // Nothing can be said of an agent that does not know what it is, nor where none is carried.
        if agent.digest.is_empty() || self.carried.is_empty() || self.failures >= FAILURES_MAX {
            return None;
        }
        if agent.digest == self.carried {
            return self.unsettled.then_some(Step::Settle);
        }
        if self.told.as_ref() == Some(&agent.boot) || self.tells >= TELLS_MAX {
            return None;
        }
        if !self.delivered {
            return Some(Step::Deliver);
        }
        self.told = Some(agent.boot.clone());
        self.tells += 1;
        Some(Step::Tell { digest: self.carried.clone() })
    }

    /// The agent of this digest lies beside the one that runs.
    pub fn delivered(&mut self, digest: &str) {
        self.delivered = self.carried == digest;
    }

    /// Boots start what runs.
    pub fn settled(&mut self) {
        self.unsettled = false;
        self.delivered = false;
    }

    /// A delivery or a settling failed; whether it is not tried again before the next Hello.
    pub fn failed(&mut self) -> bool {
        self.failures += 1;
        self.failures >= FAILURES_MAX
    }

    /// The agent goes on as it is; whether that is its answer to what it was told, and final.
    pub fn refused(&mut self, digest: &str, again: bool) -> bool {
        if self.carried != digest {
            return false;
        }
        if again {
            self.told = None;
            self.tells = self.tells.saturating_sub(1);
        } else {
            // It may have been the file.
            self.delivered = false;
        }
        !again
    }

    /// An agent of another protocol version is to be replaced; whether that is news.
    pub fn replace(&mut self, protocol: u32) -> bool {
        self.replacing = true;
        self.announced.replace(protocol) != Some(protocol)
    }

    /// It was.
    pub fn replaced(&mut self) {
        self.replacing = false;
    }

    /// Whether the agent that runs is the carried one.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| !agent.digest.is_empty() && agent.digest == self.carried)
    }

    /// Whether there is an agent to replace before anything else is asked of it.
    #[must_use]
    pub fn is_replacing(&self) -> bool {
        self.replacing
    }

    /// The digest of the carried agent, short, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.carried.get(..12).unwrap_or(&self.carried)
    }
}
