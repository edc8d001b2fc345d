//! A small budget of the model of a session in every test run; `cargo xtask soak terminal --model` has a big one.

mod model;

use model::{Budget, run};

#[test]
fn clients_put_together_what_the_shell_wrote_and_the_shell_reads_what_was_typed_once() {
    let seed = std::env::var("SNAPVM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("the model of a session: SNAPVM_SEED={seed}");
    let totals = run(Budget { sessions: 50, keystrokes: 5000 }, seed);
    println!("{totals}");
    assert_eq!(totals.violations, Vec::<String>::new());
    assert!(totals.keystrokes >= 5000 && totals.disconnects > 0 && totals.gone > 0, "{totals}");
}
