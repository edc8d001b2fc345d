//! People and organizations, made through the front door.

use serde_json::{Value, json};

use crate::chance::word;
use crate::client::Client;
use crate::world::World;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody with an account, signed in with a browser.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their browser.
    pub client: Client,
    /// Their address.
    pub email: String,
    /// Their account.
    pub account: String,
    /// Their name.
    pub name: String,
    /// The slug of the organization that sign-up made.
    pub first_org: String,
}

/// An organization and its owner.
#[derive(Debug, Clone)]
pub struct Org {
    /// Its slug.
    pub slug: String,
    /// Who owns it.
    pub owner: Person,
}

impl World {
    /// Signs somebody up.
    pub async fn sign_up(&self) -> Person {
        let name = format!("p{}", word());
        let email = format!("{name}@example.com");
        let client = self.anonymous().browser();
        let body = json!({"email": email, "name": format!("Person {name}"), "password": PASSWORD});
        let account = client.post("/v1/accounts", body).await.expect(201);
        Person {
            client,
            email,
            account: text(&account["id"]),
            name: text(&account["name"]),
            first_org: text(&account["orgs"][0]["slug"]),
        }
    }

    /// Signs somebody up, for whoever needs the organization.
    pub async fn org(&self) -> Org {
        let owner = self.sign_up().await;
        Org { slug: owner.first_org.clone(), owner }
    }
}

impl Person {
    /// Signs in once more, with another browser.
    pub async fn sign_in(&self) -> Client {
        let client = self.client.browser();
        let body = json!({"email": self.email, "password": PASSWORD});
        client.post("/v1/sessions", body).await.expect(201);
        client
    }

    /// Makes an API token; `scope` is `read` or `write`. Gives its id too.
    pub async fn token(&self, scope: &str) -> (Client, String) {
        let body = json!({"name": format!("{scope} token"), "scope": scope});
        let made = self.client.post("/v1/tokens", body).await.expect(201);
        (self.client.with_token(&text(&made["token"])), text(&made["id"]))
    }
}

impl Org {
    /// The path of the organization, or of something in it.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/orgs/{}{rest}", self.slug)
    }

    /// Signs somebody up and adds them with a role.
    pub async fn member(&self, world: &World, role: &str) -> Person {
        let person = world.sign_up().await;
        self.add(&person, role).await;
        person
    }

    /// Adds somebody with a role.
    pub async fn add(&self, person: &Person, role: &str) {
        let body = json!({"email": person.email, "role": role});
        self.owner.client.post(self.path("/members"), body).await.expect(201);
    }

    /// Creates a machine as somebody, and gives its record.
    pub async fn machine(&self, client: &Client, name: &str) -> Value {
        client.post(self.path("/machines"), json!({"name": name})).await.expect(201)
    }
}

/// A JSON string's text.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
