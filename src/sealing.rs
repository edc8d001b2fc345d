//! Machines' secrets at rest: sealed with a key of the deployment before they go to the database, opened on their way to
//! the machine. The database and its backups have no key; the Worker has nothing else.
//!
//! ```text
//! SECRETS_KEY  {id}:{32 bytes, base64url}[,{older id}:{…}]…     the first one seals, all of them open
//! sealed       v1.{key id}.{nonce, 12 bytes}.{ciphertext and tag}      AES-256-GCM; base64url without padding
//! bound to     "snapvm variable v1", organization, machine, name, each followed by NUL
//! ```
//!
//! Invariant: what was sealed for one place opens nowhere else: neither on another machine nor under another name.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;
use crate::platform::{self, Variables, cipher};

/// Longest id of a key.
const ID_MAX: usize = 16;
const NONCE: usize = 12;
const MISCONFIGURED: Error =
    Error::Misconfigured("SECRETS_KEY must be {id}:{32 bytes in base64url}, with older ones after commas");

/// Where a secret belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The organization's id.
    pub org: &'a str,
    /// The machine's id.
    pub machine: &'a str,
    /// The variable's name.
    pub name: &'a str,
}

impl Place<'_> {
    fn bound(&self) -> Vec<u8> {
        ["snapvm variable v1", self.org, self.machine, self.name].map(|part| format!("{part}\0")).concat().into_bytes()
    }
}

/// The deployment's keys. Their `Debug` shows ids.
pub struct Keys(Vec<(String, [u8; 32])>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

/// A sealed value, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Sealed<'a> {
    key: &'a str,
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

impl<'a> Sealed<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (version, key, nonce, ciphertext) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != "v1" || parts.next().is_some() {
            return None;
        }
        let nonce = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
        Some(Self { key, nonce, ciphertext: URL_SAFE_NO_PAD.decode(ciphertext).ok()? })
    }

    fn write(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("v1.{}.{}.{}", self.key, text(&self.nonce), text(&self.ciphertext))
    }
}

impl Keys {
    /// The keys of the deployment.
    ///
    /// # Errors
    /// [`Error::Misconfigured`].
    pub fn read(variables: &impl Variables) -> Result<Self, Error> {
        Self::parse(&variables.text("SECRETS_KEY")?).ok_or(MISCONFIGURED)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut keys: Vec<(String, [u8; 32])> = Vec::new();
        for entry in text.split(',') {
            let (id, key) = entry.trim().split_once(':')?;
            let is_id = (1..=ID_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_id || keys.iter().any(|(other, _)| other == id) {
                return None;
            }
            keys.push((id.to_owned(), URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok()?));
        }
        Some(Self(keys))
    }

    /// Seals a value for its place, with the newest key.
    ///
    /// # Errors
    /// When the platform has no randomness or no cipher.
    pub async fn seal(&self, place: &Place<'_>, value: &str) -> Result<String, Error> {
        let (id, key) = self.0.first().ok_or(MISCONFIGURED)?;
        let nonce = platform::random::<NONCE>()?;
        let ciphertext = cipher::encrypt(key, &nonce, &place.bound(), value.as_bytes()).await?;
        Ok(Sealed { key: id, nonce, ciphertext }.write())
    }

    /// Opens what was sealed for this place, with whichever key sealed it.
    ///
    /// # Errors
    /// A sentence for the log: the key is gone, or it was sealed for another place.
    pub async fn open(&self, place: &Place<'_>, sealed: &str) -> Result<String, Error> {
        let sealed = Sealed::read(sealed).ok_or(Error::Internal("a secret is not in the form of sealed ones"))?;
        let key = self.0.iter().find(|(id, _)| id == sealed.key).map(|(_, key)| key);
        let key = key.ok_or(Error::Misconfigured("SECRETS_KEY lacks the key that a secret was sealed with"))?;
        let opened = cipher::decrypt(key, &sealed.nonce, &place.bound(), &sealed.ciphertext).await;
        let bytes =
            opened.map_err(|_| Error::Internal("a secret does not open here: it was sealed for another place"))?;
        String::from_utf8(bytes).map_err(|_| Error::Internal("a secret is no text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        URL_SAFE_NO_PAD.encode([byte; 32])
    }

    #[test]
    fn keys_are_read_newest_first() {
        let keys = Keys::parse(&format!("2b:{}, 1:{}", key(2), key(1))).unwrap();
        assert_eq!(keys.0, [("2b".to_owned(), [2; 32]), ("1".to_owned(), [1; 32])]);
        assert_eq!(format!("{keys:?}"), r#"["2b", "1"]"#);
        let (one, short) = (key(1), URL_SAFE_NO_PAD.encode([1; 31]));
        for wrong in [
            String::new(),
            one.clone(),
            format!(":{one}"),
            format!("1:{short}"),
            format!("1:{one},"),
            format!("1:{one},1:{one}"),
            format!("a.b:{one}"),
            format!("{}:{one}", "a".repeat(ID_MAX + 1)),
        ] {
            assert!(Keys::parse(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_sealed_value_reads_back_and_nothing_else_is_one() {
        let sealed = Sealed { key: "1", nonce: [7; NONCE], ciphertext: vec![1, 2, 3] };
        assert_eq!(Sealed::read(&sealed.write()), Some(sealed));
        for wrong in
            ["", "v1", "v1.1.AAAA.AAAA", "v2.1.AAAAAAAAAAAAAAAA.AAAA", "v1.1.AAAAAAAAAAAAAAAA.AAAA.x", "v1.1.!.!"]
        {
            assert_eq!(Sealed::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_two_places_look_the_same() {
        let bound = |org, machine, name| Place { org, machine, name }.bound();
        assert_ne!(bound("a", "b", "c"), bound("ab", "", "c"));
        assert_ne!(bound("a", "b", "c"), bound("a", "bc", ""));
    }
}
