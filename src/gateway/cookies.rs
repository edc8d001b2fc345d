//! What the gateway signs for browsers: the cookie of an app's host, and the single-use code of the handshake.
//!
//! Both are `{payload}.{HMAC-SHA-256}` in base64url over the deployment's `COOKIE_KEY`, the purpose in the payload.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use snapvm_protocol::ids::MachineId;

use crate::error::Error;
use crate::platform::Variables;

/// The cookie that lets a browser into one app host.
pub const APP_COOKIE: &str = "__Host-snap_app";
/// The cookie that ties a handshake to the browser that began it.
pub const PRE_COOKIE: &str = "__Host-snap_pre";
/// How long a browser is let in.
pub const APP_SECONDS: u64 = 3 * 3600;
/// How long a code is good for.
pub const CODE_SECONDS: u64 = 60;
/// Longest accepted value.
const LENGTH_MAX: usize = 2048;

/// The payload of the app cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Tells it from a code.
    pub admits: String,
    /// The machine behind the host when the browser was let in.
    pub machine: MachineId,
    /// Whose browser it is.
    pub account: String,
    /// The machine's epoch then: access that changes later ends it.
    pub epoch: u64,
    /// Until when, Unix ms.
    pub until_ms: u64,
}

/// The payload of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The host it is for.
    pub code_for: String,
    /// SHA-256 of the browser's [`PRE_COOKIE`], hex.
    pub challenge: String,
    /// What the browser gets for it.
    pub admission: Admission,
    /// Where the visitor wanted to go.
    pub path: String,
    /// Its id: good for one use.
    pub jti: String,
    /// Until when, Unix ms.
    pub until_ms: u64,
}

/// The deployment's key.
pub struct Key(Vec<u8>);

impl Key {
    /// From `COOKIE_KEY`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`].
    pub fn read(variables: &impl Variables) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(variables.text("COOKIE_KEY")?.trim());
        bytes
            .ok()
            .filter(|bytes| bytes.len() >= 32)
            .map(Self)
            .ok_or(Error::Misconfigured("COOKIE_KEY must be 32 bytes or more in base64url"))
    }

    /// Signs a payload.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be written.
    pub fn seal(&self, payload: &impl Serialize) -> Result<String, Error> {
        let text = serde_json::to_vec(payload).map_err(|_| Error::Internal("a payload cannot be written"))?;
        let body = URL_SAFE_NO_PAD.encode(text);
        let tag = URL_SAFE_NO_PAD.encode(self.mac(&body)?.finalize().into_bytes());
        Ok(format!("{body}.{tag}"))
    }

    /// Reads a signed payload; `None` for anything that is not one of ours.
    #[must_use]
    pub fn open<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (body, tag) = text.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.mac(body).ok()?.verify_slice(&tag).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }

    fn mac(&self, body: &str) -> Result<Hmac<Sha256>, Error> {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.0).map_err(|_| Error::Internal("a key of no length"))?;
        mac.update(body.as_bytes());
        Ok(mac)
    }
}

/// What a handshake is tied to.
#[must_use]
pub fn challenge(pre: &str) -> String {
    crate::secrets::hash(pre.as_bytes()).to_string()
}

/// `Set-Cookie` for an app's host.
#[must_use]
pub fn set(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_payload_opens_with_its_key_only() {
        let admission = Admission {
            admits: "host".into(),
            machine: MachineId::new(1, [1; 10]),
            account: "a".into(),
            epoch: 1,
            until_ms: 2,
        };
        let key = Key(vec![1; 32]);
        let sealed = key.seal(&admission).unwrap();
        assert_eq!(key.open::<Admission>(&sealed), Some(admission));
        assert_eq!(Key(vec![2; 32]).open::<Admission>(&sealed), None);
        assert_eq!(key.open::<Code>(&sealed), None);
        for wrong in ["", ".", "a.b", &sealed[1..], &"a".repeat(3000)] {
            assert_eq!(key.open::<Admission>(wrong), None);
        }
    }
}
