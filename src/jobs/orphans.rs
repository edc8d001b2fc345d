//! Sprites of this deployment that no machine has, or that were replaced: found page by page, and deleted.
//!
//! Never touched is what is not labelled as this deployment's, or named as nothing of ours is. What is deleted has been
//! found at two looks, and is older than `ORPHAN_SECONDS` (ten minutes): a machine's record is written before its sprite
//! is made, so a young sprite without one is a sign of trouble elsewhere. `ORPHANS=report` deletes nothing: set it
//! before a database is restored, since the machines of what happened after the backup have no records then.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::{MachineId, sprite_name};
use snapvm_protocol::sprites::{SpriteList, SpriteListItem};
use worker::Env;

use crate::db::{Argument, Database, Operation};
use crate::error::Error;
use crate::gateway::outside::{jobs_credential, signer};
use crate::platform::Variables;
use crate::sprites::{Client, labels};

/// Most pages of one run: 200 sprites. The next run goes on where it stopped.
const PAGES_MAX: usize = 4;
/// Most sprites that one run deletes.
const DELETIONS_MAX: usize = 20;
/// Age below which nothing is deleted, in seconds.
const AGE_SECONDS: i32 = 600;

/// What the database says to a page.
#[derive(Deserialize)]
struct Verdict {
    next: Option<String>,
    delete: Vec<String>,
}

/// A sprite of ours on a page.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Seen {
    name: String,
    id: String,
    machine: MachineId,
    generation: u32,
    created_at: Option<String>,
}

/// One run.
pub(super) struct Look<'a> {
    env: &'a Env,
    database: &'a Database,
    client: Client,
    label: String,
    deletes: bool,
    age_seconds: i32,
}

