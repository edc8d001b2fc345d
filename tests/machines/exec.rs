//! One-shot commands through the front door: what they give, how they end, who may run them, and what they wake.

use serde_json::{Value, json};
use snapvm_protocol::tickets::{Purpose, Signer, Ticket};
use snapvm_tests::apps::Visitor;
use snapvm_tests::client::Answer;
use snapvm_tests::events::Events;
use snapvm_tests::machines::Machine;
use snapvm_tests::sprites::processes;
use snapvm_tests::{Client, PATIENCE, rows, until};
use tokio::sync::OnceCell;

use crate::world;

/// One machine for the tests that leave it as it was, and its organization.
async fn demo() -> &'static (snapvm_tests::Org, Machine) {
    static DEMO: OnceCell<(snapvm_tests::Org, Machine)> = OnceCell::const_new();
    DEMO.get_or_init(|| Machine::running(world())).await
}

async fn ask(client: &Client, machine: &Machine, command: Value) -> Answer {
    client.post(format!("{}/exec", machine.path), command).await
}

async fn run(machine: &Machine, command: Value) -> Value {
    ask(&machine.client, machine, command).await.expect(200)
}

fn sh(line: &str) -> Value {
    json!({"command": "sh", "args": ["-c", line]})
}

async fn follow(machine: &Machine, command: Value) -> Events {
    let request = machine.client.request("POST", format!("{}/exec", machine.path)).json(command);
    let events = request.header("accept", "text/event-stream").open().await;
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
    events
}

/// A word that no other process has among its arguments.
fn word() -> String {
    format!("86400.{}", getrandom::u32().unwrap())
}

