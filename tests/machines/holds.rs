//! Holds on a machine that really runs: what the object knows of them, what overrides them, and why it says it is awake.

use serde_json::{Value, json};
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};

use crate::world;

async fn why(machine: &Machine) -> Value {
    let why = machine.client.get(format!("{}/why", machine.path)).await.expect(200);
    assert_eq!(why["live"], true, "{why}");
    why
}

/// A time of an answer, in seconds.
fn seconds(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("{time} is no time"));
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    // Days since a day before all of these, by the calendar that has its leap day last.
    let (year, month) =
        if number(5..7) < 3 { (number(0..4) - 1, number(5..7) + 9) } else { (number(0..4), number(5..7) - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + number(8..10);
    days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)
}

async fn hold(machine: &Machine, minutes: i64) -> Value {
    let body = json!({"reason": "A long build", "minutes": minutes});
    machine.client.post(format!("{}/holds", machine.path), body).await.expect(201)
}

async fn holds(machine: &Machine) -> usize {
    let list = machine.client.get(format!("{}/holds", machine.path)).await.expect(200);
    list["holds"].as_array().unwrap().len()
}

/// The newest line of history of a kind.
async fn newest(machine: &Machine, kind: &str) -> Value {
    let events = machine.client.get(format!("{}/events", machine.path)).await.expect(200);
    let found = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == kind).cloned();
    found.unwrap_or_else(|| panic!("no {kind} in {events}"))
}

#[tokio::test]
async fn an_awake_machine_says_what_keeps_it_so_and_until_when() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("echo hello").await;
    let typed = || async { Some(why(&machine).await).filter(|why| why["last_activity"]["kind"] == "terminal") };
    let quiet = until("the typing is known", PATIENCE, typed).await;
    assert_eq!(seconds(&quiet["sleeps_at"]), seconds(&quiet["last_activity"]["at"]) + 900, "{quiet}");

    // A hold is known to the object at once; the clock begins with its end.
    let held = hold(&machine, 120).await;
    let kept = why(&machine).await;
    assert_eq!(kept["holds"], json!([held]));
    assert!((seconds(&kept["sleeps_at"]) - seconds(&held["until"]) - 900).abs() <= 1, "{kept}");

    // Ended early, the clock starts anew then.
    machine.client.delete(format!("{}/holds/{}", machine.path, held["id"].as_str().unwrap())).await.expect(204);
    let free = why(&machine).await;
    assert_eq!(free["holds"], json!([]));
    let (sleeps, before) = (seconds(&free["sleeps_at"]), seconds(&quiet["sleeps_at"]));
    assert!(before <= sleeps && sleeps < seconds(&kept["sleeps_at"]) - 3600, "{free}");

    // A program's own task is named.
    let task = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/.sprite/api.sock'); \
        b = b'{\\x22expire\\x22:\\x2210m\\x22}'; \
        s.send(b'PUT /v1/tasks/nightly HTTP/1.1\\r\\nhost: x\\r\\ncontent-type: application/json\\r\\n'); \
        s.send(b'content-length: %d\\r\\n\\r\\n' % len(b) + b); \
        print(s.recv(12).decode()[9:])";
    let said = terminal.run(&format!("python3 -c \"{task}\"")).await;
    assert!(said.starts_with('2'), "{said}");
    let named = || async { Some(why(&machine).await).filter(|why| why["tasks"] == json!(["nightly"])) };
    let named = until("the task is known", PATIENCE, named).await;
    assert_eq!(named["sleeps_at"], Value::Null, "nobody knows how long it lasts");
    assert!(named["changes"].to_string().contains("nightly"), "{named}");
}

#[tokio::test]
async fn a_persons_word_overrides_holds_and_says_so() {
    let (org, machine) = Machine::running(world()).await;
    hold(&machine, 60).await;
    let ordered = machine.order("hibernate").await;
    let reason = "Hibernating, by hand, although a hold was to keep it awake.";
    assert_eq!(ordered["reason"], reason);
    machine.until("hibernated").await;
    let written = newest(&machine, "hibernating").await;
    assert_eq!((&written["detail"], &written["actor"]), (&json!(reason), &json!(org.owner.name)));

    // It lasts, and wakes nothing; another one neither.
    hold(&machine, 30).await;
    let asleep = why(&machine).await;
    assert_eq!((&asleep["state"], &asleep["sleeps_at"]), (&json!("hibernated"), &Value::Null));
    assert_eq!(asleep["holds"].as_array().unwrap().len(), 2);
    let status = world().sprites().status(&machine.sprite()).await;
    assert!(matches!(status.as_deref(), Some("warm" | "cold")), "{status:?}");

    // Awake again, it is held.
    machine.order("start").await;
    machine.until("running").await;
    let held = why(&machine).await;
    let last = seconds(&held["holds"][1]["until"]);
    assert!((seconds(&held["sleeps_at"]) - last - 900).abs() <= 1, "{held}");

    // A stop ends them all.
    let stopped = machine.order("stop").await;
    assert_eq!(stopped["reason"], "Stopping, although 2 holds were to keep it awake.");
    let ended = || async { (holds(&machine).await == 0).then_some(()) };
    until("the holds ended", PATIENCE, ended).await;
    machine.until("stopped").await;
    let body = json!({"reason": "Too late", "minutes": 5});
    machine.client.post(format!("{}/holds", machine.path), body).await.problem(409, "state");
    assert_eq!(why(&machine).await["changes"], json!(["Only Start wakes it."]));
}
