//! The secrets of one stack. A kept stack keeps them in a file that only its owner can read.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::pgbouncer::write_private;
use crate::random;

/// Everything that a deployment would have as secrets, and the passwords of the database.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// Seed of the key that signs tickets: 32 bytes in base64url.
    pub platform_key_seed: String,
    /// Key of the cookies on app hosts: 32 bytes in base64url.
    pub cookie_key: String,
    /// Keys that seal machines' secrets, the newest first: `{id}:{32 bytes in base64url}`.
    #[serde(default)]
    pub secrets_key: String,
    /// What the objects show the database.
    pub service_credential: String,
    /// What scheduled work shows the database.
    pub jobs_credential: String,
    /// What the operator shows the API.
    #[serde(default)]
    pub operator_credential: String,
    /// Mixed into every password's hash.
    pub password_pepper: String,
    /// What the Worker shows the Sprites API.
    pub sprites_token: String,
    pub(crate) superuser_password: String,
    pub(crate) admin_password: String,
    pub(crate) app_password: String,
    pub(crate) jobs_password: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Reads `secrets.json` of a stack's folder, or makes it.
    pub(crate) fn load_or_create(folder: &Path) -> Result<Self> {
        let path = folder.join("secrets.json");
        if path.is_file() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut secrets: Self = serde_json::from_str(&text).with_context(|| {
                format!("{} is not ours: remove {} to start afresh", path.display(), folder.display())
            })?;
            if secrets.secrets_key.is_empty() {
                // The stack was made before machines had secrets.
                secrets.secrets_key = secrets_key()?;
                write_private(&path, &serde_json::to_string_pretty(&secrets)?)?;
            }
            return Ok(secrets);
        }
        let secrets = Self::random()?;
        write_private(&path, &serde_json::to_string_pretty(&secrets)?)?;
        Ok(secrets)
    }

    pub(crate) fn random() -> Result<Self> {
        Ok(Self {
            platform_key_seed: random::base64url(32)?,
            cookie_key: random::base64url(32)?,
            secrets_key: secrets_key()?,
            service_credential: random::base64url(32)?,
            jobs_credential: random::base64url(32)?,
            operator_credential: format!("snap_op_{}", random::hex(24)?),
            password_pepper: random::base64url(32)?,
            sprites_token: random::hex(24)?,
            superuser_password: random::hex(16)?,
            admin_password: random::hex(16)?,
            app_password: random::hex(16)?,
            jobs_password: random::hex(16)?,
        })
    }
}

fn secrets_key() -> Result<String> {
    Ok(format!("1:{}", random::base64url(32)?))
}
