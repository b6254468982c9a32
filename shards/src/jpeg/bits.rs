//! The entropy-coded bits of a scan, and the Huffman codes in them.

use memchr::memchr;

/// Bits that are looked up at once; longer codes are rare.
const FAST: u32 = 11;
/// Bytes behind the last segment, so that eight can be read anywhere.
const PADDING: usize = 16;
/// A symbol's number of zeros that ends a block: far more than a block has.
const END_OF_BLOCK: u32 = 127;

/// A scan's bytes without the zeros that follow each 0xff, cut at its restart marks.
#[derive(Default)]
pub(super) struct Scan {
    bytes: Vec<u8>,
    /// Where each segment ends.
    ends: Vec<usize>,
}

impl Scan {
    /// Takes the entropy-coded data that `data` begins with; says whether the picture's end follows it.
    pub(super) fn read(&mut self, data: &[u8]) -> bool {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.reserve(data.len() + PADDING);
        let (mut rest, mut is_whole) = (data, false);
        while let Some(at) = memchr(0xff, rest) {
            match rest.get(at + 1) {
                Some(0) => self.bytes.extend_from_slice(&rest[..=at]),
                Some(0xd0..=0xd7) => {
                    self.bytes.extend_from_slice(&rest[..at]);
                    self.ends.push(self.bytes.len());
                }
                // Any number of 0xff may stand before a mark.
                Some(0xff) => {
                    self.bytes.extend_from_slice(&rest[..at]);
                    rest = &rest[at + 1..];
                    continue;
                }
                mark => {
                    is_whole = mark == Some(&0xd9);
                    rest = &rest[..at];
                    break;
                }
            }
            rest = &rest[at + 2..];
        }
        self.bytes.extend_from_slice(rest);
        self.ends.push(self.bytes.len());
        self.bytes.resize(self.bytes.len() + PADDING, 0);
        is_whole
    }

    /// The bits of segment `number`; `None` when there are fewer.
    pub(super) fn segment(&self, number: usize) -> Option<Bits<'_>> {
        let end = *self.ends.get(number)?;
        let at = if number == 0 { 0 } else { self.ends[number - 1] };
        Some(Bits { bytes: &self.bytes, at, bits: 0, count: 0, end })
    }

    /// Bytes of memory held for the next scan.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The bits of one segment, first bit first.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, at the top.
    bits: u64,
    /// How many of them are filled.
    count: u32,
    end: usize,
}

impl Bits<'_> {
    /// Makes at least 56 bits ready. Behind the segment's end they are whatever follows, which [`Bits::is_within`] tells.
    #[inline(always)]
    fn fill(&mut self) {
        let at = self.at.min(self.bytes.len() - 8);
        let next = self.bytes[at..].first_chunk::<8>().map_or(0, |next| u64::from_be_bytes(*next));
        self.bits |= next >> self.count;
        self.at = at + ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    /// The next `length` bits, 1 to 32.
    #[inline(always)]
    fn peek(&self, length: u32) -> usize {
        (self.bits >> (64 - length)) as usize
    }

    #[inline(always)]
    fn skip(&mut self, length: u32) {
        self.bits <<= length;
        self.count -= length;
    }

    /// Whether no more was taken than the segment has.
    #[inline(always)]
    pub(super) fn is_within(&self) -> bool {
        self.at * 8 - self.count as usize <= self.end * 8
    }
}

/// Huffman codes of one table, each with what follows it.
pub(super) struct Codes {
    /// By the next [`FAST`] bits: the entry of the first code, and above it that of a second one, whose length counts both. Without
    /// room for a second one there is an entry that is not whole and adds nothing. Codes longer than [`FAST`] have entry 0.
    fast: Box<[u64; 1 << FAST]>,
    /// For each length the first code that is beyond it, at the top of 16 bits.
    beyond: [u32; 17],
    /// For each length what is added to a code for the number of its symbol.
    shift: [i32; 17],
    symbols: Vec<u8>,
}

/// What a code and the bits behind it say, from the lowest place: bits taken (8), zeros before the value (7), whether it is whole,
/// which means that the bits taken include the value (1), and the value (16, signed) or else its number of bits.
#[derive(Clone, Copy)]
struct Entry(u32);

const WHOLE: u32 = 1 << 15;

