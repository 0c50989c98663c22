//! Texts with mistakes in them, for tests: from a seed, the same ones each time.

/// Where mistakes come from.
pub(super) struct Mistakes(u64);

impl Mistakes {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `count`; 0 when there is none.
    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % count.max(1) as u64).unwrap_or(0)
    }

    /// The bytes after one to three mistakes: something is cut, left out, put in, repeated or changed. `marks`: what is put in.
    pub(super) fn made(&mut self, bytes: &[u8], marks: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(6) {
                _ if bytes.is_empty() => {}
                0 => bytes.truncate(at),
                1 => {
                    bytes.remove(at);
                }
                2 => bytes.insert(at, marks[self.below(marks.len())]),
                3 => bytes[at] ^= 1 << self.below(8),
                4 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => bytes[at] = u8::try_from(self.below(256)).unwrap_or(0),
            }
        }
        bytes
    }
}
