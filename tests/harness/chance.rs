//! Random numbers that can be had again: every user prints its seed, and `SNAPVM_SEED` repeats a run.

/// The generator of [`xtask::chance`], for tests: a seed that cannot be had is a failure.
#[derive(Debug, Clone)]
pub struct Chance(xtask::chance::Chance);

impl Chance {
    /// A generator with the seed of `SNAPVM_SEED`, or a fresh one, which is printed.
    pub fn seeded(what: &str) -> Self {
        Self(xtask::chance::Chance::new(seed(what)))
    }

    /// A generator of its own for one of several tasks.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.0.branch())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0.number()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(end).expect("a length"))).expect("below a length")
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The seed of `SNAPVM_SEED`, or a fresh one, which is printed.
pub fn seed(what: &str) -> u64 {
    let given = std::env::var("SNAPVM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("{what}: SNAPVM_SEED={seed}");
    seed
}

/// How many cases to try: a little in every run, as many as wanted with the variable set.
pub fn cases(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A short word that no other test has.
pub fn word() -> String {
    let alphabet = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = getrandom::u64().expect("randomness");
    (0..8)
        .map(|_| {
            let letter = alphabet[usize::try_from(random % 32).expect("small")];
            random /= 32;
            char::from(letter)
        })
        .collect()
}
