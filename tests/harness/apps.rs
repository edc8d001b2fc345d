//! A visitor of a machine's app: the handshake that lets a browser in, step by step, and requests with its cookie.

use crate::client::{Answer, Client, Request};
use crate::world::World;

/// The cookie of an app's host.
pub const APP_COOKIE: &str = "__Host-snap_app";
/// The cookie that ties a handshake to a browser.
pub const PRE_COOKIE: &str = "__Host-snap_pre";

/// A browser at an app's host.
#[derive(Debug, Clone)]
pub struct Visitor {
    client: Client,
    /// The host.
    pub host: String,
    /// The cookies to send.
    pub cookies: String,
}

/// A handshake that has come as far as its code.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The path of the callback, with its code.
    pub callback: String,
    /// The cookie of the browser that began it.
    pub pre: String,
}

/// The value that an answer sets a cookie to.
pub fn set_cookie(answer: &Answer, name: &str) -> Option<String> {
    let mut lines = answer.headers.iter().filter(|(header, _)| header == "set-cookie").map(|(_, value)| value);
    lines.find_map(|line| {
        let (pair, _) = line.split_once(';').unwrap_or((line, ""));
        pair.split_once('=').filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.to_owned())
    })
}

impl Visitor {
    /// Somebody without a cookie.
    pub fn new(world: &World, host: &str) -> Self {
        Self { client: world.anonymous(), host: host.to_owned(), cookies: String::new() }
    }

    /// The same visitor with these cookies.
    #[must_use]
    pub fn with(&self, cookies: &str) -> Self {
        Self { cookies: cookies.to_owned(), ..self.clone() }
    }

    /// Somebody who is let in, as the person whose browser this is.
    pub async fn admitted(world: &World, host: &str, person: &Client) -> Self {
        let mut visitor = Self::new(world, host);
        let handshake = visitor.code(person).await;
        let finished = visitor.finish(&handshake.callback, &handshake.pre).await;
        assert_eq!(finished.status, 302, "{}", finished.text());
        let cookie = set_cookie(&finished, APP_COOKIE).expect("the app's cookie");
        visitor.cookies = format!("{APP_COOKIE}={cookie}");
        visitor
    }

    /// A request to the host, with the cookies.
    pub fn request(&self, method: &'static str, path: &str) -> Request {
        let request = self.client.request(method, path).header("host", &self.host);
        if self.cookies.is_empty() { request } else { request.header("cookie", &self.cookies) }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// `GET`, as a browser does that follows a link.
    pub async fn navigate(&self, path: &str) -> Answer {
        self.request("GET", path).header("sec-fetch-mode", "navigate").send().await
    }

    /// The first two steps of the handshake, as the person whose browser this is.
    pub async fn code(&self, person: &Client) -> Handshake {
        let begun = self.with("").navigate("/wanted?x=1").await;
        assert_eq!(begun.status, 302, "{}", begun.text());
        let pre = set_cookie(&begun, PRE_COOKIE).expect("the handshake's cookie");
        let authorized = person.get(path_of(begun.header("location").expect("a location"))).await;
        assert_eq!(authorized.status, 302, "{}", authorized.text());
        let location = authorized.header("location").expect("a location");
        assert!(location.starts_with(&format!("http://{}/.snapvm/callback?code=", self.host)), "{location}");
        Handshake { callback: path_of(location).to_owned(), pre }
    }

    /// The last step of the handshake.
    pub async fn finish(&self, callback: &str, pre: &str) -> Answer {
        let request = self.client.request("GET", callback).header("host", &self.host);
        request.header("cookie", &format!("{PRE_COOKIE}={pre}")).send().await
    }
}

/// A URL without its origin.
pub fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}
