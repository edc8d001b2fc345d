//! Labels of our sprites: whose they are.

use snapvm_protocol::tickets::Verifier;

use crate::secrets;

/// The label of this deployment's sprites, by the platform's public key: an account may hold sprites of several
/// deployments, and two that do not know of each other must not take each other's for orphans.
#[must_use]
pub fn deployment(key: &Verifier) -> String {
    let hash = secrets::hash(key.to_text().as_bytes()).to_string();
    format!("deployment:{}", hash.get(..16).unwrap_or_default())
}