impl<'a> Look<'a> {
    pub(super) fn new(env: &'a Env, database: &'a Database) -> Result<Self, Error> {
        Ok(Self {
            env,
            database,
            client: Client::new(env)?,
            label: labels::deployment(&signer(env)?.verifier()),
            deletes: env.text("ORPHANS").map_or(true, |word| word != "report"),
            age_seconds: env.text("ORPHAN_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(AGE_SECONDS),
        })
    }

    /// Looks at some pages, and deletes what is known to be an orphan. Answers whether the provider has room for what
    /// nobody waits for.
    pub(super) async fn run(&self) -> Result<bool, Error> {
        let mut next = self.compare(None, None, &[]).await?.next;
        let (mut deleted, mut deletions, mut has_room) = (Vec::new(), 0, false);
        for _ in 0..PAGES_MAX {
            let page = match self.client.list("s-", next.as_deref()).await {
                Ok(page) => page,
                Err(error) => {
                    // The place where it goes on may be what is wrong.
                    self.compare(Some(&[]), None, &deleted).await?;
                    worker::console_warn!("looking for orphans: {error}");
                    return Ok(false);
                }
            };
            next = following(&page);
            has_room = leaves_room(&page);
            let ours: Vec<Seen> = page.sprites.into_iter().filter_map(|sprite| seen(sprite, &self.label)).collect();
            let verdict = self.compare(Some(&ours), next.as_deref(), &std::mem::take(&mut deleted)).await?;
            for name in verdict.delete {
                if !self.deletes || deletions == DELETIONS_MAX {
                    break;
                }
                deletions += 1;
                match self.client.delete(&name).await {
                    Ok(()) => {
                        worker::console_warn!("orphan {name}: deleted");
                        deleted.push(name);
                    }
                    Err(error) => worker::console_warn!("orphan {name}: {error}"),
                }
            }
            if next.is_none() {
                break;
            }
        }
        if !deleted.is_empty() {
            self.compare(Some(&[]), next.as_deref(), &deleted).await?;
        }
        Ok(has_room)
    }

    /// One statement: a page, where the next one starts, what was deleted since the last.
    async fn compare(&self, page: Option<&[Seen]>, next: Option<&str>, deleted: &[String]) -> Result<Verdict, Error> {
        let arguments = vec![
            jobs_credential(self.env)?.into(),
            "{}".into(),
            Argument::Text(page.map(json).transpose()?),
            Argument::Text(next.map(str::to_owned)),
            json(deleted)?.into(),
            self.age_seconds.into(),
        ];
        self.database.call(Operation { name: "jobs_sprites", arguments }).await?.read()
    }
}

fn json<T: Serialize>(list: &[T]) -> Result<String, Error> {
    serde_json::to_string(list).map_err(|_| Error::Internal("a page cannot be written"))
}

/// Where the next page starts, if there is one.
fn following(page: &SpriteList) -> Option<String> {
    page.next_continuation_token.clone().filter(|token| page.has_more && !token.is_empty())
}

/// Whether a quarter of the sprites that may run is left to people.
fn leaves_room(page: &SpriteList) -> bool {
    let org = page.org.as_ref();
    let running = page.running.or(org.and_then(|org| org.running)).unwrap_or(0);
    let limit = page.running_limit.or(org.and_then(|org| org.running_limit));
    limit.is_none_or(|limit| running.saturating_add(1).saturating_mul(4) <= limit.saturating_mul(3))
}

/// A sprite that this deployment made for a machine, by its labels and by its name.
fn seen(sprite: SpriteListItem, label: &str) -> Option<Seen> {
    let ours = sprite.labels.iter().any(|other| other == label);
    let machine: MachineId = sprite.labels.iter().find_map(|label| label.strip_prefix("machine:")?.parse().ok())?;
    let generation: u32 = sprite.name.rsplit_once("-g")?.1.parse().ok()?;
    if !ours || sprite.name != sprite_name(machine, generation) {
        return None;
    }
    Some(Seen { name: sprite.name, id: sprite.id?, machine, generation, created_at: sprite.created_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_what_may_run_is_left_to_people() {
        let page = |text: &str| leaves_room(&serde_json::from_str(text).unwrap());
        for (text, has_room) in [
            (r#"{"sprites": []}"#, true),
            (r#"{"sprites": [], "running": 900}"#, true),
            (r#"{"sprites": [], "running": 5, "running_limit": 8}"#, true),
            (r#"{"sprites": [], "running": 6, "running_limit": 8}"#, false),
            (r#"{"sprites": [], "org": {"running": 5, "running_limit": 8}}"#, true),
            (r#"{"sprites": [], "org": {"running": 8, "running_limit": 8}}"#, false),
            (r#"{"sprites": [], "running_limit": 1}"#, false),
        ] {
            assert_eq!(page(text), has_room, "{text}");
        }
    }

    #[test]
    fn only_what_is_labelled_and_named_as_ours_is_looked_at() {
        let machine = MachineId::new(1_790_000_000_000, [7; 10]);
        let name = sprite_name(machine, 3);
        let item = |name: &str, labels: &[&str]| SpriteListItem {
            name: name.to_owned(),
            id: Some("sprite-1".into()),
            status: None,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            created_at: None,
        };
        let of_machine = format!("machine:{machine}");
        let found = seen(item(&name, &["deployment:a", &of_machine]), "deployment:a").unwrap();
        assert_eq!((found.machine, found.generation, found.name.as_str()), (machine, 3, name.as_str()));
        for (name, labels) in [
            (name.as_str(), vec![of_machine.as_str()]),
            (name.as_str(), vec!["deployment:b", of_machine.as_str()]),
            (name.as_str(), vec!["deployment:a"]),
            (name.as_str(), vec!["deployment:a", "machine:x"]),
            ("s-somebody-g3", vec!["deployment:a", of_machine.as_str()]),
            ("s-x-gx", vec!["deployment:a", of_machine.as_str()]),
            ("s-", vec!["deployment:a", of_machine.as_str()]),
        ] {
            assert_eq!(seen(item(name, &labels), "deployment:a"), None, "{name} {labels:?}");
        }
        let unidentified = SpriteListItem { id: None, ..item(&name, &["deployment:a", &of_machine]) };
        assert_eq!(seen(unidentified, "deployment:a"), None);
    }
}