async fn until_gone(word: &str) {
    until(&format!("no process has {word}"), PATIENCE, || async { processes(word).is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_command_gets_what_it_was_given_and_gives_what_it_wrote() {
    let (_, machine) = demo().await;
    let given = run(
        machine,
        json!({
            "command": "sh",
            "args": ["-c", "cat; pwd; echo \"$WHO $1\" >&2; exit 7", "-", "two words"],
            "env": {"WHO": "a=b\n"},
            "cwd": "/var/tmp",
            "stdin": "ä\n",
        }),
    )
    .await;
    assert_eq!((&given["stdout"], &given["stdout_encoding"]), (&json!("ä\n/var/tmp\n"), &json!("utf-8")));
    assert_eq!((&given["stderr"], &given["exit_code"]), (&json!("a=b\n two words\n"), &json!(7)));
    let home = run(machine, sh("test \"$PWD\" = \"$HOME\" && kill -9 $$")).await;
    assert_eq!((&home["exit_code"], &home["signal"]), (&Value::Null, &json!(9)));
    let bytes = json!({"command": "cat", "stdin_base64": "/wD+"});
    let bytes = run(machine, bytes).await;
    assert_eq!((&bytes["stdout"], &bytes["stdout_encoding"]), (&json!("/wD+"), &json!("base64")));
    let limited = json!({"command": "head", "args": ["-c", "9000000", "/dev/zero"], "output_limit": 10});
    let limited = run(machine, limited).await;
    assert_eq!((&limited["stdout_truncated"], &limited["stderr_truncated"]), (&json!(true), &json!(false)));
    assert_eq!((limited["stdout"].as_str().unwrap().len(), &limited["exit_code"]), (10, &json!(0)));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let (_, machine) = demo().await;
    let client = &machine.client;
    for (command, field) in [
        (json!({"command": " "}), "command"),
        (json!({"command": "a\0b"}), "command"),
        (json!({"command": "true", "args": ["a\0"]}), "args"),
        (json!({"command": "true", "env": {"A=B": ""}}), "env"),
        (json!({"command": "true", "cwd": "\0"}), "cwd"),
        (json!({"command": "true", "stdin": "", "stdin_base64": ""}), "stdin_base64"),
        (json!({"command": "true", "stdin_base64": "*"}), "stdin_base64"),
        (json!({"command": "true", "timeout_seconds": 0}), "timeout_seconds"),
        (json!({"command": "true", "timeout_seconds": 3601}), "timeout_seconds"),
        (json!({"command": "true", "output_limit": 8_388_609}), "output_limit"),
    ] {
        ask(client, machine, command).await.invalid(field);
    }
    for body in
        [json!({}), json!({"command": "true", "detach": true}), json!({"command": "true", "timeout_seconds": 1.5})]
    {
        ask(client, machine, body).await.problem(400, "malformed_body");
    }
    let long = json!({"command": "cat", "stdin": "a".repeat(1024 * 1024)});
    ask(client, machine, long).await.problem(413, "too_large");
    // Only the machine can tell these.
    for (command, code, field) in [
        (json!({"command": "no-such-program"}), "program_not_found", "command"),
        (json!({"command": "/etc/passwd"}), "not_executable", "command"),
        (json!({"command": "true", "cwd": "/no/such/folder"}), "directory_not_found", "cwd"),
    ] {
        let problem = ask(client, machine, command).await.problem(422, code);
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn time_ends_a_command_and_everything_it_started() {
    let (_, machine) = demo().await;
    let word = word();
    let line =
        format!("trap '' TERM; sh -c 'sleep {word} & wait' & bash -c 'set -m; sleep {word} & wait' & wait; wait");
    let ended = run(machine, json!({"command": "sh", "args": ["-c", line], "timeout_seconds": 1})).await;
    assert_eq!((&ended["timed_out"], &ended["exit_code"].is_null()), (&json!(true), &ended["signal"].is_number()));
    until_gone(&word).await;
}

#[tokio::test]
async fn events_come_while_the_program_runs_and_go_with_their_reader() {
    let (_, machine) = demo().await;
    let gate = format!("/tmp/{}", word());
    let line = format!("mkfifo {gate}; printf 'first\\n'; echo wrong >&2; read x < {gate}; echo $x; exit 3");
    let mut events = follow(machine, sh(&line)).await;
    assert_eq!(events.header("cache-control"), Some("no-store"));
    assert!(events.header("x-request-id").is_some());
    assert!(events.headers.iter().all(|(name, _)| !name.starts_with("x-snap-")), "{:?}", events.headers);
    let mut first =
        [events.event().await.unwrap(), events.event().await.unwrap()].map(|(name, data)| format!("{name} {data}"));
    first.sort();
    assert_eq!(first, [r#"stderr {"text":"wrong\n"}"#, r#"stdout {"text":"first\n"}"#]);
    // It waits for what comes only now: the events before came while it ran.
    run(machine, sh(&format!("echo second > {gate}"))).await;
    assert_eq!(events.until("stdout").await, json!({"text": "second\n"}));
    let exit = events.until("exit").await;
    assert_eq!((&exit["exit_code"], &exit["timed_out"]), (&json!(3), &json!(false)));
    assert_eq!(events.next().await, None);

    // Whoever goes takes the command along, with events and without.
    let word = word();
    let mut events = follow(machine, sh(&format!("echo here; sleep {word} & sleep {word}"))).await;
    assert_eq!(events.until("stdout").await, json!({"text": "here\n"}));
    until("it runs", PATIENCE, || async { (!processes(&word).is_empty()).then_some(()) }).await;
    drop(events);
    until_gone(&word).await;
    let request = machine.client.request("POST", format!("{}/exec", machine.path)).json(sh(&format!("sleep {word}")));
    let waiting = request.open().await;
    assert_eq!((waiting.status, waiting.header("content-type")), (200, Some("application/json")));
    until("it runs", PATIENCE, || async { (!processes(&word).is_empty()).then_some(()) }).await;
    drop(waiting);
    until_gone(&word).await;
}

#[tokio::test]
async fn whoever_may_not_write_runs_nothing_and_the_audit_log_knows_who_did() {
    let (org, machine) = demo().await;
    let file = format!("/tmp/{}", word());
    let touch = || json!({"command": "/usr/bin/touch", "args": [file], "env": {"SECRET": "s3cret"}});
    let viewer = org.member(world(), "viewer").await.client;
    ask(&viewer, machine, touch()).await.problem(403, "role");
    let (reader, _) = org.owner.token("read").await;
    ask(&reader, machine, touch()).await.problem(403, "scope");
    let outsider = world().org().await.owner.client;
    ask(&outsider, machine, touch()).await.problem(404, "not_found");
    ask(&world().anonymous(), machine, touch()).await.problem(401, "unauthenticated");
    let nowhere = org.owner.client.post(org.path("/machines/never/exec"), touch()).await;
    nowhere.problem(404, "not_found");
    assert_eq!(run(machine, json!({"command": "test", "args": ["-e", file]})).await["exit_code"], 1);

    let member = org.member(world(), "member").await.client;
    ask(&member, machine, touch()).await.expect(200);
    let (writer, _) = org.owner.token("write").await;
    let done = ask(&writer, machine, touch()).await;
    done.expect(200);
    let superuser = world().superuser().await;
    let query = "select to_jsonb(a)::text from app.audit a where a.request_id = $1";
    let row: String = rows::value(&superuser, query, &[done.request_id()]).await;
    let entry: Value = serde_json::from_str(&row).unwrap();
    assert_eq!((&entry["operation"], &entry["target"]), (&json!("exec_create"), &json!("demo touch")));
    assert!(!row.contains(&file) && !row.contains("s3cret"), "{row}");
}

#[tokio::test]
async fn an_apps_visitor_cannot_reach_where_commands_are_taken() {
    let (org, machine) = demo().await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    let signer = Signer::from_seed_text(&world().stack.secrets.platform_key_seed).unwrap();
    let now = i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let epoch: i64 = rows::value(
        &world().superuser().await,
        "select epoch::bigint from app.machine where id = $1::text::uuid",
        &[&machine.id],
    )
    .await;
    let file = format!("/tmp/{}", word());
    let touch = json!({"command": "touch", "args": [file]}).to_string();
    for purpose in [
        Purpose::Ingress { epoch: epoch.unsigned_abs() },
        // Even one that would do, had it come another way.
        Purpose::Exec { epoch: epoch.unsigned_abs() },
    ] {
        for path in [
            "/.snapvm/agent/exec",
            "/x/../.snapvm/agent/exec",
            "/%2esnapvm/agent/exec",
            "//.snapvm/agent/exec",
            "/.snapvm%2fagent/exec",
            "/./.snapvm/agent/exec?x",
            "/.snapvm/agent/logs",
        ] {
            let jti = rows::new_id();
            let ticket = Ticket { machine: machine.id.parse().unwrap(), generation: 1, purpose, jti };
            let ticket = signer.ticket(&ticket, now).unwrap();
            let request = visitor.request("POST", path).bytes(touch.clone()).header("content-type", "application/json");
            let answer = request.header("x-snap-ticket", &ticket).send().await;
            assert!(matches!(answer.status, 400 | 403 | 404 | 502), "{path}: {} {}", answer.status, answer.text());
        }
    }
    assert_eq!(run(machine, json!({"command": "test", "args": ["-e", file]})).await["exit_code"], 1);
}

#[tokio::test]
async fn a_sleeping_machine_wakes_and_a_stopped_one_says_so() {
    let (_, machine) = Machine::running(world()).await;
    run(&machine, sh("echo kept > file")).await;
    let word = word();
    // A command that is under way does not outlive an order to sleep.
    let mut events = follow(&machine, sh(&format!("echo here; sleep {word}"))).await;
    events.until("stdout").await;
    machine.order("hibernate").await;
    assert_eq!(events.until("exit").await["interrupted"], "machine_sleeping");
    until_gone(&word).await;
    machine.until("hibernated").await;

    // Any number of callers wake it once.
    let calls = (0..6).map(|_| run(&machine, json!({"command": "cat", "args": ["file"]})));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer["stdout"], "kept\n");
    }
    machine.until("running").await;
    let events = machine.client.get(format!("{}/events", machine.path)).await.expect(200);
    let woken = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "waking").count();
    assert_eq!(woken, 1, "{events}");

    // Also when the runtime has let its memory go.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    let cold =
        || async { (world().sprites().status(&machine.sprite()).await.as_deref() == Some("cold")).then_some(()) };
    until("the sprite is cold", PATIENCE, cold).await;
    assert_eq!(run(&machine, json!({"command": "cat", "args": ["file"]})).await["stdout"], "kept\n");

    machine.order("stop").await;
    let problem = ask(&machine.client, &machine, sh("true")).await.problem(409, "stopped");
    assert!(problem["detail"].as_str().unwrap().contains("Start it"), "{problem}");
    machine.until("stopped").await;
    ask(&machine.client, &machine, sh("true")).await.problem(409, "stopped");
    assert_ne!(world().sprites().status(&machine.sprite()).await.as_deref(), Some("running"));
    machine.order("start").await;
    machine.until("running").await;
    assert_eq!(run(&machine, json!({"command": "cat", "args": ["file"]})).await["stdout"], "kept\n");
}

#[tokio::test]
async fn a_machine_has_so_many_commands_at_once() {
    let (_, machine) = Machine::running(world()).await;
    let word = word();
    let mut running = Vec::new();
    for _ in 0..32 {
        running.push(follow(&machine, json!({"command": "sleep", "args": [word], "timeout_seconds": 3600})).await);
    }
    let problem = ask(&machine.client, &machine, sh("true")).await.problem(429, "too_many_commands");
    assert!(problem["detail"].as_str().unwrap().contains("32"), "{problem}");
    drop(running);
    until_gone(&word).await;
    let free = || async { (ask(&machine.client, &machine, sh("true")).await.status == 200).then_some(()) };
    until("there is room again", PATIENCE, free).await;
}

#[tokio::test]
async fn a_member_who_is_removed_loses_what_runs() {
    let (org, machine) = Machine::running(world()).await;
    let member = org.member(world(), "member").await;
    let theirs = machine.used_by(&member.client);
    let word = word();
    let mut events = follow(&theirs, json!({"command": "sleep", "args": [word], "timeout_seconds": 3600})).await;
    until("it runs", PATIENCE, || async { (!processes(&word).is_empty()).then_some(()) }).await;
    org.owner.client.delete(org.path(&format!("/members/{}", member.account))).await.expect(204);
    ask(&member.client, &machine, sh("true")).await.problem(404, "not_found");
    // The object learns of the newer epoch from the next caller, and tells the agent.
    run(&machine, sh("true")).await;
    assert_eq!(events.until("exit").await["interrupted"], "access_changed");
    until_gone(&word).await;
}