impl Entry {
    /// Of a symbol whose code has `length` bits, without its value.
    fn new(symbol: u8, length: u32) -> Self {
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        Entry(match (zeros, size) {
            (15, 0) => length | 15 << 8 | WHOLE,
            (_, 0) => length | END_OF_BLOCK << 8 | WHOLE,
            _ => length | zeros << 8 | size << 16,
        })
    }
    #[inline(always)]
    fn length(self) -> u32 {
        self.0 & 255
    }
    #[inline(always)]
    fn zeros(self) -> usize {
        (self.0 >> 8 & 127) as usize
    }
    #[inline(always)]
    fn is_whole(self) -> bool {
        self.0 & WHOLE != 0
    }
    #[inline(always)]
    fn value(self) -> i16 {
        (self.0 >> 16) as i16
    }
}

/// A number as `size` bits (1 to 15) say it: the lower half of the values stands for negative ones.
#[inline(always)]
fn signed(bits: usize, size: u32) -> i32 {
    let bits = bits as i32;
    bits - if bits >> (size - 1) == 0 { (1 << size) - 1 } else { 0 }
}

impl Codes {
    /// From the number of codes of each length and the symbols in their order; `None` when there are more codes than places.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Codes { fast: Box::new([0; 1 << FAST]), beyond: [0; 17], shift: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut number) = (0u32, 0usize);
        for length in 1..=16u32 {
            codes.shift[length as usize] = number as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    codes.set(code, length, *symbols.get(number)?);
                }
                (code, number) = (code + 1, number + 1);
            }
            codes.beyond[length as usize] = code << (16 - length);
            code <<= 1;
        }
        codes.pair();
        Some(codes)
    }

    /// Fills the entries that begin with a code.
    fn set(&mut self, code: u32, length: u32, symbol: u8) {
        let (bare, left, size) = (Entry::new(symbol, length), FAST - length, u32::from(symbol & 15));
        let first = (code << left) as usize;
        for (i, place) in self.fast[first..first + (1 << left)].iter_mut().enumerate() {
            let entry = if !bare.is_whole() && size <= left {
                let value = signed(i >> (left - size), size);
                (length + size) | bare.0 & 127 << 8 | WHOLE | (value as u32) << 16
            } else {
                bare.0
            };
            *place = u64::from(entry);
        }
    }

    /// Puts second codes above first ones.
    fn pair(&mut self) {
        for i in 0..1 << FAST {
            let first = Entry(self.fast[i] as u32);
            // The lower half of each place stays as it is, whatever was put above it.
            let second = Entry(self.fast[i << first.length() & ((1 << FAST) - 1)] as u32);
            let both = first.length() + second.length();
            let fits = first.is_whole() && second.is_whole() && both <= FAST;
            let above = if fits { second.0 & !255 | both } else { first.length() };
            self.fast[i] |= u64::from(above) << 32;
        }
    }

    /// The next code and its value, where that is not looked up whole: zeros, value. Takes at most 31 bits, which must be ready.
    #[inline(always)]
    fn slowly(&self, mut entry: Entry, bits: &mut Bits) -> Option<(usize, i16)> {
        if entry.0 == 0 {
            entry = self.long(bits.peek(16) as u32)?;
        }
        bits.skip(entry.length());
        if entry.is_whole() {
            return Some((entry.zeros(), 0));
        }
        let size = entry.0 >> 16 & 15;
        let value = signed(bits.peek(size), size);
        bits.skip(size);
        Some((entry.zeros(), value as i16))
    }

    /// The entry of a code longer than [`FAST`], by the next 16 bits.
    #[cold]
    fn long(&self, ahead: u32) -> Option<Entry> {
        let length = (FAST + 1..=16).find(|&length| ahead < self.beyond[length as usize])?;
        let number = (ahead >> (16 - length)) as i32 + self.shift[length as usize];
        self.symbols.get(usize::try_from(number).ok()?).map(|&symbol| Entry::new(symbol, length))
    }

    /// The next value of a table without zeros between values: a difference of means.
    #[inline(always)]
    pub(super) fn difference(&self, bits: &mut Bits) -> Option<i16> {
        bits.fill();
        let first = Entry(self.fast[bits.peek(FAST)] as u32);
        if !first.is_whole() {
            return self.slowly(first, bits).map(|(_, value)| value);
        }
        bits.skip(first.length());
        Some(first.value())
    }

    /// Reads the 63 values behind the mean into `block`, each at its place. Returns whether there was any.
    #[inline(always)]
    pub(super) fn values(&self, bits: &mut Bits, places: &[u8; 64], block: &mut [i16; 64]) -> Option<bool> {
        let mut at = 1;
        let mut put = |at: usize, value| block[usize::from(places[at & 63] & 63)] = value;
        'filled: loop {
            bits.fill();
            // Of 56 bits two looks leave enough for a code of any length.
            for _ in 0..3 {
                let entries = self.fast[bits.peek(FAST)];
                let (first, second) = (Entry(entries as u32), Entry((entries >> 32) as u32));
                if !first.is_whole() {
                    let (zeros, value) = self.slowly(first, bits)?;
                    at += zeros;
                    if at >= 64 {
                        return ended(at);
                    }
                    put(at, value);
                    at += 1;
                    if at == 64 {
                        return Some(true);
                    }
                    continue 'filled;
                }
                at += first.zeros();
                if at >= 63 {
                    bits.skip(first.length());
                    if at == 63 {
                        put(at, first.value());
                        return Some(true);
                    }
                    return ended(at);
                }
                put(at, first.value());
                at += 1 + second.zeros();
                bits.skip(second.length());
                if at >= 64 {
                    return ended(at);
                }
                // Without a second one this is a zero that the next value overwrites.
                put(at, second.value());
                at += usize::from(second.is_whole());
                if at == 64 {
                    return Some(true);
                }
            }
        }
    }
}

