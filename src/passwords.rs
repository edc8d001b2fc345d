//! The Worker that hashes passwords, behind the service binding `PASSWORDS`: hashing is slow on purpose and would stall
//! the isolate that relays terminals.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A hash of nothing anybody can type, so that an unknown account takes as long to refuse as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=12288,t=3,p=1$c25hcHZtLW5vYm9keS0wMQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "do")]
enum Request<'a> {
    Hash { password: &'a str },
    Verify { password: &'a str, phc: &'a str },
}

#[derive(Deserialize)]
struct Hashed {
    phc: String,
}

#[derive(Deserialize)]
struct Verified {
    matches: bool,
}

/// Hashes a new password.
///
/// # Errors
/// [`Error::Passwords`].
pub async fn hash(env: &worker::Env, password: &str) -> Result<String, Error> {
    Ok(ask::<Hashed>(env, &Request::Hash { password }).await?.phc)
}

/// Whether a password fits. Without a hash to compare it does the same work and says no.
///
/// # Errors
/// [`Error::Passwords`].
pub async fn verify(env: &worker::Env, password: &str, phc: Option<&str>) -> Result<bool, Error> {
    let request = Request::Verify { password, phc: phc.unwrap_or(NOBODY) };
    Ok(ask::<Verified>(env, &request).await?.matches && phc.is_some())
}

async fn ask<T: serde::de::DeserializeOwned>(env: &worker::Env, request: &Request<'_>) -> Result<T, Error> {
    let failed = |error: worker::Error| Error::Passwords(error.to_string());
    let body = serde_json::to_string(request).map_err(|_| Error::Internal("a password request cannot be written"))?;
    let mut init = worker::RequestInit::new();
    init.with_method(worker::Method::Post).with_body(Some(body.into()));
    let request = worker::Request::new_with_init("https://passwords/", &init).map_err(failed)?;
    let mut response = env.service("PASSWORDS")?.fetch_request(request).await.map_err(failed)?;
    if response.status_code() != 200 {
        return Err(Error::Passwords(format!("status {}", response.status_code())));
    }
    response.json().await.map_err(failed)
}
