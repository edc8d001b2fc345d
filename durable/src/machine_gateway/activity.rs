//! What is worth staying awake for, as the agent reports it.

use serde::{Deserialize, Serialize};

/// Something worth staying awake for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// What.
    pub kind: ActivityKind,
    /// When it was reported, Unix ms.
    pub at_ms: u64,
}

/// What is worth staying awake for, as the agent names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivityKind {
    /// Input or output of a terminal.
    Terminal,
    /// A request to an app, or bytes of its socket.
    Request,
    /// A command while it runs.
    Command,
    /// Load on the processors.
    Cpu,
    /// Something that a newer agent knows.
    Other,
}

impl ActivityKind {
    /// Reads the agent's word for it.
    #[must_use]
    pub fn read(word: &str) -> Self {
        match word {
            "terminal" => Self::Terminal,
            "request" => Self::Request,
            "command" => Self::Command,
            "cpu" => Self::Cpu,
            _ => Self::Other,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Request => "request",
            Self::Command => "command",
            Self::Cpu => "cpu",
            Self::Other => "other",
        }
    }
}
