//! What a machine's sprite is made with, and how it is told from others.

use snapvm_durable::machine_gateway::outside::{Failure, Record};
use snapvm_protocol::agent::{BINARY_PATH, environment};
use snapvm_protocol::hosts::AGENT_PORT;
use snapvm_protocol::sprites::{
    CreateSprite, NetworkAction, NetworkPolicy, NetworkRule, PutService, Sprite, SpriteConfig, UrlAuth, UrlSettings,
};

use super::World;
use crate::error::Error;
use crate::platform::Variables;

impl World {
    pub(super) fn create_request(&self, record: &Record) -> CreateSprite {
        let size = self.config.offer.sizes.iter().find(|size| size.id == record.size);
        CreateSprite {
            name: record.sprite_name(),
            url_settings: Some(UrlSettings { auth: UrlAuth::Sprite }),
            labels: self.labels(record),
            config: Some(SpriteConfig {
                ram_mb: size.map(|size| size.memory_mb),
                cpus: size.map(|size| size.cpus),
                region: Some(record.region.clone()),
                storage_gb: size.map(|size| size.disk_gb),
            }),
            environment: std::collections::BTreeMap::new(),
        }
    }

    pub(super) fn agent_service(&self, record: &Record) -> PutService {
        let variable = |key: &str, value: String| (key.to_owned(), value);
        PutService {
            cmd: BINARY_PATH.to_owned(),
            args: Vec::new(),
            env: [
                variable(environment::MACHINE, record.machine.to_string()),
                variable(environment::GENERATION, record.generation.to_string()),
                variable(environment::DIAL_ORIGIN, self.config.dial_origin.clone()),
                variable(environment::PLATFORM_KEY, self.verifier.to_text()),
            ]
            .into(),
            dir: None,
            needs: Vec::new(),
            http_port: Some(AGENT_PORT),
        }
    }

    /// What a sprite's labels say: which machine's it is and which deployment's, and whose, once it is somebody's.
    pub(super) fn labels(&self, record: &Record) -> Vec<String> {
        let mut labels =
            vec![format!("machine:{}", record.machine), crate::sprites::labels::deployment(&self.verifier)];
        if !record.is_prepared() {
            labels.push(format!("org:{}", record.org));
        }
        labels
    }

    /// What was found under the machine's name, if it is its sprite: the recorded one, or, as long as none is recorded,
    /// one with its labels. Somebody may have deleted ours and made another: there is nothing of the machine's in it.
    pub(super) fn ours(&self, record: &Record, found: Option<Sprite>) -> Result<Sprite, Failure> {
        let is_ours = |sprite: &Sprite| match &record.sprite_id {
            Some(id) => *id == sprite.id,
            None => self.labels(record).iter().all(|label| sprite.labels.contains(label)),
        };
        let sprite = found.filter(is_ours).ok_or(Failure::NoSprite)?;
        Ok(self.sprites.checked(sprite, record.sprite_id.as_deref())?)
    }

    /// The agent's binary: a static asset, addressed by its digest. Passed on as a stream.
    pub(super) async fn agent_binary(&self) -> Result<wasm_bindgen::JsValue, Failure> {
        let unavailable = |error: worker::Error| Failure::Unavailable(error.to_string());
        let url = format!("{}/agent/{}", self.config.console_origin, self.agent_digest);
        let assets = self.env.assets("ASSETS").map_err(unavailable)?;
        let response = assets.fetch(url, None).await.map_err(unavailable)?;
        // For a name that is not there, assets answer with the console's page.
        let is_page = response.headers().get("content-type").ok().flatten().is_some_and(|kind| kind.contains("html"));
        match (response.status_code(), response.body()) {
            (200, worker::ResponseBody::Stream(body)) if !is_page => Ok(body.clone().into()),
            _ => Err(Failure::Unavailable("the agent's binary is not among the assets".into())),
        }
    }
}

/// What new sprites may reach: `NETWORK_POLICY`, where the deployment has one. Agents have to reach us under any.
pub(super) fn network_policy(env: &worker::Env) -> Result<Option<NetworkPolicy>, Error> {
    let Ok(text) = env.text("NETWORK_POLICY") else { return Ok(None) };
    let mut policy: NetworkPolicy = serde_json::from_slice(text.as_bytes())
        .map_err(|_| Error::Misconfigured("NETWORK_POLICY must be JSON: rules with domain and action"))?;
    let dial = url::Url::parse(&env.text("DIAL_ORIGIN")?).ok();
    if let Some(host) = dial.as_ref().and_then(url::Url::host_str).filter(|_| !policy.rules.is_empty()) {
        policy.rules.push(NetworkRule::Domain { domain: host.to_owned(), action: NetworkAction::Allow });
    }
    Ok(Some(policy).filter(|policy| !policy.rules.is_empty()))
}
