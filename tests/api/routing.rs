//! Hosts, paths, methods, bodies, and requests that another site caused: what is decided before an operation runs.

use serde_json::json;
use snapvm_tests::chance::word;
use snapvm_tests::world;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn an_unknown_host_has_nothing() {
    let site = world().site();
    for host in [
        "evil.test".to_owned(),
        format!("evil.localhost:{}", site.port),
        format!("127.0.0.1:{}", site.port),
        "localhost:1".to_owned(),
        format!("apps.localhost:{}", site.port),
        format!("a--b--c--d.apps.localhost:{}", site.port),
        format!("80--demo--team.apps.localhost:{}", site.port),
        format!("8080--demo--team.apps.localhost:{}", site.port),
        format!("demo--.apps.localhost:{}", site.port),
        format!("x.demo--team.apps.localhost:{}", site.port),
        format!("localhost.evil.test:{}", site.port),
    ] {
        for path in ["/", "/v1/health", "/v1/account", "/index.html"] {
            let answer = world().anonymous().request("GET", path).header("host", &host).send().await;
            assert_eq!(answer.status, 404, "{host}{path}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn an_unknown_path_has_nothing_and_a_known_one_names_its_methods() {
    let client = world().anonymous();
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/health/", "/v1//health", "/v1/orgs/a/machines/b/c"] {
        client.get(path).await.problem(404, "not_found");
    }
    let refused = client.delete("/v1/orgs").await;
    refused.problem(405, "method");
    assert_eq!(refused.header("allow"), Some("GET, POST"));
    let head = client.request("HEAD", "/v1/health").send().await;
    assert_eq!((head.status, head.body.len()), (405, 0));
    client.request("OPTIONS", "/v1/account").send().await.problem(405, "method");
}

#[tokio::test]
async fn health_and_config_are_anybodys() {
    let client = world().anonymous();
    assert_eq!(client.get("/v1/health").await.expect(200), json!({"status": "ok"}));
    let config = client.get("/v1/config").await.expect(200);
    assert!(config["apps"].as_str().unwrap().starts_with("http://*.apps.localhost:"), "{config}");
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_declared_or_not() {
    let person = world().sign_up().await;
    let post = || person.client.request("POST", "/v1/orgs").header("content-type", "application/json");
    post().bytes(vec![b' '; MIB + 1]).send().await.problem(413, "too_large");
    post().chunks(vec![vec![b' '; 64 * 1024]; 17]).send().await.problem(413, "too_large");
    // Just below it, it is read.
    let body = json!({"slug": format!("o{}", word()), "name": "Org"}).to_string();
    let padded = format!("{body}{}", " ".repeat(MIB - body.len()));
    post().bytes(padded.clone().into_bytes()).send().await.expect(201);
    let pieces = padded.as_bytes().chunks(100_000).map(<[u8]>::to_vec).collect();
    post().chunks(pieces).send().await.problem(409, "slug_taken");
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let person = world().sign_up().await;
    let post = || person.client.request("POST", "/v1/orgs");
    let body = json!({"slug": format!("o{}", word()), "name": "Org"}).to_string();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""]
    {
        let request = post().header("content-type", content_type).bytes(body.clone());
        request.send().await.problem(415, "content_type");
    }
    post().bytes(body.clone()).send().await.problem(415, "content_type");
    let json = || post().header("content-type", "application/json");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for malformed in [
        "",
        "{",
        "null",
        "[]",
        "\"slug\"",
        "{\"slug\": \"a\"}",
        "{\"slug\": 1, \"name\": \"a\"}",
        "{} {}",
        "{\"slug\": \"a\", \"slug\": \"b\", \"name\": \"c\"}",
        "{\"slug\": \"a\", \"name\": \"\\ud800\"}",
        &deep,
    ] {
        json().bytes(malformed).send().await.problem(400, "malformed_body");
    }
    json().bytes(vec![b'{', b'"', 0xff, b'"', b'}']).send().await.problem(400, "malformed_body");
    let unknown = json!({"slug": "a", "name": "Org", "admin": true}).to_string();
    let problem = json().bytes(unknown).send().await.problem(400, "malformed_body");
    assert!(problem["detail"].as_str().unwrap().contains("admin"), "{problem}");
    post().header("content-type", "Application/JSON; charset=utf-8").bytes(body).send().await.expect(201);
}

/// Who asks is decided before what they ask is looked at.
#[tokio::test]
async fn somebody_unknown_learns_nothing_from_a_body() {
    let nobody = world().anonymous();
    nobody.request("POST", "/v1/orgs").bytes("{").send().await.problem(401, "unauthenticated");
    nobody.post("/v1/orgs/none/machines", json!({"name": ""})).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_change_that_another_site_caused_is_refused() {
    let person = world().sign_up().await;
    let site = world().site();
    let app = format!("http://3000--demo--{}.apps.localhost:{}", person.first_org, site.port);
    let own = site.origin.as_str();
    for (origin, fetch_site, allowed) in [
        (Some(own), Some("same-origin"), true),
        (Some(own), None, true),
        (Some(own), Some("same-site"), false),
        (Some(own), Some("cross-site"), false),
        (Some(own), Some("none"), false),
        (Some(app.as_str()), None, false),
        (Some(app.as_str()), Some("same-site"), false),
        (Some("https://evil.test"), None, false),
        (Some("https://evil.test"), Some("cross-site"), false),
        (Some("null"), None, false),
        (Some(""), None, false),
        (Some("https://localhost"), None, false),
        (Some(&own.to_uppercase()), None, false),
        (Some(&format!("{own}.evil.test")), None, false),
        (Some(&format!("{own}/")), None, false),
        (None, None, false),
        (None, Some("cross-site"), false),
        (None, Some("same-origin"), false),
    ] {
        let prepared = |method, path: &str| {
            let mut request = person.client.request(method, path).without("origin").without("sec-fetch-site");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            if let Some(fetch_site) = fetch_site {
                request = request.header("sec-fetch-site", fetch_site);
            }
            request
        };
        let case = format!("{origin:?} {fetch_site:?}");
        let created =
            prepared("POST", "/v1/orgs").json(json!({"slug": format!("o{}", word()), "name": "Org"})).send().await;
        let deleted = prepared("DELETE", "/v1/sessions/0190b6d0-0000-7000-8000-000000000000").send().await;
        let patched = prepared("PATCH", "/v1/orgs/none/machines/none").json(json!({})).send().await;
        let put = prepared("PUT", "/v1/orgs/none/machines/none/ports/3000").json(json!({"label": "a"})).send().await;
        if allowed {
            assert_eq!(created.status, 201, "{case}: {}", created.text());
            for answer in [&deleted, &patched, &put] {
                assert_eq!(answer.status, 404, "{case}: {}", answer.text());
            }
        } else {
            for answer in [&created, &deleted, &patched, &put] {
                answer.problem(403, "cross_site");
            }
        }
        // Reading is safe from anywhere: the browser keeps the answer from the page.
        prepared("GET", "/v1/account").send().await.expect(200);
    }
}

/// Without a cookie a request may only do what anybody may; but not from a page of another site, which would sign its
/// visitor in as somebody else.
#[tokio::test]
async fn signing_somebody_in_from_another_site_is_refused() {
    let nobody = world().anonymous();
    let body = json!({"email": "a@example.com", "password": "correct horse"});
    for (name, value) in [("origin", "https://evil.test"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        let request = nobody.request("POST", "/v1/sessions").header(name, value).json(body.clone());
        request.send().await.problem(403, "cross_site");
    }
    nobody.post("/v1/sessions", body).await.problem(401, "wrong_password");
}

#[tokio::test]
async fn a_cookie_that_is_none_of_ours_is_nobodys() {
    let person = world().sign_up().await;
    let session = person.client.session().unwrap();
    for cookie in [
        String::new(),
        "__Host-snap_session=".to_owned(),
        "__Host-snap_session=x".to_owned(),
        format!("snap_session={session}"),
        format!("x__Host-snap_session={session}"),
        format!("__Host-snap_session={session}x"),
        format!("__Host-snap_session=\"{session}\""),
        format!("__Host-snap_session={}", session.to_uppercase()),
    ] {
        let request = world().anonymous().request("GET", "/v1/account").header("cookie", &cookie);
        request.send().await.problem(401, "unauthenticated");
    }
    let beside = format!("a=b; __Host-snap_session={session}; c");
    world().anonymous().request("GET", "/v1/account").header("cookie", &beside).send().await.expect(200);
}
