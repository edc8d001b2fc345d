//! Random numbers that can be had again: every user prints its seed, and `SNAPVM_SEED` repeats a run.

/// A generator (`SplitMix64`): good enough to choose cases with, and nothing else.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// A generator with the seed of `SNAPVM_SEED`, or a fresh one, which is printed.
    pub fn seeded(what: &str) -> Self {
        let seed = std::env::var("SNAPVM_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| getrandom::u64().expect("randomness"));
        println!("{what}: SNAPVM_SEED={seed}");
        Self(seed)
    }

    /// A generator of its own for one of several tasks.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % u64::try_from(end).expect("a length")).expect("below a length")
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
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
