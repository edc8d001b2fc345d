//! One-shot commands: who may run one, what it gets, how it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{Purpose, Signer};

use crate::support::exec::{Caller, PATH, gone, result, run, shell, with};
use crate::support::http::{lease, send, wake};
use crate::support::{World, apps, machine, now_ms, origin, platform, soon, ticket, ticket_of};

/// Orphans come to the agent, as they do where it is process 1; a short grace.
async fn world() -> World {
    World::with(json!({"command_grace": 300}), &[]).await
}

fn sh(line: &str) -> Value {
    json!({"command": "/bin/sh", "args": ["-c", line]})
}

#[tokio::test]
async fn a_ticket_that_is_not_for_this_runs_nothing() {
    let mut world = world().await;
    let _control = world.control().await;
    let file = world.home.path().join("ran");
    let command = json!({"command": "touch", "args": [file]});
    let exec = Purpose::Exec { epoch: 1 };
    let used = ticket(exec);
    assert_eq!(with(world.address, &used, &sh("true")).await.status, 200);
    let (now, forger) = (now_ms(), Signer::from_seed(&[43; 32]).unwrap());
    for bad in [
        used,
        "x".to_owned(),
        ticket(Purpose::Ingress { epoch: 1 }),
        ticket(Purpose::Wake),
        ticket(Purpose::Control),
        ticket_of(&forger, machine(), 3, exec, now),
        ticket_of(&platform(), MachineId::new(2, [9; 10]), 3, exec, now),
        ticket_of(&platform(), machine(), 2, exec, now),
        ticket_of(&platform(), machine(), 3, exec, now - 61_000),
        ticket_of(&platform(), machine(), 3, Purpose::Exec { epoch: 0 }, now),
    ] {
        let answer = with(world.address, &bad, &command).await;
        assert_eq!((answer.status, answer.mark()), (403, Some("agent")), "{}", answer.text());
    }
    let missing = send(world.address, Method::POST, PATH, &[], command.to_string().as_bytes()).await;
    assert_eq!(missing.status, 403);
    assert!(!file.exists());
    // Nor does a ticket for a command open an app, or wake.
    let port = apps::start().await.to_string();
    let ticket = ticket(exec);
    assert_eq!(send(world.address, Method::GET, "/", &lease(&ticket, &port), b"").await.status, 403);
    assert_eq!(wake(world.address, &ticket).await.status, 403);
    // Neither refusal used it up.
    assert_eq!(with(world.address, &ticket, &command).await.status, 200);
    assert!(file.exists());
    for method in [Method::GET, Method::PUT] {
        assert_eq!(send(world.address, method, PATH, &[], b"").await.status, 404);
    }
}

