//! Hashing and verifying. Pure: the salt is an argument.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

/// Memory in KiB, passes, lanes.
const PARAMETERS: (u32, u32, u32) = (12 * 1024, 3, 1);

/// What is asked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub(crate) enum Request {
    /// Hash a new password.
    Hash {
        /// The password.
        password: String,
    },
    /// Compare one.
    Verify {
        /// The password.
        password: String,
        /// The stored hash, in PHC form.
        phc: String,
    },
}

/// What is answered.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// A hash in PHC form.
    Hashed {
        /// The hash.
        phc: String,
    },
    /// Whether it fits.
    Verified {
        /// It does.
        matches: bool,
    },
}

/// Why nothing could be answered. Says nothing of the password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    /// The pepper or the parameters do not suit the algorithm.
    #[error("the pepper or the parameters are wrong")]
    Parameters,
    /// The stored hash is none.
    #[error("the stored hash is malformed")]
    Stored,
    /// The algorithm failed.
    #[error("the algorithm failed")]
    Failed,
}

/// Argon2id with this deployment's pepper.
pub(crate) struct Hasher<'a>(Argon2<'a>);

impl<'a> Hasher<'a> {
    pub(crate) fn new(pepper: &'a [u8]) -> Result<Self, HashingError> {
        let (memory, passes, lanes) = PARAMETERS;
        let parameters = Params::new(memory, passes, lanes, None).map_err(|_| HashingError::Parameters)?;
        Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, parameters)
            .map(Self)
            .map_err(|_| HashingError::Parameters)
    }

    pub(crate) fn answer(&self, request: &Request, salt: &[u8; 16]) -> Result<Answer, HashingError> {
        match request {
            Request::Hash { password } => {
                let salt = SaltString::encode_b64(salt).map_err(|_| HashingError::Failed)?;
                let hash = self.0.hash_password(password.as_bytes(), &salt).map_err(|_| HashingError::Failed)?;
                Ok(Answer::Hashed { phc: hash.to_string() })
            }
            Request::Verify { password, phc } => {
                let stored = PasswordHash::new(phc).map_err(|_| HashingError::Stored)?;
                let matches = self.0.verify_password(password.as_bytes(), &stored).is_ok();
                Ok(Answer::Verified { matches })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(pepper: &[u8], password: &str, phc: &str) -> Answer {
        let request = Request::Verify { password: password.into(), phc: phc.into() };
        Hasher::new(pepper).unwrap().answer(&request, &[0; 16]).unwrap()
    }

    #[test]
    fn a_hash_fits_its_password_and_pepper_only() {
        let request = Request::Hash { password: "correct horse".into() };
        let Answer::Hashed { phc } = Hasher::new(b"pepper").unwrap().answer(&request, &[1; 16]).unwrap() else {
            panic!("not hashed")
        };
        assert!(phc.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"), "{phc}");
        assert_eq!(verify(b"pepper", "correct horse", &phc), Answer::Verified { matches: true });
        assert_eq!(verify(b"pepper", "wrong horse", &phc), Answer::Verified { matches: false });
        assert_eq!(verify(b"other", "correct horse", &phc), Answer::Verified { matches: false });
    }

    #[test]
    fn the_stand_in_for_unknown_accounts_costs_the_same_and_never_fits() {
        let nobody =
            "$argon2id$v=19$m=12288,t=3,p=1$c25hcHZtLW5vYm9keS0wMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(verify(b"pepper", "", nobody), Answer::Verified { matches: false });
    }

    #[test]
    fn a_malformed_hash_is_an_error() {
        let request = Request::Verify { password: "a".into(), phc: "plain".into() };
        assert!(Hasher::new(b"p").unwrap().answer(&request, &[0; 16]).is_err());
    }
}
