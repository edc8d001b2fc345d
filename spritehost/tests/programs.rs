//! Files, exec and services.

mod harness;

use harness::{DEADLINE, Host, Ran};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn files_are_written_whole_and_read_back() {
    let host = Host::start(&[]).await;
    host.create("files").await;
    let big: Vec<u8> = (0..5_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let written = host.write("files", "/home/sprite/a/b/big", big.clone()).await;
    assert_eq!(written, json!({ "path": "/home/sprite/a/b/big", "size": 5_000_000, "mode": "0755" }));
    let read = host.call(Method::GET, "/v1/sprites/files/fs/read?path=a/b/big", "").await;
    assert!(read.status == StatusCode::OK && read.body == big, "the same bytes come back");
    host.write("files", "/opt/x/y", "root's").await;
    let listed =
        host.run("files", "stat -c '%U %a' /home/sprite/a /home/sprite/a/b/big /opt/x /opt/x/y; ls -A ~/a/b").await;
    assert_eq!(listed.stdout, "sprite 755\nsprite 755\nroot 755\nroot 755\nbig\n");

    let long = "x".repeat(5000);
    let missing = host.call(Method::GET, "/v1/sprites/files/fs/read?path=/nothing", "").await;
    assert_eq!((missing.status, missing.json()["code"].as_str()), (StatusCode::NOT_FOUND, Some("ENOENT")));
    assert_eq!(missing.json()["path"], "/nothing");
    for path in ["fs/read?path=/etc", "fs/read", "fs/read?path=/dev/null", &format!("fs/read?path=/{long}")] {
        let reply = host.call(Method::GET, &format!("/v1/sprites/files/{path}"), "").await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["fs/write?path=/a/b", "fs/write?path=/etc", "fs/write?path=/a&mode=9", "fs/write?path=/etc/hosts/a"] {
        let reply = host.call(Method::PUT, &format!("/v1/sprites/files/{path}"), "x").await;
        assert!(reply.status.is_client_error(), "{path}: {}", reply.text());
    }
    let listing = host.get("/v1/sprites/files/fs/list?path=/opt/x").await;
    assert_eq!((&listing["count"], &listing["entries"][0]["name"]), (&json!(1), &json!("y")));

    let file = host.get("/v1/sprites/files/fs/list?path=/opt/x/y").await;
    assert_eq!((&file["count"], &file["entries"][0]["size"]), (&json!(1), &json!(6)), "a file is listed as itself");

    // A link in the guest leads to the guest's files, never to the host's.
    host.run("files", "sudo ln -s / /opt/out; sudo ln -sfn ../../../../../../../etc/hostname /opt/name").await;
    host.write("files", "/opt/name", "from-outside").await;
    assert_eq!(host.run("files", "cat /etc/hostname; readlink /opt/name >&2").await.stdout, "from-outside");
    assert_ne!(std::fs::read_to_string("/etc/hostname").unwrap_or_default(), "from-outside");
}

#[tokio::test]
async fn a_broken_upload_leaves_the_old_file() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = Host::start(&[]).await;
    host.create("files").await;
    host.write("files", "/opt/x", "old").await;
    let address = host.base.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT /v1/sprites/files/fs/write?path=/opt/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 1000000\r\n\r\nhalf",
        harness::TOKEN
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let seen = host.run("files", "until ls -A /opt | grep partial; do sleep 0.01; done").await;
    assert!(seen.stdout.contains(".partial"));
    drop(stream);
    let gone = host.run("files", "while ls -A /opt | grep -q partial; do sleep 0.01; done; cat /opt/x").await;
    assert_eq!(gone.stdout, "old");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(head.replace("1000000", "536870913").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 413"), "refused by its length alone");
}

#[tokio::test]
async fn files_are_moved_copied_changed_and_removed() {
    let host = Host::start(&[]).await;
    host.create("files").await;
    host.run("files", "mkdir -p a/b && echo one > a/b/one && ln -s b/one a/link && echo two > two").await;
    let post = async |call: &str, body: Value| {
        let reply = host.call(Method::POST, &format!("/v1/sprites/files/fs/{call}"), body.to_string()).await;
        (reply.status.as_u16(), reply.json())
    };
    let copied = post("copy", json!({ "source": "a", "dest": "/opt/c", "recursive": true })).await;
    assert_eq!(copied, (200, json!({ "source": "/home/sprite/a", "dest": "/opt/c", "count": 4 })));
    let preserved = json!({ "source": "a/b/one", "dest": "/opt/kept", "workingDir": "", "preserveAttrs": true });
    assert_eq!(post("copy", preserved).await.0, 200);
    let moved = post("rename", json!({ "source": "two", "dest": "a/three", "workingDir": "/home/sprite" })).await;
    assert_eq!(moved, (200, json!({ "source": "/home/sprite/two", "dest": "/home/sprite/a/three" })));
    assert_eq!(post("chmod", json!({ "path": "/opt/c", "mode": "0750", "recursive": true })).await.1["count"], 4);
    assert_eq!(post("chown", json!({ "path": "/opt/c/b", "uid": "sprite", "gid": 1000 })).await.0, 200);
    let seen =
        host.run("files", "cd /opt; sudo stat -c '%n %U %a' kept c c/b; sudo cat c/link; sudo ls c/b; ls ~/a").await;
    let expected = "kept sprite 644\nc root 750\nc/b sprite 750\none\none\nb\nlink\nthree\n";
    assert_eq!(seen.stdout, expected, "{}", seen.stderr);

    for (call, body, code) in [
        ("copy", json!({ "source": "a", "dest": "/opt/d" }), "EISDIR"),
        ("copy", json!({ "source": "/opt", "dest": "/opt/c/d", "recursive": true }), "EINVAL"),
        ("rename", json!({ "source": "nothing", "dest": "x" }), "ENOENT"),
        ("rename", json!({ "source": "a", "dest": "a/b/c" }), "EINVAL"),
        ("chmod", json!({ "path": "nothing", "mode": "0644" }), "ENOENT"),
        ("chown", json!({ "path": "a", "uid": "nobody-of-that-name" }), "EINVAL"),
    ] {
        let (status, refused) = post(call, body.clone()).await;
        assert_eq!((status >= 400, refused["code"].as_str()), (true, Some(code)), "{call} {body}");
    }
    for (call, body) in
        [("chmod", json!({ "path": "a", "mode": "x" })), ("chown", json!({ "path": "a" })), ("copy", json!({}))]
    {
        assert_eq!(post(call, body).await.0, 400, "{call}");
    }
    let delete = async |query: &str| {
        let reply = host.call(Method::DELETE, &format!("/v1/sprites/files/fs/delete?{query}"), "").await;
        (reply.status.as_u16(), reply.json())
    };
    assert_eq!(delete("path=a").await.1["code"], "ENOTEMPTY");
    assert_eq!(delete("path=/&recursive=true").await.1["code"], "EINVAL");
    assert_eq!(delete("path=a&recursive=true").await, (200, json!({ "deleted": ["/home/sprite/a"], "count": 1 })));
    // Both are 404; only the file's has a code.
    let (status, no_file) = delete("path=a").await;
    let no_sprite = host.call(Method::DELETE, "/v1/sprites/nobody/fs/delete?path=a", "").await;
    assert_eq!((status, no_file["code"].as_str()), (404, Some("ENOENT")));
    assert_eq!((no_sprite.status, no_sprite.json().get("code")), (StatusCode::NOT_FOUND, None));
}

#[tokio::test]
async fn files_that_are_watched_tell_what_happens_to_them() {
    let host = Host::start(&["--warm-after", "3s"]).await;
    host.create("files").await;
    host.run("files", "mkdir -p a/b; touch single").await;
    let mut watch = host.open("/v1/sprites/files/fs/watch").await;
    watch.say(&json!({ "type": "subscribe", "paths": ["a", "single"], "recursive": true })).await;
    let told = watch.text().await;
    assert_eq!(told, json!({ "type": "subscribed", "paths": ["/home/sprite/a", "/home/sprite/single"] }));
    let happen = async |script: &str| host.run("files", script).await;
    for (script, event, path, is_dir) in [
        ("mkdir a/b/new", "create", "/home/sprite/a/b/new", true),
        ("echo -n 12345 >> single", "write", "/home/sprite/single", false),
        ("chmod 600 single", "chmod", "/home/sprite/single", false),
        // In a folder that came later, too.
        ("mkfifo a/b/new/pipe", "create", "/home/sprite/a/b/new/pipe", false),
        ("rm a/b/new/pipe", "remove", "/home/sprite/a/b/new/pipe", false),
        ("mv a/b/new a/other", "rename", "/home/sprite/a/b/new", true),
    ] {
        happen(script).await;
        let told = watch.text().await;
        let seen = (told["event"].as_str(), told["path"].as_str(), told["isDir"].as_bool());
        assert_eq!(seen, (Some(event), Some(path), Some(is_dir)), "{script}: {told}");
    }
    let mut wrong = host.open("/v1/sprites/files/fs/watch").await;
    wrong.say(&json!({ "type": "subscribe", "paths": ["nothing"] })).await;
    assert_eq!(wrong.text().await["type"], "error");
    // Watching keeps nothing awake.
    host.until("files", "warm").await;
    assert_eq!(watch.closed().await, None);
}

#[tokio::test]
async fn exec_runs_as_the_user_and_reports_what_happened() {
    let host = Host::start(&[]).await;
    let created = json!({ "name": "exec", "environment": { "MINE": "yes" } }).to_string();
    host.call(Method::POST, "/v1/sprites", created).await;
    let ran = host.run("exec", "echo $(id -un) $(pwd) $HOME $LANG $MINE $(hostname); echo oops >&2; exit 7").await;
    let expected = "sprite /home/sprite /home/sprite C.UTF-8 yes exec\n";
    assert_eq!(ran, Ran { code: 7, stdout: expected.into(), stderr: "oops\n".into() });

    assert_eq!(host.run("exec", "kill -9 $$").await.code, 137);
    let missing = host.exec("exec", &[("cmd", "no-such-program")], b"").await;
    assert_eq!(missing.code, 127, "{}", missing.stderr);
    let replaced = host.exec("exec", &[("cmd", "/usr/bin/env"), ("env", "A=b")], b"").await;
    assert_eq!(replaced.stdout, "A=b\n", "a given environment replaces the usual one");
    let elsewhere = host.exec("exec", &[("cmd", "pwd"), ("dir", "/tmp")], b"").await;
    assert_eq!(elsewhere.stdout, "/tmp\n");

    let input: Vec<u8> = (0..3_000_000_u32).map(|number| b'a' + (number % 26) as u8).collect();
    let echoed = host.exec("exec", &[("cmd", "cat")], &input).await;
    assert!(echoed.code == 0 && echoed.stdout.as_bytes() == input, "{} bytes came back", echoed.stdout.len());
    // A caller that reads late still gets everything; one that feeds and doesn't read doesn't block its own output.
    let much = host.run("exec", "head -c 20000000 /dev/zero | tr '\\0' x; exit 4").await;
    assert_eq!((much.code, much.stdout.len()), (4, 20_000_000));
    // Many short ones: none may lose its output.
    for number in 0..30 {
        assert_eq!(host.run("exec", &format!("echo {number}")).await.stdout, format!("{number}\n"));
    }
    // A child that keeps the pipe open doesn't keep the call.
    assert_eq!(host.run("exec", "sleep 60 & echo done").await.stdout, "done\n");

    let once = host.call(Method::POST, "/v1/sprites/exec/exec?cmd=tr&cmd=a&cmd=b", "banana").await;
    assert_eq!(&once.body[..], b"\x01bbnbnb\x03\x00");
    let refused = host.call(Method::POST, "/v1/sprites/exec/exec?cmd=no-such-program", "").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(host.call(Method::POST, "/v1/sprites/exec/exec", "").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn services_start_stop_and_come_back() {
    let host = Host::start(&[]).await;
    host.create("svc").await;
    let state = async || host.get("/v1/sprites/svc/services/a").await["state"].clone();
    let definition = json!({ "cmd": "sh", "args": ["-c", "echo hello $X; exec sleep 1000"], "env": { "X": "you" } });
    let events = host.put_service("svc", "a", &definition).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"complete")));
    let running = state().await;
    assert_eq!((&running["status"], &running["restart_count"]), (&json!("running"), &json!(0)));
    assert_eq!(host.get("/v1/sprites/svc/services").await[0]["needs"], json!([]));
    assert_eq!(host.get("/v1/sprites/svc/services/a").await["needs"], Value::Null);

    // Killed by somebody: it is started again.
    host.run("svc", &format!("kill -9 {}", running["pid"])).await;
    let started = std::time::Instant::now();
    loop {
        let now = state().await;
        if now["status"] == "running" && now["pid"] != running["pid"] {
            assert_eq!(now["restart_count"], 1);
            break;
        }
        assert!(started.elapsed() < DEADLINE, "it was not started again: {now}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let stopped = host.call(Method::POST, "/v1/sprites/svc/services/a/stop?timeout=5s", "").await;
    assert!(stopped.text().contains(r#""type":"stopped""#), "{}", stopped.text());
    let now = state().await;
    assert_eq!((&now["status"], &now["error"]), (&json!("failed"), &json!("exited with code 143")));
    let started = host.call(Method::POST, "/v1/sprites/svc/services/a/start?duration=0s", "").await;
    assert!(started.text().contains(r#""type":"started""#), "{}", started.text());
    let logs = host.call(Method::GET, "/v1/sprites/svc/services/a/logs?lines=1", "").await;
    assert!(logs.text().contains("hello you"), "{}", logs.text());

    let signal = async |name: &str, signal: &str| {
        let body = json!({ "name": name, "signal": signal }).to_string();
        host.call(Method::POST, "/v1/sprites/svc/services/signal", body).await.status.as_u16()
    };
    let talker = "trap 'echo heard' USR1; echo up; while :; do sleep 0.05; done";
    host.put_service("svc", "talker", &json!({ "cmd": "bash", "args": ["-c", talker] })).await;
    let followed = async {
        let path = "/v1/sprites/svc/services/talker/logs?duration=2s";
        host.call(Method::GET, path, "").await.text()
    };
    let signalled = async {
        host.run("svc", "until grep -q up /.sprite/logs/services/talker.log; do sleep 0.01; done").await;
        signal("talker", "USR1").await
    };
    let (followed, signalled) = tokio::join!(followed, signalled);
    assert!(signalled == 204 && followed.contains("heard"), "{followed}");
    assert_eq!((signal("talker", "STOP").await, signal("nobody", "USR1").await), (400, 404));
    host.call(Method::POST, "/v1/sprites/svc/services/talker/stop", "").await;
    assert_eq!(signal("talker", "USR1").await, 409);
    assert_eq!(host.call(Method::PUT, "/v1/sprites/svc/services/signal", "{\"cmd\":\"x\"}").await.status, 404);

    let path = "/v1/sprites/svc/services/once?duration=10s";
    let short = json!({ "cmd": "sh", "args": ["-c", "echo out; exit 3"] }).to_string();
    let short = host.call(Method::PUT, path, short).await.text();
    assert!(short.contains(r#""exit_code":3"#) && short.contains(r#""data":"out\n""#), "{short}");
    let broken = host.put_service("svc", "broken", &json!({ "cmd": "no-such-program" })).await;
    assert_eq!(broken[0]["type"], "error");

    assert_eq!(host.call(Method::DELETE, "/v1/sprites/svc/services/a", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(host.call(Method::GET, "/v1/sprites/svc/services/a", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(host.call(Method::PUT, "/v1/sprites/svc/services/.x", "{\"cmd\":\"x\"}").await.status, 400);
    assert_eq!(host.run("svc", "pgrep -f '[s]leep 1000'").await.code, 1, "its process is gone");
}
