//! The only source of chance in the simulated world: a seeded generator that is handed on explicitly.

/// A SplitMix64 generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
///
/// Same seed, same numbers. Not for secrets.
#[derive(Clone, Debug)]
pub struct Entropy(u64);

impl Entropy {
    /// A generator that any seed starts well.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for a part of the world, so that one part's draws do not shift another's.
    pub fn fork(&mut self, part: &str) -> Self {
        let salt = part.bytes().fold(self.draw(), |salt, byte| (salt ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(salt)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.draw()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Puts a list in random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// A name's random ending, in the letters Kubernetes uses (no vowels, nothing that reads like another).
    pub fn suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(LETTERS[self.below(LETTERS.len())])).collect()
    }

    /// A random number in hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let draw = |seed| {
            let mut entropy = Entropy::seeded(seed);
            (entropy.draw(), entropy.suffix(5), entropy.fork("scheduler").draw())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // The first output of SplitMix64 for state 0 as its authors publish it.
        assert_eq!(Entropy::seeded(0).draw(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut entropy = Entropy::seeded(1);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[entropy.between(4, 6) - 4] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(entropy.below(0), 0);
    }
}
