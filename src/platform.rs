//! The only place that knows wasm from native: time, randomness, ciphers, variables, and where the bytes of a request
//! come from. Everything above takes them as arguments.

pub mod cipher;
pub mod socket;

use crate::error::Error;

/// Variables and secrets of the deployment.
pub trait Variables {
    /// A variable's text.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when it is not set.
    fn text(&self, name: &'static str) -> Result<String, Error>;
}

impl Variables for worker::Env {
    fn text(&self, name: &'static str) -> Result<String, Error> {
        self.var(name).map(|value| value.to_string()).map_err(|_| Error::Misconfigured(name))
    }
}

/// Unix time in milliseconds. In production it advances only at I/O, which is fine for everything we date.
#[must_use]
pub fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Random bytes from the platform's generator.
///
/// # Errors
/// [`Error::Internal`] when it has none, which no supported platform does.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Internal("no randomness"))?;
    Ok(bytes)
}
