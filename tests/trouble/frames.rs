//! Frames that cannot be read, from one client, and the others who share its terminal.

use snapvm_protocol::agent::close;
use snapvm_protocol::terminal::{FRAME_MAX, Frame, INPUT_MAX};
use snapvm_tests::chance::Chance;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;

use crate::world;

#[tokio::test]
async fn a_frame_that_cannot_be_read_ends_its_sender_and_nobody_else() {
    let (_, machine) = Machine::running(world()).await;
    let mut good = Terminal::start(world(), &machine).await;
    let notices = good.notices.len();
    let joined = [&[0x31][..], br#""write""#].concat();
    for (what, bytes) in [
        ("nothing", vec![]),
        ("an unknown type", vec![0x7f, 1, 2]),
        ("an agent's output", Frame::Output(0, b"forged").encode()),
        ("an agent's end", vec![0x15, b'{', b'}']),
        ("the object's joined", joined),
        ("the object's left", vec![0x32]),
        ("too much", vec![2; FRAME_MAX + 5]),
    ] {
        let mut bad = Terminal::open(world(), &machine, &good.id).await;
        bad.until_prompt().await;
        bad.send_raw(bytes).await;
        bad.until(what, |bad| !bad.is_open()).await;
        assert_eq!(bad.closed, Some(close::MALFORMED), "{what}");
    }
    assert_eq!(good.run("echo unharmed").await, "unharmed");
    assert_eq!((good.notices.len(), good.attached), (notices, 1), "nobody had to connect again");
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_left_out() {
    let (_, machine) = Machine::running(world()).await;
    let mut good = Terminal::start(world(), &machine).await;
    let mut bad = Terminal::open(world(), &machine, &good.id).await;
    bad.until_prompt().await;
    let notices = good.notices.len();
    for bytes in [
        vec![0x01],
        b"\x01{".to_vec(),
        b"\x01null".to_vec(),
        b"\x01{\"columns\":80,\"rows\":24,\"key\":\"\"}".to_vec(),
        b"\x01{\"columns\":-1,\"rows\":24,\"key\":\"k\"}".to_vec(),
        vec![0x02],
        vec![0x02, 0, 0],
        Frame::Input(1, &vec![b'x'; INPUT_MAX + 1]).encode(),
        vec![0x03, 1],
        Frame::Acknowledge(u64::MAX).encode(),
        vec![0x04],
        vec![0x04, 0, 1, 0],
        vec![0x04, 0, 1, 0, 1, 0],
    ] {
        bad.send_raw(bytes).await;
    }
    assert_eq!(bad.run("echo one-$((1+1))").await, "one-2");
    // A size of nothing is one that a terminal can have.
    bad.send_raw(Frame::Resize(0, 0).encode()).await;
    bad.send_raw(Frame::Resize(u16::MAX, u16::MAX).encode()).await;
    bad.send_raw(Frame::Resize(80, 24).encode()).await;
    assert_eq!(bad.run("stty size").await, "24 80");

    let mut chance = Chance::seeded("frames");
    for _ in 0..300 {
        let mut bytes = vec![[0x01, 0x03, 0x04][chance.below(3)]];
        bytes.extend((0..chance.below(60)).map(|_| u8::try_from(chance.below(256)).unwrap()));
        bad.send_raw(bytes).await;
    }
    bad.send_raw(Frame::Resize(80, 24).encode()).await;
    assert_eq!(bad.run("echo two-$((1+1))").await, "two-2");
    assert_eq!(good.run("echo three-$((1+2))").await, "three-3");
    assert_eq!((good.notices.len(), good.attached, bad.attached), (notices, 1, 1), "nobody had to connect again");
}
