//! One-shot commands: what is asked for, what is refused, how output is written down.
//!
//! ```text
//! client ─JSON─▶ Worker ─same bytes, exec ticket─▶ agent: session of its own ─▶ program
//!    ◀─ one JSON object, or server-sent events, as the agent writes them ─┘
//! ```
//!
//! Invariants:
//! * The Worker and the agent read a request with the same function, so that neither takes what the other refuses.
//! * Output is exact: text where it is UTF-8, base64 where it is not, and it says which.
//!
//! Absent on purpose: a way to leave a command running without a caller. What is to outlive a request is a service.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Where the agent takes commands.
pub const EXEC_PATH: &str = "/.snapvm/agent/exec";
/// The media type that asks for events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Longest request, in bytes.
pub const REQUEST_MAX: usize = 1024 * 1024;
/// Seconds after which a command is ended, unless the request says otherwise.
pub const TIMEOUT_DEFAULT: u32 = 60;
/// Most seconds that a request may say.
pub const TIMEOUT_MAX: u32 = 3600;
/// Bytes kept of each stream, unless the request says otherwise.
pub const OUTPUT_DEFAULT: u32 = 1024 * 1024;
/// Most bytes of each stream that a request may say.
pub const OUTPUT_MAX: u32 = 8 * 1024 * 1024;
/// Most bytes of output that a machine keeps for all answers that are one JSON object.
pub const OUTPUT_TOTAL: usize = 64 * 1024 * 1024;
/// Most commands at once in one machine.
pub const COMMANDS_MAX: usize = 32;
/// Seconds between two signs of life while a command is silent.
pub const KEEPALIVE_SECONDS: u64 = 15;

/// Longest program name or directory, in bytes: the system's own limit.
const PATH_MAX: usize = 4095;
/// Longest argument or variable, in bytes: the system's own limit.
const ARGUMENT_MAX: usize = 128 * 1024 - 1;
/// Most arguments, and most variables.
const LIST_MAX: usize = 1000;
/// Most bytes of arguments and variables together.
const TEXT_MAX: usize = 512 * 1024;

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecRequest {
    /// The program: a path, or a name looked up in `PATH`. No shell reads it; for one, run `sh` with `-c`.
    pub command: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Variables added to the machine's default environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory; the home directory when absent. A relative one starts there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// What it reads from its standard input, as text; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The same in base64, for bytes that are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_base64: Option<String>,
    /// Seconds after which it is ended: 1 to 3600, 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// Bytes to keep of each stream: 0 to 8388608, 1048576 when absent. The rest is read and thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<i64>,
}

/// A request that was found to be in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to the default environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, where it is not the home directory.
    pub cwd: Option<String>,
    /// Its whole standard input.
    pub stdin: Vec<u8>,
    /// Seconds after which it is ended.
    pub timeout_seconds: u32,
    /// Bytes to keep of each stream.
    pub output_limit: usize,
}

/// A field that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct InvalidField {
    /// Which.
    pub field: &'static str,
    /// What would be accepted.
    pub detail: String,
}

/// Why bytes are no command.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More than [`REQUEST_MAX`].
    #[error("the request is too long")]
    TooLong,
    /// Not the JSON of an [`ExecRequest`].
    #[error("the request cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] InvalidField),
}

/// Reads a request.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
    if bytes.len() > REQUEST_MAX {
        return Err(DecodeError::TooLong);
    }
    Ok(serde_json::from_slice::<ExecRequest>(bytes)?.check()?)
}

