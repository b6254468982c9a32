//! Damages inputs. Draws are seeded: the same seed and samples give the same inputs in the same order.

/// The longest input, in bytes: long enough for marks nested ten thousand deep.
const MAX_LENGTH: usize = 1 << 17;
/// Bytes that stand at the borders of what numbers can hold.
const BORDERS: [u8; 7] = [0, 1, 0x7f, 0x80, 0xc3, 0xfe, 0xff];

/// Makes inputs of samples.
pub struct Mutator<'t> {
    samples: &'t [Vec<u8>],
    marks: &'t [&'static str],
    state: u64,
}

impl<'t> Mutator<'t> {
    /// A mutator of these samples, at least one, and the marks of their format.
    pub fn new(samples: &'t [Vec<u8>], marks: &'t [&'static str], seed: u64) -> Self {
        Mutator { samples, marks, state: seed }
    }

    /// The next input: a sample with one to eight kinds of damage.
    pub fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.sample().to_vec();
        for _ in 0..1 + self.below(8) {
            self.damage(&mut bytes);
            bytes.truncate(MAX_LENGTH);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.length()).min(bytes.len());
        match self.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = BORDERS[self.below(BORDERS.len())],
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                // Once more, far away or beside itself.
                let part = bytes[at..end].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            5 => {
                let part = bytes[at..end].repeat(1 << self.below(12));
                bytes.splice(at..end, part.into_iter().take(MAX_LENGTH));
            }
            6 => {
                let sample = self.sample();
                let from = self.below(sample.len() + 1);
                let to = (from + self.length()).min(sample.len());
                bytes.splice(at..end, sample[from..to].iter().copied());
            }
            7 | 8 if !self.marks.is_empty() => {
                let mark = self.marks[self.below(self.marks.len())];
                let times = if self.below(4) == 0 { 1 << self.below(13) } else { 1 };
                bytes.splice(at..at, mark.repeat(times).into_bytes());
            }
            _ => bytes.splice(at..at, [self.draw() as u8]).for_each(drop),
        }
    }

    fn sample(&mut self) -> &'t [u8] {
        &self.samples[self.below(self.samples.len())]
    }

    /// A length, short ones more often.
    fn length(&mut self) -> usize {
        let most = 1 << self.below(11);
        1 + self.below(most)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.draw() % end.max(1) as u64) as usize
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let samples = [b"<page>some text</page>".to_vec(), vec![]];
        let inputs = |seed| {
            let mut mutator = Mutator::new(&samples, &["<page>", "]]"], seed);
            (0..500).map(|_| mutator.input()).collect::<Vec<_>>()
        };
        let first = inputs(1);
        assert_eq!(first, inputs(1));
        assert_ne!(first, inputs(2));
        assert!(first.iter().all(|input| input.len() <= MAX_LENGTH));
        assert!(first.iter().any(|input| input.len() > 10_000) && first.iter().filter(|input| input.len() < 100).count() > 100);
    }
}
