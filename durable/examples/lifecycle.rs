//! `cargo xtask soak lifecycle`: sequences of orders and faults over the lifecycle's model (`durable/tests/model/`).
//! Arguments: how many sequences, operations of each, a seed. The last line says what was done and what went wrong;
//! before it each violation is named, and of the first ones the way there is told, of a single sequence the whole way.

#[path = "../tests/model/mod.rs"]
mod model;

use std::process::ExitCode;

use model::Tally;
use model::people::sequence;

/// Violations that are told in full.
const TOLD_MAX: u64 = 2;
/// Characters of what is said of the others.
const WORDS_MAX: usize = 160;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [sequences, operations, seed] = numbers[..] else {
        eprintln!("lifecycle SEQUENCES OPERATIONS SEED");
        return ExitCode::FAILURE;
    };
    let (mut tally, mut violations) = (Tally::default(), 0);
    for number in 0..sequences {
        let seed = seed.wrapping_add(number);
        let Err(violation) = sequence(seed, operations, false, &mut tally) else { continue };
        let what: String = violation.what.chars().take(WORDS_MAX).collect();
        eprintln!("seed {seed}: {what}");
        violations += 1;
        if violations <= TOLD_MAX
            && let Err(violation) = sequence(seed, operations, true, &mut Tally::default())
        {
            let last = if sequences == 1 { 0 } else { violation.trace.len().saturating_sub(30) };
            eprintln!(
                "{}\nseed {seed}: {}\n",
                violation.trace.get(last..).unwrap_or_default().join("\n"),
                violation.what
            );
        }
    }
    let faults: u64 = tally.faults.values().sum();
    let kinds: Vec<String> = tally.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let ends: Vec<String> = tally.ends.iter().map(|(end, count)| format!("{end} {count}")).collect();
    println!(
        "lifecycle: {} sequences, {} operations, {} events; {faults} faults ({}); ended {}; at rest after at most {} ms; \
         {violations} violations; seed {seed}",
        tally.sequences,
        tally.operations,
        tally.events,
        kinds.join(", "),
        ends.join(", "),
        tally.longest_settle_ms,
    );
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