#[tokio::test]
async fn a_command_gets_what_it_was_given_and_gives_what_it_wrote() {
    let mut world = world().await;
    let _control = world.control().await;
    std::fs::create_dir(world.home.path().join("folder")).unwrap();
    let command = json!({
        "command": "sh", "args": ["-c", "cat; pwd; echo \"$A $SNAPVM_MACHINE$SNAPVM_TEST_TIMINGS$1\" >&2; exit 7", "-", "two words"],
        "env": {"A": "a=b\n"}, "cwd": "folder", "stdin": "in\n",
    });
    let given = result(&run(world.address, &command).await);
    let folder = world.home.path().canonicalize().unwrap().join("folder");
    assert_eq!(given["stdout"], format!("in\n{}\n", folder.display()));
    assert_eq!((&given["stderr"], &given["exit_code"]), (&json!("a=b\n two words\n"), &json!(7)));
    assert_eq!(
        (&given["signal"], &given["timed_out"], &given["interrupted"]),
        (&Value::Null, &json!(false), &Value::Null)
    );
    assert_eq!(shell(world.address, "cat; pwd").await["stdout"], format!("{}\n", folder.parent().unwrap().display()));
    // A leader of its own session and group.
    let leads = shell(world.address, "set -- $(cut -d')' -f2- /proc/$$/stat); test $3 = $$ && test $4 = $$").await;
    assert_eq!(leads["exit_code"], 0);
    assert_eq!(shell(world.address, "kill -9 $$").await["signal"], 9);
    // More than a pipe holds, both ways, and a program that does not read what it is given.
    let much: String = "0123456789abcde\n".repeat(40_000);
    let back = result(&run(world.address, &json!({"command": "cat", "stdin": much})).await);
    assert_eq!(back["stdout"], much);
    let ignored = result(&run(world.address, &json!({"command": "true", "stdin": much})).await);
    assert_eq!(ignored["exit_code"], 0);
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let mut world = world().await;
    let _control = world.control().await;
    let home = world.home.path();
    for (name, text) in [("plain", "echo"), ("lost", "#!/no/such/interpreter\n")] {
        std::fs::write(home.join(name), text).unwrap();
    }
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.join("lost"), executable).unwrap();
    for (command, code) in [
        (json!({"command": "no-such-program-anywhere"}), "program_not_found"),
        (json!({"command": "/no/such/program"}), "program_not_found"),
        (json!({"command": "./lost"}), "program_not_found"),
        (json!({"command": "./plain"}), "not_executable"),
        (json!({"command": "/"}), "not_executable"),
        (json!({"command": "true", "cwd": "/no/such/folder"}), "directory_not_found"),
        (json!({"command": "true", "cwd": "plain"}), "directory_not_found"),
    ] {
        let answer = run(world.address, &command).await;
        assert_eq!((answer.status, answer.text()), (409, json!({"code": code}).to_string()), "{command}");
    }
    for bad in [json!({}), json!({"command": ""}), json!({"command": "true", "detach": true}), json!([1]), json!("é")]
    {
        assert_eq!(run(world.address, &bad).await.status, 400, "{bad}");
    }
    let long = vec![b' '; 1024 * 1024 + 1];
    let ticket = ticket(Purpose::Exec { epoch: 1 });
    let answer = send(world.address, Method::POST, PATH, &[("x-snap-ticket", &ticket)], &long).await;
    assert_eq!(answer.status, 400);
    // None of them takes a place.
    assert_eq!(shell(world.address, "echo here").await["stdout"], "here\n");
}

/// A tree of processes that ignore TERM, one of them in a job's own group. Prints their ids.
const TREE: &str = "trap '' TERM
    sh -c 'trap \"\" TERM; echo $$; sleep 1000 & echo $!; wait' &
    bash -c 'set -m; trap \"\" TERM; sleep 1001 & echo $!; wait' &
    echo $$; wait";

async fn tree(caller: &mut Caller) -> BTreeSet<String> {
    let mut pids = BTreeSet::new();
    while pids.len() < 4 {
        pids.extend(caller.line().await.split_whitespace().map(str::to_owned));
    }
    pids
}

#[tokio::test]
async fn time_ends_a_command_and_everything_it_started() {
    let mut world = world().await;
    let _control = world.control().await;
    let command = json!({"command": "/bin/sh", "args": ["-c", TREE], "timeout_seconds": 1});
    let mut caller = Caller::open(world.address, "text/event-stream", &command).await;
    let pids = tree(&mut caller).await;
    let exit = caller.until("exit").await;
    assert_eq!((&exit["timed_out"], &exit["signal"], &exit["exit_code"]), (&json!(true), &json!(9), &Value::Null));
    assert!(exit["duration_ms"].as_u64().unwrap() >= 1_300, "{exit}");
    for pid in &pids {
        gone(pid).await;
    }
    // One that heeds TERM has its grace to say so.
    let polite = json!({
        "command": "/bin/sh", "args": ["-c", "trap 'echo bye; exit 3' TERM; while :; do sleep 0.01; done"], "timeout_seconds": 1,
    });
    let exit = result(&run(world.address, &polite).await);
    assert_eq!((&exit["stdout"], &exit["exit_code"], &exit["timed_out"]), (&json!("bye\n"), &json!(3), &json!(true)));
}

