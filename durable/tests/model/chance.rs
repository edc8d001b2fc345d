//! Random numbers that can be had again (`SplitMix64`).

#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `from` to before `to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.number() % (to - from).max(1)
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.number().is_multiple_of(times)
    }
}