impl ExecRequest {
    /// Looks at every field.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(self) -> Result<Command, InvalidField> {
        let Self { command, args, env, cwd, stdin, stdin_base64, timeout_seconds, output_limit } = self;
        if command.trim().is_empty() {
            return invalid("command", "This is required: a path, or the name of a program.");
        }
        path("command", &command)?;
        if args.len() > LIST_MAX || args.iter().any(|argument| argument.len() > ARGUMENT_MAX) {
            return invalid("args", format!("At most {LIST_MAX} arguments, of at most {ARGUMENT_MAX} bytes each."));
        }
        if args.iter().any(|argument| argument.contains('\0')) {
            return invalid("args", "An argument must not contain NUL characters.");
        }
        variables(&env)?;
        let text = args.iter().map(String::len).sum::<usize>()
            + env.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if text > TEXT_MAX {
            return invalid("args", format!("Arguments and variables have at most {TEXT_MAX} bytes together."));
        }
        if let Some(cwd) = &cwd {
            path("cwd", cwd)?;
        }
        let stdin = match (stdin, stdin_base64) {
            (Some(_), Some(_)) => return invalid("stdin_base64", "Send `stdin` or `stdin_base64`, not both."),
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => match STANDARD.decode(text) {
                Ok(bytes) => bytes,
                Err(_) => return invalid("stdin_base64", "This is not base64 (RFC 4648, with padding)."),
            },
            (None, None) => Vec::new(),
        };
        let timeout = number("timeout_seconds", timeout_seconds, TIMEOUT_DEFAULT, 1..=TIMEOUT_MAX)?;
        let limit = number("output_limit", output_limit, OUTPUT_DEFAULT, 0..=OUTPUT_MAX)?;
        Ok(Command {
            program: command,
            args,
            env,
            cwd: cwd.filter(|cwd| !cwd.is_empty()),
            stdin,
            timeout_seconds: timeout,
            output_limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}

impl Command {
    /// The program's name for the audit log, and nothing of what it was given: neither its folder nor anything after
    /// a space, should somebody have put a whole line there.
    #[must_use]
    pub fn audit_name(&self) -> String {
        let word = self.program.split_whitespace().next().unwrap_or_default();
        let name = word.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
        name.chars().filter(|character| !character.is_control()).take(60).collect()
    }
}

fn invalid<T>(field: &'static str, detail: impl Into<String>) -> Result<T, InvalidField> {
    Err(InvalidField { field, detail: detail.into() })
}

fn path(field: &'static str, text: &str) -> Result<(), InvalidField> {
    if text.len() > PATH_MAX || text.contains('\0') {
        return invalid(field, format!("This has at most {PATH_MAX} bytes and no NUL characters."));
    }
    Ok(())
}

fn variables(env: &BTreeMap<String, String>) -> Result<(), InvalidField> {
    if env.len() > LIST_MAX || env.iter().any(|(name, value)| name.len() + value.len() >= ARGUMENT_MAX) {
        return invalid("env", format!("At most {LIST_MAX} variables, of at most {ARGUMENT_MAX} bytes each."));
    }
    if env.iter().any(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')) {
        return invalid(
            "env",
            "A variable's name is not empty and has no equals sign; neither part has NUL characters.",
        );
    }
    Ok(())
}

fn number(
    field: &'static str,
    wished: Option<i64>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, InvalidField> {
    let Some(wished) = wished else { return Ok(default) };
    match u32::try_from(wished).ok().filter(|number| range.contains(number)) {
        Some(number) => Ok(number),
        None => invalid(field, format!("This must be a number from {} to {}.", range.start(), range.end())),
    }
}

/// Why the agent did not start a command. Sent as JSON with status 409.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Refusal {
    /// What a shell reports as 127.
    #[error("There is no such program in the machine, or the interpreter that it names is missing.")]
    ProgramNotFound,
    /// What a shell reports as 126.
    #[error("This file cannot be executed: it lacks the permission, or is no program.")]
    NotExecutable,
    /// The working directory.
    #[error("There is no such directory in the machine, or it cannot be entered.")]
    DirectoryNotFound,
    /// The system takes fewer bytes of arguments and variables.
    #[error("The machine takes fewer bytes of arguments and variables than these.")]
    ArgumentsTooLong,
    /// [`COMMANDS_MAX`].
    #[error("A machine runs at most {COMMANDS_MAX} commands at once, and this one does. Wait until one has ended.")]
    TooManyCommands,
    /// [`OUTPUT_TOTAL`].
    #[error(
        "A machine keeps at most {OUTPUT_TOTAL} bytes of output for commands that run. Ask for events, or for a \
         smaller `output_limit`, or wait until one has ended."
    )]
    TooMuchOutput,
    /// Out of processes, memory or descriptors.
    #[error("The machine has no room for another process.")]
    NoProcess,
}

