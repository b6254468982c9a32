//! Reads bits of a bzip2 file, many at a time.

/// Bits, the highest of each byte first; zeros follow the last.
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// The byte to load next.
    at: usize,
    /// Bits loaded, the next one highest, and how many they are.
    word: u64,
    loaded: u32,
}

impl<'a> Bits<'a> {
    /// Those of `bytes` from bit `from` on.
    pub fn new(bytes: &'a [u8], from: u64) -> Self {
        let mut bits = Bits { bytes, at: (from / 8) as usize, word: 0, loaded: 0 };
        bits.fill();
        bits.skip((from % 8) as u32);
        bits
    }

    /// Loads at least 56 bits.
    #[inline(always)]
    pub fn fill(&mut self) {
        let next = match self.bytes.get(self.at..self.at + 8) {
            Some(&[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => self.near_the_end(),
        };
        self.word |= next >> self.loaded;
        self.at += ((63 - self.loaded) >> 3) as usize;
        self.loaded |= 56;
    }

    #[cold]
    fn near_the_end(&self) -> u64 {
        let mut word = [0; 8];
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        word[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(word)
    }

    /// The next `count` bits, which must be loaded, as a number.
    #[inline(always)]
    pub fn peek(&self, count: u32) -> u32 {
        (self.word >> (64 - count)) as u32
    }

    /// Passes over `count` bits that are loaded.
    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        self.word <<= count;
        self.loaded -= count;
    }

    /// The next 1 to 32 bits as a number.
    pub fn read(&mut self, count: u32) -> u32 {
        self.fill();
        let value = self.peek(count);
        self.skip(count);
        value
    }

    /// Bits that were read.
    pub fn position(&self) -> u64 {
        self.at as u64 * 8 - u64::from(self.loaded)
    }
}
