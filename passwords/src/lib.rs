//! The Worker that hashes passwords, reached only through a service binding of the first one.
//!
//! Synchronous wasm of some 40 ms would stall the isolate that relays terminals; here it stalls nobody. Argon2id with
//! m = 12 MiB, t = 3, p = 1 (OWASP's second choice: a third less memory than the first, for isolates of 128 MB), keyed
//! with the deployment's pepper.
//!
//! Absent on purpose: any knowledge of accounts. It sees a password, and a hash.

mod hashing;

use hashing::{Hasher, Request};
use worker::{Context, Env, Response, event};

/// Longest request body, in bytes.
const BODY_MAX: usize = 4096;

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// `POST /` with [`Request`].
#[event(fetch)]
async fn fetch(mut request: worker::Request, env: Env, _context: Context) -> worker::Result<Response> {
    let body = request.bytes().await?;
    if body.len() > BODY_MAX {
        return Response::error("too large", 413);
    }
    let Ok(asked) = serde_json::from_slice::<Request>(&body) else { return Response::error("malformed", 400) };
    let pepper = env.secret("PASSWORD_PEPPER")?.to_string();
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|_| worker::Error::from("no randomness"))?;
    match Hasher::new(pepper.as_bytes()).and_then(|hasher| hasher.answer(&asked, &salt)) {
        Ok(answer) => Response::from_json(&answer),
        Err(error) => {
            worker::console_error!("hashing: {error}");
            Response::error("failed", 500)
        }
    }
}