impl Refusal {
    /// For programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::ProgramNotFound => "program_not_found",
            Self::NotExecutable => "not_executable",
            Self::DirectoryNotFound => "directory_not_found",
            Self::ArgumentsTooLong => "arguments_too_long",
            Self::TooManyCommands => "too_many_commands",
            Self::TooMuchOutput => "too_much_output",
            Self::NoProcess => "no_process",
        }
    }

    /// The field of the request that it is about.
    #[must_use]
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::ProgramNotFound | Self::NotExecutable => Some("command"),
            Self::DirectoryNotFound => Some("cwd"),
            Self::ArgumentsTooLong => Some("args"),
            Self::TooManyCommands | Self::TooMuchOutput | Self::NoProcess => None,
        }
    }
}

/// What ended a command that neither ended by itself nor ran out of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ExecInterruption"))]
pub enum Interruption {
    /// Somebody's access to the organization's machines changed.
    AccessChanged,
    /// The machine was put to sleep, or stopped.
    MachineSleeping,
}

/// How a command ended. With events, the data of the last one, `exit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecExit {
    /// Its exit code; null when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether it was ended because its time was over.
    pub timed_out: bool,
    /// What else ended it from outside.
    pub interrupted: Option<Interruption>,
    /// Whether it wrote more to its standard output than was kept.
    pub stdout_truncated: bool,
    /// Whether it wrote more to its standard error than was kept.
    pub stderr_truncated: bool,
    /// How long it ran.
    pub duration_ms: u64,
}

/// How a stream is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ExecEncoding"))]
pub enum Encoding {
    /// As text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// In base64, because it is not UTF-8.
    #[serde(rename = "base64")]
    Base64,
}

/// A command's end and everything it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecResult {
    /// How it ended.
    #[serde(flatten)]
    pub exit: ExecExit,
    /// Its standard output.
    pub stdout: String,
    /// How `stdout` is written down.
    pub stdout_encoding: Encoding,
    /// Its standard error.
    pub stderr: String,
    /// How `stderr` is written down.
    pub stderr_encoding: Encoding,
}

/// A whole stream, written down. One that was cut within a character loses the rest of that character.
#[must_use]
pub fn written(mut bytes: Vec<u8>, truncated: bool) -> (String, Encoding) {
    if truncated
        && let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
    {
        bytes.truncate(error.valid_up_to());
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, Encoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), Encoding::Base64),
    }
}

/// A piece of a stream: the data of the events `stdout` and `stderr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ExecChunk"))]
pub enum Chunk {
    /// Whole characters.
    Text(String),
    /// Bytes that are not UTF-8, in base64.
    Base64(String),
}

impl Chunk {
    /// The bytes; `None` when somebody else wrote down what is no base64.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).ok(),
        }
    }
}

/// Cuts a stream into chunks between characters.
#[derive(Debug, Default)]
pub struct Chunker {
    /// The beginning of a character whose rest has not come yet: three bytes at most.
    held: Vec<u8>,
}

impl Chunker {
    /// Takes what came; gives what can be written down of it.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Chunk> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        if let Err(error) = std::str::from_utf8(&all)
            && error.error_len().is_none()
        {
            self.held = all.split_off(error.valid_up_to());
        }
        chunk(all)
    }

    /// The stream is over: gives what is left of it.
    pub fn finish(&mut self) -> Option<Chunk> {
        chunk(std::mem::take(&mut self.held))
    }
}

fn chunk(bytes: Vec<u8>) -> Option<Chunk> {
    if bytes.is_empty() {
        return None;
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => Chunk::Text(text),
        Err(error) => Chunk::Base64(STANDARD.encode(error.as_bytes())),
    })
}

/// One server-sent event. JSON has no line breaks of its own, so its data is one line.
///
/// # Errors
/// None for the types of this module.
pub fn event(name: &str, data: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(format!("event: {name}\ndata: {}\n\n", serde_json::to_string(data)?))
}

#[cfg(test)]
mod tests;
