//! The corpus of ambiguous heads, and a model that cuts sound requests anywhere.

use super::*;
use proptest::prelude::*;

/// What is passed on, and whether it ended in a refusal.
fn run(framing: &mut Framing, mut bytes: &[u8]) -> (Vec<u8>, Option<Refusal>) {
    let mut passed = vec![];
    while !bytes.is_empty() {
        let taken = match framing.step(bytes) {
            Step::Pass(taken) => {
                passed.extend_from_slice(&bytes[..taken]);
                taken
            }
            Step::Hold(taken) => taken,
            Step::Head(taken, head) => {
                passed.extend_from_slice(&head);
                taken
            }
            Step::Refuse(refusal) => return (passed, Some(refusal)),
        };
        assert!(taken > 0, "no progress");
        bytes = &bytes[taken..];
    }
    (passed, None)
}

#[test]
fn ambiguous_heads_are_refused() {
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\tfolded: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nGET ",
    ] {
        let (passed, refusal) = run(&mut Framing::default(), head.as_bytes());
        assert_eq!((passed.as_slice(), refusal), (&b""[..], Some(Refusal::Malformed)), "{head:?}");
    }
}

#[test]
fn broken_chunks_end_the_connection() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "1;a=b\r\nx\r\n",
        "1\nx\r\n",
        "1\r\nxx\r\n",
        "-1\r\n",
        "0x1\r\n",
        "\r\n",
        "0\r\n folded\r\n",
        "ffffffffffffffff\r\n",
    ] {
        let (passed, refusal) = run(&mut Framing::default(), format!("{head}{body}").as_bytes());
        assert!(passed.starts_with(head.as_bytes()) && refusal.is_some(), "{body:?}");
    }
}

#[test]
fn a_head_may_be_32_kib_and_no_more() {
    let head = |length: usize| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(length - 23));
    assert_eq!(run(&mut Framing::default(), head(HEAD_MAX).as_bytes()).1, None);
    assert_eq!(run(&mut Framing::default(), head(HEAD_MAX + 1).as_bytes()).1, Some(Refusal::TooLarge));
    assert_eq!(run(&mut Framing::default(), &vec![b'a'; HEAD_MAX + 9]).1, Some(Refusal::TooLarge));
}

#[test]
fn nothing_after_an_upgrade_is_a_request() {
    let mut framing = Framing::default();
    let text = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/9\n\n";
    assert_eq!(run(&mut framing, text), (text.to_vec(), None));
}

proptest! {
    /// Sound requests in a row, cut anywhere, pass byte for byte, and each is seen as one.
    #[test]
    fn sound_requests_pass_unchanged(
        bodies in proptest::collection::vec((0_usize..3, proptest::collection::vec(any::<u8>(), 0..50)), 1..6),
        cuts in proptest::collection::vec(1_usize..40, 1..60),
    ) {
        let (mut all, mut heads) = (vec![], 0);
        for (kind, body) in &bodies {
            heads += 1;
            match kind {
                0 => all.extend_from_slice(b"GET /a?b HTTP/1.1\r\nHost: x\r\nx: y\r\n\r\n"),
                1 => {
                    all.extend(format!("PUT / HTTP/1.1\r\ncontent-LENGTH: {}\r\n\r\n", body.len()).bytes());
                    all.extend_from_slice(body);
                }
                _ => {
                    all.extend_from_slice(b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n");
                    for chunk in body.chunks(7) {
                        all.extend(format!("{:x}\r\n", chunk.len()).bytes());
                        all.extend_from_slice(chunk);
                        all.extend_from_slice(b"\r\n");
                    }
                    all.extend_from_slice(b"0\r\nt: 1\r\n\r\n");
                }
            }
        }
        let (mut framing, mut passed, mut rest, mut seen) = (Framing::default(), vec![], all.as_slice(), 0);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            rest = later;
            let mut now = now;
            while !now.is_empty() {
                let taken = match framing.step(now) {
                    Step::Pass(taken) => { passed.extend_from_slice(&now[..taken]); taken }
                    Step::Hold(taken) => taken,
                    Step::Head(taken, head) => {
                        seen += usize::from(head.ends_with(b"\r\n\r\n"));
                        passed.extend_from_slice(&head);
                        taken
                    }
                    Step::Refuse(refusal) => panic!("{refusal:?}"),
                };
                now = &now[taken..];
            }
        }
        prop_assert_eq!(seen, heads);
        prop_assert_eq!(passed, all);
    }

    #[test]
    fn any_bytes_are_passed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let (passed, _) = run(&mut Framing::default(), &bytes);
        prop_assert!(passed.len() <= bytes.len());
    }
}
