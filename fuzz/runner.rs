//! The stable runner: each target over its corpus, and over mutations of it that follow from a printed seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// A name, and the function that takes the bytes.
type Target = (&'static str, fn(&[u8]));

/// Mutations of each target in every test run; `SNAPVM_FUZZ` has another number.
const MUTATIONS: u64 = 3000;

/// Runs them. Fails with the bytes that broke one; they belong into its corpus.
pub fn run(targets: &[Target]) {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = variable("SNAPVM_SEED").unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("fuzz: SNAPVM_SEED={seed}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets {
        let mut corpus: Vec<Vec<u8>> = std::fs::read_dir(folder.join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"))
            .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"))
            .collect();
        // The order of a folder is the file system's affair.
        corpus.sort();
        assert!(!corpus.is_empty(), "{name} has a corpus");
        let mut chance = Chance(seed);
        for case in &corpus {
            check(name, *target, case);
        }
        check(name, *target, b"");
        for _ in 0..variable("SNAPVM_FUZZ").unwrap_or(MUTATIONS) {
            let case = chance.mutation(&corpus);
            check(name, *target, &case);
        }
    }
}

fn check(name: &str, target: fn(&[u8]), case: &[u8]) {
    let ran = catch_unwind(AssertUnwindSafe(|| target(case)));
    assert!(ran.is_ok(), "{name} breaks on {} bytes: {}", case.len(), case.escape_ascii());
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).expect("below a length")
    }

    /// One of the corpus, with a few bytes or ranges changed.
    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        const SPECIAL: &[u8] = b"\x00\x01\x7f\x80\xff\"\\{}[]:,.;-\r\n\x1b 0909";
        let mut case = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(case.len() + 1);
            match self.below(7) {
                0 if at < case.len() => case[at] ^= 1 << self.below(8),
                1 if at < case.len() => case[at] = SPECIAL[self.below(SPECIAL.len())],
                2 => case.insert(at, SPECIAL[self.below(SPECIAL.len())]),
                3 => case.truncate(at),
                4 => {
                    let to = (at + self.below(9)).min(case.len());
                    case.drain(at..to);
                }
                5 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    let piece = other[from..(from + self.below(40)).min(other.len())].to_vec();
                    case.splice(at..at, piece);
                }
                _ => {
                    let piece: Vec<u8> = (0..self.below(12)).map(|_| self.next().to_le_bytes()[0]).collect();
                    case.splice(at..at, piece);
                }
            }
        }
        case
    }
}