/// What it means that the next value would stand at `at`, beyond the block: its end, and whether there was any value; zeros that lead
/// there without it are damage.
#[inline(always)]
fn ended(at: usize) -> Option<bool> {
    (at > END_OF_BLOCK as usize).then_some(at > END_OF_BLOCK as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_and_marks_are_taken_out() {
        let mut scan = Scan::default();
        assert!(scan.read(&[1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 0xff, 0, 0xff, 0xd9, 7]));
        assert_eq!(scan.ends, [3, 4, 5]);
        assert_eq!(scan.bytes[..5], [1, 0xff, 2, 3, 0xff]);
        assert_eq!(scan.bytes.len(), 5 + PADDING);
        assert!(!scan.read(&[0xff]));
        assert_eq!(scan.ends, [0]);
        assert!(!scan.read(&[5, 0xff, 0xda, 0xff, 0xd9]), "another scan");
    }

    #[test]
    fn numbers_are_signed_by_their_first_bit() {
        assert_eq!([signed(0, 1), signed(1, 1), signed(0b00, 2), signed(0b01, 2), signed(0b10, 2), signed(0b11, 2)], [-1, 1, -3, -2, 2, 3]);
    }

    #[test]
    fn codes_of_all_lengths_are_read() {
        // One code of each length: 0, 10, 110, ...
        let symbols: Vec<u8> = vec![0x01, 0x02, 0x13, 0x05, 0xf0, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x11, 0x12, 0x14, 0x15, 0x16, 0x00];
        let codes = Codes::new(&[1; 16], &symbols).expect("codes");
        let mut text = String::new();
        for (i, &symbol) in symbols.iter().enumerate() {
            text += &"1".repeat(i);
            text += "0";
            text += &"1".repeat(usize::from(symbol & 15));
        }
        text += &"0".repeat(8 - text.len() % 8);
        let bytes: Vec<u8> =
            text.as_bytes().chunks_exact(8).map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'))).collect();
        let stuffed: Vec<u8> = bytes.iter().flat_map(|&byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] }).collect();
        let mut scan = Scan::default();
        assert!(!scan.read(&stuffed));
        let mut bits = scan.segment(0).expect("a segment");
        for &symbol in &symbols {
            let expected = match symbol {
                0x00 => (END_OF_BLOCK as usize, 0),
                _ => (usize::from(symbol >> 4), (1 << (symbol & 15)) - 1),
            };
            bits.fill();
            let entry = Entry(codes.fast[bits.peek(FAST)] as u32);
            let found = if entry.is_whole() { (entry.zeros(), entry.value()) } else { codes.slowly(entry, &mut bits).expect("a code") };
            if entry.is_whole() {
                bits.skip(entry.length());
            }
            assert_eq!(found, expected, "{symbol:x}");
        }
        assert!(bits.is_within());
        bits.fill();
        bits.skip(40);
        assert!(!bits.is_within());
        assert!(Codes::new(&[3; 16], &[0; 48]).is_none());
    }
}
