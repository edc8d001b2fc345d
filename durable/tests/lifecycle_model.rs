//! A small part of the lifecycle's soak, in every run of the tests. `cargo xtask soak lifecycle` runs the rest.

mod model;

use model::Tally;
use model::people::sequence;

/// Always the same ones: the soak is for those that nobody has seen.
const SEED: u64 = 1;
/// Sequences of one run, and operations of each.
const SEQUENCES: u64 = 500;
const OPERATIONS: u64 = 60;

#[test]
fn whatever_fails_a_machine_ends_where_it_was_ordered() {
    let seed = std::env::var("SNAPVM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    println!("seed {seed}; SNAPVM_SEED chooses another");
    let mut tally = Tally::default();
    for number in 0..SEQUENCES {
        if let Err(violation) = sequence(seed.wrapping_add(number), OPERATIONS, true, &mut tally) {
            let last = violation.trace.len().saturating_sub(60);
            panic!(
                "seed {}: {}\n{}",
                violation.seed,
                violation.what,
                violation.trace.get(last..).unwrap_or_default().join("\n")
            );
        }
    }
}
