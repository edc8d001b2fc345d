//! What a sprite can reach, and what it can do.

mod harness;

use harness::{DEADLINE, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Says `open` or `closed` for each address.
fn probe(addresses: &[String]) -> String {
    let list: Vec<String> = addresses.iter().map(|address| address.replace(':', "/")).collect();
    format!(
        "for a in {}; do timeout 2 bash -c \"echo > /dev/tcp/$a\" 2>/dev/null && echo open $a || echo closed; done",
        list.join(" ")
    )
}

#[tokio::test]
async fn of_the_host_only_the_dial_origin_is_reachable() {
    let host = Host::start(&[]).await;
    host.create("one").await;
    let url = host.run_app("two").await;
    let sibling =
        host.run("two", "hostname -I; sudo python3 -m http.server 9000 >/dev/null 2>&1 & sleep 0.2").await.stdout;
    let sibling = sibling.split_whitespace().next().unwrap().to_owned();
    let gateway = host.run("one", "ip route | grep -oP 'via \\K\\S+'").await.stdout.trim().to_owned();

    // A service of the host on all of its addresses.
    let service = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    let addresses = std::process::Command::new("ip").args(["-4", "-o", "addr", "show"]).output().unwrap();
    let addresses = String::from_utf8(addresses.stdout).unwrap();
    let addresses = addresses.lines().filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
    let mut targets: Vec<String> = addresses.map(|address| format!("{address}:{port}")).collect();
    assert!(targets.len() > 2);
    targets.push(format!("{gateway}:{port}"));
    targets.push(format!("{gateway}:{}", host.instance()));
    targets.push(format!("169.254.83.1:{port}"));
    targets.push("169.254.169.254:80".to_owned());
    targets.push(format!("{sibling}:9000"));
    targets.push(format!("{sibling}:8080"));
    // Of another instance's block, whether it runs or not.
    let mut elsewhere: std::net::Ipv4Addr = gateway.parse().unwrap();
    elsewhere = std::net::Ipv4Addr::from_bits(elsewhere.to_bits() ^ (1 << 15));
    targets.push(format!("{elsewhere}:22"));
    targets.push(url.strip_prefix("http://").unwrap().to_owned());
    targets.push(url.replace("http://127.0.0.1", &gateway));
    let seen = host.run("one", &probe(&targets)).await.stdout;
    assert_eq!(seen, "closed\n".repeat(targets.len()), "{targets:?}");
    let own = host.run("two", &probe(&[format!("{sibling}:9000")])).await.stdout;
    assert!(own.starts_with("open"), "the probe works where it may: {own}");

    let talk = host.run("one", "exec 3<>/dev/tcp/snapvm.internal/8787; echo question >&3; cat <&3");
    let answer = async {
        let (mut stream, _) = tokio::time::timeout(DEADLINE, host.origin.accept()).await.unwrap().unwrap();
        let mut question = [0; 9];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
        question
    };
    let (talk, question) = tokio::join!(talk, answer);
    assert_eq!((talk.stdout.as_str(), &question), ("answer", b"question\n"));
}

#[tokio::test]
async fn a_sprite_is_a_machine_of_its_own() {
    let host = Host::start(&["--memory", "128", "--processes", "100"]).await;
    host.create("own").await;
    let seen = host
        .run("own", "ps -e -o comm= > ~/ps; sort ~/ps | tr '\\n' ' '; hostname; test -r /dev/vda && echo disk")
        .await
        .stdout;
    assert!(seen.starts_with("bash init ps own"), "only its own processes: {seen}");
    let users = host.run(
        "own",
        "set -e; sudo useradd -m bob; sudo su bob -c 'id -un; touch ~/f'; stat -c %U /home/bob/f; sudo -u bob sudo -n true 2>&1 | tail -1;
         sudo ping -c1 -W1 127.0.0.1 >/dev/null; python3 -c 'import pty; pty.spawn([\"tty\"])'",
    );
    assert_eq!(users.await.stdout.replace('\r', ""), "bob\nbob\nsudo: a password is required\n/dev/pts/0\n");
    let forbidden = [
        "mount -t tmpfs x /mnt",
        "ip link add other0 type dummy",
        "sh -c 'echo 1 > /proc/sys/kernel/panic'",
        "date -s 2000-01-01",
        "dd if=/dev/zero of=/sys/fs/cgroup/memory/memory.limit_in_bytes count=0",
        "mknod /tmp/disk b 254 0 && dd if=/tmp/disk count=1",
    ];
    for command in forbidden {
        let ran = host.run("own", &format!("sudo {command} >/dev/null 2>&1 && echo allowed")).await;
        assert_eq!(ran.stdout, "", "{command}");
    }
    // It may divide its control group, and give itself nothing by that.
    let divided = "cd /.sprite/cgroup; mkdir -p a/b; sh -c 'echo 0 > a/b/cgroup.procs; grep ^0:: /proc/self/cgroup'; \
        rmdir a/b a; ls -d *.procs";
    assert_eq!(host.run("own", divided).await.stdout, "0::/a/b\ncgroup.procs\n");
    for file in ["cgroup.max.descendants", "cgroup.max.depth", "cgroup.subtree_control", "cgroup.freeze", "cgroup.kill"]
    {
        let write = format!("sudo sh -c 'echo 1 > /.sprite/cgroup/{file}' 2>/dev/null && echo allowed");
        assert_eq!(host.run("own", &write).await.stdout, "", "{file}");
    }
    let above = host.run("own", "ls /.sprite/cgroup/..").await.stdout;
    assert!(!above.contains("cgroup.procs"), "{above}");
    // keyctl, io_uring_setup
    let calls = "import ctypes; c = ctypes.CDLL(None, use_errno=True)\nfor n in 250, 425: c.syscall(n, 0, 0, 0), print(ctypes.get_errno())";
    assert_eq!(host.exec("own", &[("cmd", "python3"), ("cmd", "-c"), ("cmd", calls)], b"").await.stdout, "1\n38\n");
    let secret = host.run("own", "sudo cat /proc/1/environ | tr '\\0' '\\n' | cut -d= -f1 | sort").await.stdout;
    assert_eq!(secret, "HOME\nPATH\n", "nothing of the host's environment");
    let escaped = host.run("own", "sudo rm -rf /.sprite/api.sock /.sprite/init 2>&1; ls /.sprite").await.stdout;
    assert!(escaped.contains("api.sock") && escaped.contains("init"), "{escaped}");

    let hungry = host.run("own", "python3 -c 'x = bytearray(400 << 20); print(len(x))'").await;
    assert_eq!((hungry.code, hungry.stdout.as_str()), (137, ""), "the memory limit holds");
    let forks = host
        .run("own", "for i in $(seq 200); do sleep 5 & done 2>&1 | grep -m1 -o 'Resource temporarily unavailable'")
        .await;
    assert_eq!(forks.stdout, "Resource temporarily unavailable\n", "the process limit holds");
    assert_eq!(host.status("own").await, "running", "and process 1 outlives both");
}
