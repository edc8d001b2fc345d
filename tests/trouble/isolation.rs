//! From inside a sprite: of the host, only the dial origin; of other sprites, nothing.

use std::process::Command;

use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use tokio::net::TcpListener;

use crate::world;

fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Every IPv4 address of this host, loopback and the sprites' own gateways among them.
fn host_addresses() -> Vec<String> {
    let output = Command::new("ip").args(["-4", "-o", "addr", "show"]).output().expect("iproute2");
    let text = String::from_utf8(output.stdout).unwrap();
    let addresses = text.lines().filter_map(|line| line.split_whitespace().nth(3));
    addresses.map(|address| address.split('/').next().unwrap().to_owned()).collect()
}

/// What of these answers, from inside.
async fn reached(terminal: &mut Terminal, targets: &[(String, u16)]) -> Vec<String> {
    let mut open = Vec::new();
    // A terminal takes lines of 4 KiB.
    for some in targets.chunks(40) {
        let list: Vec<String> = some.iter().map(|(host, port)| format!("{host}/{port}")).collect();
        let script = format!(
            "for t in {}; do timeout 3 bash -c \"exec 3<>/dev/tcp/$t\" 2>/dev/null && echo $t; done",
            list.join(" ")
        );
        open.extend(terminal.run(&script).await.lines().map(str::to_owned));
    }
    open
}

#[tokio::test]
async fn a_sprite_reaches_nothing_of_the_host_but_the_dial_origin() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let database = &world().stack.database;
    // One that listens everywhere: that the others listen on loopback only is not what keeps them closed.
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let worker = world().site().port;
    let ports = [
        port_of(&database.superuser[database.superuser.find('@').unwrap()..]),
        port_of(&database.app[database.app.find('@').unwrap()..]),
        worker,
        port_of(&world().stack.spritehost.as_ref().unwrap().url),
        everywhere.local_addr().unwrap().port(),
        22,
    ];
    let mut hosts = host_addresses();
    hosts.push("169.254.169.254".to_owned());
    assert!(hosts.len() >= 3, "{hosts:?}");
    let mut targets: Vec<(String, u16)> =
        hosts.iter().flat_map(|host| ports.map(|port| (host.clone(), port))).collect();
    // The dial origin's address has that one port and no other.
    targets.extend(ports.iter().filter(|port| **port != worker).map(|port| ("dial.snapvm.internal".to_owned(), *port)));
    assert_eq!(reached(&mut terminal, &targets).await, Vec::<String>::new());
    let dial = ("dial.snapvm.internal".to_owned(), worker);
    assert_eq!(reached(&mut terminal, &[dial]).await, [format!("dial.snapvm.internal/{worker}")]);
    // And behind that, agents' paths only: the console answers to its own name, which nobody keeps a guest from saying.
    let asked = format!(
        "exec 3<>/dev/tcp/dial.snapvm.internal/{worker}; printf 'GET /v1/health HTTP/1.1\\r\\nhost: \
         dial.snapvm.internal:{worker}\\r\\nconnection: close\\r\\n\\r\\n' >&3; head -1 <&3"
    );
    assert_eq!(terminal.run(&asked).await, "HTTP/1.1 404 Not Found");
}

#[tokio::test]
async fn a_sprite_reaches_no_sibling() {
    let (_, one) = Machine::running(world()).await;
    let (_, two) = Machine::running(world()).await;
    let (mut here, mut there) = (Terminal::start(world(), &one).await, Terminal::start(world(), &two).await);
    there.run("(python3 -m http.server 4000 --bind 0.0.0.0 >/dev/null 2>&1 &)").await;
    let address = there.run("hostname -I | tr -d ' \\n'").await;
    assert!(!address.is_empty());
    let target = [(address.clone(), 4000)];
    let mut tries = 0;
    while reached(&mut there, &target).await.is_empty() {
        tries += 1;
        assert!(tries < 100, "nothing listens at {address}");
    }
    assert_eq!(reached(&mut here, &target).await, Vec::<String>::new());
    // Nor its agent, nor through what the host offers for it.
    let agent = [(address, 8080), ("127.0.0.1".to_owned(), 4000)];
    assert_eq!(reached(&mut here, &agent).await, Vec::<String>::new());
    assert_eq!(here.run("echo fine").await, "fine");
}