#[tokio::test]
async fn nothing_is_left_when_a_command_has_ended() {
    let mut world = world().await;
    let _control = world.control().await;
    let left = shell(world.address, "sleep 1000 & echo $!; bash -c 'set -m; sleep 1000 & echo $!'; exit 0").await;
    assert_eq!(left["exit_code"], 0);
    for pid in left["stdout"].as_str().unwrap().split_whitespace() {
        gone(pid).await;
    }
    // What leaves the session stays, and keeps nobody waiting.
    let leaves = "setsid -f sh -c 'echo $$; echo $$ > left; exec sleep 1000'; until [ -s left ]; do sleep 0.01; done";
    let away = shell(world.address, leaves).await;
    let pid: i32 = away["stdout"].as_str().unwrap().trim().parse().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    gone(&pid.to_string()).await;
    // No child of the agent is left, dead or alive.
    let agent = world.agent.id().unwrap();
    soon("no child is left", async {
        while !std::fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn output_is_exact_up_to_its_limit_and_says_what_it_is() {
    let mut world = world().await;
    let _control = world.control().await;
    let cut = json!({"command": "sh", "args": ["-c", "printf 'aé€'; printf 'xyz' >&2"], "output_limit": 5});
    let cut = result(&run(world.address, &cut).await);
    assert_eq!(
        (&cut["stdout"], &cut["stdout_truncated"], &cut["stdout_encoding"]),
        (&json!("aé"), &json!(true), &json!("utf-8"))
    );
    assert_eq!((&cut["stderr"], &cut["stderr_truncated"]), (&json!("xyz"), &json!(false)));
    let bytes = shell(world.address, r"printf '\377\000'; printf '\303' >&2").await;
    assert_eq!((&bytes["stdout"], &bytes["stdout_encoding"]), (&json!("/wA="), &json!("base64")));
    assert_eq!((&bytes["stderr"], &bytes["stderr_encoding"]), (&json!("ww=="), &json!("base64")));
    // A program that writes without end is read to its end, and its answer is no longer for it.
    let flood = json!({"command": "head", "args": ["-c", "30000000", "/dev/zero"], "output_limit": 1000});
    let flood = result(&run(world.address, &flood).await);
    assert_eq!((flood["stdout"].as_str().unwrap().len(), &flood["exit_code"]), (1000, &json!(0)));
    let none = json!({"command": "echo", "output_limit": 0});
    let none = result(&run(world.address, &none).await);
    assert_eq!((&none["stdout"], &none["stdout_truncated"]), (&json!(""), &json!(true)));
}

#[tokio::test]
async fn events_come_while_the_program_runs() {
    let mut world = World::with(json!({"keepalive": 50}), &[]).await;
    let _control = world.control().await;
    let fifo = world.home.path().join("go");
    let line = format!(
        "mkfifo {0}; printf 'a\\342\\202'; echo wrong >&2; read x < {0}; printf '\\254\\n'; printf '\\377'; exit 4",
        fifo.display()
    );
    let mut caller = Caller::events(world.address, &line).await;
    assert_eq!(caller.next().await.unwrap(), ": running\n\n");
    let first: BTreeSet<String> = [caller.event().await.unwrap(), caller.event().await.unwrap()]
        .map(|(name, data)| format!("{name} {data}"))
        .into();
    assert_eq!(first, [r#"stderr {"text":"wrong\n"}"#.to_owned(), r#"stdout {"text":"a"}"#.to_owned()].into());
    // It is silent, and still there.
    assert_eq!(caller.next().await.unwrap(), ": running\n\n");
    tokio::fs::write(&fifo, "go\n").await.unwrap();
    let mut rest = Vec::new();
    let exit = loop {
        let (name, data) = caller.event().await.unwrap();
        if name == "exit" {
            break data;
        }
        rest.push(data.to_string());
    };
    // Whether the last byte came alone or with what was before it is the system's affair.
    let joined = rest.concat();
    assert!(joined == r#"{"text":"€\n"}{"base64":"/w=="}"# || joined == r#"{"base64":"4oKsCv8="}"#, "{joined}");
    assert_eq!((&exit["exit_code"], &exit["stdout_truncated"]), (&json!(4), &json!(false)));
    assert_eq!(caller.next().await, None);
    // An object comes after line breaks, which JSON takes for nothing.
    let object = run(world.address, &sh("sleep 0.3; echo done")).await;
    assert!(object.text().starts_with("\n\n"), "{:?}", object.text());
    assert_eq!(result(&object)["stdout"], "done\n");
}

#[tokio::test]
async fn a_caller_that_goes_takes_its_command_along() {
    let mut world = world().await;
    let _control = world.control().await;
    let mut caller = Caller::events(world.address, TREE).await;
    let pids = tree(&mut caller).await;
    caller.leave();
    for pid in &pids {
        gone(pid).await;
    }
    // Also one that waits for the object.
    let file = world.home.path().join("pid");
    let command = sh(&format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display()));
    let caller = Caller::open(world.address, "*/*", &command).await;
    let pid = soon("it runs", async {
        loop {
            if let Ok(pid) = std::fs::read_to_string(&file) {
                break pid.trim().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    caller.leave();
    gone(&pid).await;
}

#[tokio::test]
async fn changed_access_and_sleep_end_commands() {
    let mut world = world().await;
    let mut control = world.control().await;
    let mut caller = Caller::events(world.address, TREE).await;
    let pids = tree(&mut caller).await;
    control.send(&ToAgent::Epoch { epoch: 2 }).await;
    assert_eq!(caller.until("exit").await["interrupted"], "access_changed");
    for pid in &pids {
        gone(pid).await;
    }
    assert_eq!(run(world.address, &sh("true")).await.status, 403, "a ticket of the older epoch");

    for (sleep, kind) in [(1, SleepKind::Hibernate), (2, SleepKind::Stop)] {
        let now = Purpose::Exec { epoch: 2 };
        let runs = world.home.path().join(format!("runs-{sleep}"));
        let command = sh(&format!("echo $$; touch {}; exec sleep 1000", runs.display()));
        let running = tokio::spawn({
            let (address, ticket) = (world.address, ticket(now));
            async move { with(address, &ticket, &command).await }
        });
        soon("it runs", async {
            while !runs.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        control.send(&ToAgent::Sleep { sleep, kind, clear_tasks: false }).await;
        control.until(|message| matches!(message, ToObject::SleepReady { .. }).then_some(())).await;
        // A hibernation may still be called off, so it ends nothing yet.
        assert!(kind == SleepKind::Stop || !running.is_finished());
        control.send(&ToAgent::SleepGo { sleep }).await;
        let ended = result(&running.await.unwrap());
        assert_eq!((&ended["interrupted"], &ended["timed_out"]), (&json!("machine_sleeping"), &json!(false)));
        gone(ended["stdout"].as_str().unwrap().trim()).await;
        assert_eq!(control.closed().await, 4410);

        // Asleep, it takes no command, and uses no ticket up.
        let early = ticket(now);
        assert_eq!(with(world.address, &early, &sh("true")).await.status, 410);
        let mut welcome = origin::welcome();
        if let ToAgent::Welcome { epoch, .. } = &mut welcome {
            *epoch = 2;
        }
        control = world.control_with(welcome).await;
        assert_eq!(with(world.address, &early, &sh("true")).await.status, 200);
    }
}

#[tokio::test]
async fn so_many_at_once_and_no_more() {
    let mut world = world().await;
    let _control = world.control().await;
    let mut callers = Vec::new();
    for _ in 0..32 {
        callers.push(Caller::events(world.address, "echo $$; exec sleep 1000").await);
    }
    let refused = run(world.address, &sh("true")).await;
    assert_eq!((refused.status, refused.text()), (409, r#"{"code":"too_many_commands"}"#.to_owned()));
    let mut first = callers.remove(0);
    let pid = first.line().await;
    first.leave();
    gone(&pid).await;
    soon("a place is free", async { while run(world.address, &sh("true")).await.status != 200 {} }).await;
    callers.into_iter().for_each(Caller::leave);

    // What is kept is bounded too: four that may keep all they can.
    let large = json!({"command": "sleep", "args": ["1000"], "output_limit": 8 * 1024 * 1024});
    let mut callers = Vec::new();
    soon("places are free", async {
        while callers.len() < 4 {
            let caller = Caller::open(world.address, "*/*", &large).await;
            if caller.status == 200 {
                callers.push(caller);
            }
        }
    })
    .await;
    let refused = run(world.address, &sh("true")).await;
    assert_eq!((refused.status, refused.text()), (409, r#"{"code":"too_much_output"}"#.to_owned()));
    // Events keep nothing.
    let mut events = Caller::events(world.address, "echo here").await;
    assert_eq!(events.line().await, "here");
}

#[tokio::test]
async fn a_machine_is_not_idle_while_a_command_runs() {
    let mut world = World::with(json!({"tick": 100}), &[]).await;
    let mut welcome = origin::welcome();
    if let ToAgent::Welcome { idle_seconds, .. } = &mut welcome {
        *idle_seconds = 1;
    }
    let mut control = world.control_with(welcome).await;
    let is_idle = |message: &ToObject| matches!(message, ToObject::Idle { .. }).then_some(());
    let mut caller = Caller::events(world.address, "sleep 3").await;
    tokio::select! {
        () = control.until(is_idle) => panic!("idle while a command runs"),
        exit = caller.until("exit") => assert_eq!(exit["exit_code"], 0),
    }
    control.until(is_idle).await;
}
