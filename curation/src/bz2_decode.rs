//! Decodes blocks of bzip2, one after the other.
//!
//! Most of the time of a usual decoder goes into the last step, the inverse of the Burrows-Wheeler transform: each byte says where the
//! next one stands, anywhere in a large table, and the processor waits for its caches at every byte. So the last step of one block is
//! done amid the first step of the next, which only computes: with each symbol that is read, two bytes are walked. Everything
//! is checked here: any bits give bytes or an error.

use crate::bz2_bits::Bits;
use crate::bz2_blocks::{Bad, Block, MARK_BITS};

/// Bytes of a block before runs are expanded: level 9.
const MAX_BYTES: usize = 900_000;
/// Symbols that share one of the codes.
const GROUP: usize = 50;
/// The longest code, in bits.
const MAX_CODE: u32 = 20;
/// Codes up to this length are found by one look into a table that fits into the first cache.
const FAST: u32 = 10;
/// Bytes that a short run is written in, so that its length need not be branched on.
const SHORT_RUN: usize = 16;
/// Bytes walked for each symbol: about as many as a symbol of text stands for.
const STEPS: usize = 2;

/// Memory to decode in, with the block that is decoded only half.
#[derive(Default)]
pub(crate) struct Decoder {
    codes: Vec<Codes>,
    selectors: Vec<u8>,
    /// The last column of the sorted rotations.
    last: Vec<u8>,
    /// The block that was given last, or what is wrong with it.
    half: Option<Result<Walk, Bad>>,
    rotations: Rotations,
    /// The bytes before runs are expanded.
    plain: Vec<u8>,
}

/// A block between the two steps of its decoding.
struct Walk {
    /// Its bytes before runs are expanded, and how many of them are known.
    length: usize,
    done: usize,
    /// The rotation that begins with the next of them.
    at: usize,
    checksum: u32,
    offset: u64,
    stream: u64,
}

/// What the symbols of a block give.
struct Column {
    length: usize,
    origin: usize,
    checksum: u32,
    /// How often each byte occurs.
    counts: [u32; 256],
}

impl Decoder {
    /// Takes the next block, `None` at the end, and gives the content of the one before it.
    pub(crate) fn push(&mut self, block: Option<&Block>) -> Option<Result<Vec<u8>, Bad>> {
        let mut half = self.half.take();
        let read = block.map(|block| (block, self.read(block, half.as_mut().and_then(|half| half.as_mut().ok()))));
        let content = half.map(|half| half.and_then(|walk| self.finish(walk)));
        self.half = read.map(|(block, column)| match column {
            Ok(column) => Ok(self.link(block, column)),
            Err(why) => Err(damaged(block.offset, block.stream, why)),
        });
        content
    }

    /// Reads a block's bits, and walks on in the one before it meanwhile.
    fn read(&mut self, block: &Block, walk: Option<&mut Walk>) -> Result<Column, &'static str> {
        let mut bits = Bits::new(&block.bytes, block.first + MARK_BITS);
        let checksum = bits.read(32);
        if bits.read(1) == 1 {
            return Err("it is randomised, which only bzip2 before 0.9.5 did");
        }
        let origin = bits.read(24) as usize;
        let mut order = [0; 256];
        let used = used_bytes(&mut bits, &mut order);
        if used == 0 {
            return Err("it uses no bytes");
        }
        read_codes(&mut bits, used + 2, &mut self.codes, &mut self.selectors)?;
        self.last.resize(MAX_BYTES + SHORT_RUN, 0);
        let most = usize::from(block.level) * (MAX_BYTES / 9);
        let mut symbols = Symbols { bits: &mut bits, codes: &self.codes, selectors: &self.selectors, order, end: used + 1 };
        let (length, counts) = match walk {
            None => symbols.read(&mut self.last, most, || {}),
            Some(walk) => {
                let (rotations, plain) = (&self.rotations, &mut self.plain[..walk.length]);
                let (mut at, mut done) = (walk.at, walk.done);
                let result = symbols.read(&mut self.last, most, || {
                    for _ in 0..STEPS {
                        step(rotations, plain, &mut at, &mut done);
                    }
                });
                (walk.at, walk.done) = (at, done);
                result
            }
        }?;
        if bits.position() != block.end {
            return Err("it ends elsewhere than its last symbol");
        }
        if origin >= length {
            return Err("its first byte lies outside");
        }
        Ok(Column { length, origin, checksum, counts })
    }

    fn link(&mut self, block: &Block, column: Column) -> Walk {
        self.plain.resize(MAX_BYTES, 0);
        self.rotations.link(&self.last[..column.length], column.counts);
        let Column { length, origin: at, checksum, .. } = column;
        Walk { length, done: 0, at, checksum, offset: block.offset, stream: block.stream }
    }

    /// Walks to the end, expands runs and compares the checksum.
    fn finish(&mut self, mut walk: Walk) -> Result<Vec<u8>, Bad> {
        let plain = &mut self.plain[..walk.length];
        while walk.done < walk.length {
            step(&self.rotations, plain, &mut walk.at, &mut walk.done);
        }
        let content = expanded(plain);
        if checksum(&content) == walk.checksum { Ok(content) } else { Err(damaged(walk.offset, walk.stream, "its checksum is wrong")) }
    }
}

fn damaged(offset: u64, stream: u64, why: &str) -> Bad {
    Bad::new(offset, format!("a block of stream {stream} is damaged: {why}"))
}

/// Goes from rotation `at` to the one that begins a byte later, and notes the byte; nothing at the end.
#[inline(always)]
fn step(rotations: &Rotations, plain: &mut [u8], at: &mut usize, done: &mut usize) {
    if let Some(byte) = plain.get_mut(*done) {
        (*byte, *at) = rotations.next(*at);
        *done += 1;
    }
}

/// The sorted rotations of a block: for each its first byte, and the rotation that begins one byte later.
///
/// Rotations with the same first byte follow one another, and so do, ascending, those that begin one byte later. So of 20 bits for the
/// latter only the lower 16 are kept for each; the upper ones and the byte are the same for long stretches. That makes the table, which is
/// read at random, half as large.
#[derive(Default)]
struct Rotations {
    low: Vec<u16>,
    /// For each [`ROW`] rotations the stretch that all are in, or [`MIXED`] and the number of the first stretch.
    kinds: Vec<u16>,
    /// Where each stretch begins and what it is: the byte, and above it the upper bits; with an end mark.
    stretches: Vec<(u32, u16)>,
}

/// Rotations that share an entry, as a power of two.
const ROW: u32 = 5;
const MIXED: u16 = 0x8000;

impl Rotations {
    /// Sorts the rotations of which `last` are the last bytes, each as often as `counts` says.
    fn link(&mut self, last: &[u8], counts: [u32; 256]) {
        let mut places = [0; 256];
        let mut sum = 0;
        for (place, count) in places.iter_mut().zip(counts) {
            *place = sum;
            sum += count;
        }
        self.low.resize(MAX_BYTES, 0);
        let mut begins = Vec::with_capacity(16);
        for rows in last.chunks(1 << 16) {
            begins.push(places);
            for (low, &byte) in rows.iter().enumerate() {
                let place = &mut places[byte as usize];
                self.low[*place as usize] = low as u16;
                *place += 1;
            }
        }
        begins.push(places);
        self.stretch(&begins);
    }

    /// Notes the stretches: `begins` says for each upper part where it begins within each byte, and at last where the byte ends.
    fn stretch(&mut self, begins: &[[u32; 256]]) {
        self.kinds.clear();
        self.kinds.resize((MAX_BYTES >> ROW) + 1, 0);
        self.stretches.clear();
        for byte in 0..256 {
            for (upper, pair) in begins.windows(2).enumerate() {
                let (begin, end) = (pair[0][byte], pair[1][byte]);
                if begin == end {
                    continue;
                }
                let kind = (upper as u16) << 8 | byte as u16;
                let (mut row, end_row) = ((begin >> ROW) as usize, ((end - 1) >> ROW) as usize);
                if begin & ((1 << ROW) - 1) != 0 {
                    if self.kinds[row] & MIXED == 0 {
                        self.kinds[row] = MIXED | (self.stretches.len() - 1) as u16;
                    }
                    row += 1;
                }
                if row <= end_row {
                    self.kinds[row..=end_row].fill(kind);
                }
                self.stretches.push((begin, kind));
            }
        }
        self.stretches.push((u32::MAX, 0));
    }

    /// The first byte of a rotation, and the rotation that begins one byte later.
    #[inline(always)]
    fn next(&self, at: usize) -> (u8, usize) {
        let (low, mut kind) = (self.low[at], self.kinds[at >> ROW]);
        if kind & MIXED != 0 {
            let mut stretch = usize::from(kind ^ MIXED);
            while self.stretches[stretch + 1].0 as usize <= at {
                stretch += 1;
            }
            kind = self.stretches[stretch].1;
        }
        (kind as u8, usize::from(kind >> 8) << 16 | usize::from(low))
    }
}

/// Expands runs: the byte after four equal ones says how many more there are.
fn expanded(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(plain.len() + plain.len() / 32);
    let mut at = 0;
    while let Some(run) = find_run(plain, at) {
        out.extend_from_slice(&plain[at..run + 4]);
        let more = plain.get(run + 4).copied().unwrap_or(0);
        out.resize(out.len() + more as usize, plain[run]);
        at = (run + 5).min(plain.len());
    }
    out.extend_from_slice(&plain[at..]);
    out
}

/// The symbols of a block: runs of the byte in front, and places in the list of bytes, where the one met moves to the front.
struct Symbols<'s, 'b> {
    bits: &'s mut Bits<'b>,
    codes: &'s [Codes],
    selectors: &'s [u8],
    order: [u8; 256],
    /// The symbol that ends the block.
    end: usize,
}

impl Symbols<'_, '_> {
    /// Reads all symbols into at most `most` bytes of `last`; gives their number and how often each occurs. Calls `meanwhile` at
    /// each symbol.
    #[inline(always)]
    fn read(&mut self, last: &mut [u8], most: usize, mut meanwhile: impl FnMut()) -> Result<(usize, [u32; 256]), &'static str> {
        let (mut length, mut weight, mut counts) = (0, 1, [0; 256]);
        for &selector in self.selectors {
            let codes = &self.codes[selector as usize];
            for _ in 0..GROUP {
                let symbol = codes.next(self.bits).ok_or("a symbol has no code")?;
                meanwhile();
                let (byte, run);
                if symbol <= 1 {
                    // Digits 1 and 2 of a number to the base of 2, lowest first.
                    (byte, run) = (self.order[0], weight << symbol);
                    weight <<= 1;
                } else if symbol == self.end {
                    return Ok((length, counts));
                } else {
                    (byte, run) = (to_front(&mut self.order, symbol - 1), 1);
                    weight = 1;
                }
                if run > most - length {
                    return Err("it holds more than its level allows");
                }
                if run <= SHORT_RUN {
                    last[length..length + SHORT_RUN].copy_from_slice(&[byte; SHORT_RUN]);
                } else {
                    last[length..length + run].fill(byte);
                }
                counts[byte as usize] += run as u32;
                length += run;
            }
        }
        Err("its symbols do not end")
    }
}

/// Gives the byte at `index`, not 0, and moves it to the front.
fn to_front(order: &mut [u8; 256], index: usize) -> u8 {
    let byte = order[index];
    if index < 16 {
        // Most are near the front: sixteen bytes are one number, and no loop has to be predicted.
        let mut front = [0; 16];
        front.copy_from_slice(&order[..16]);
        let front = u128::from_le_bytes(front);
        let before = (1 << (8 * index)) - 1;
        let moved = (front & before) << 8 | u128::from(byte);
        let after = front & !(before << 8 | 0xff);
        order[..16].copy_from_slice(&(after | moved).to_le_bytes());
    } else {
        order.copy_within(..index, 1);
        order[0] = byte;
    }
    byte
}

/// The first place from `from` on at which four bytes are equal.
fn find_run(bytes: &[u8], from: usize) -> Option<usize> {
    const STEP: usize = 64;
    let mut at = from;
    // Whole steps without a branch inside; runs are rare in text.
    while let Some(window) = bytes.get(at..at + STEP + 3) {
        let mut any = false;
        for i in 0..STEP {
            any |= window[i] == window[i + 1] && window[i] == window[i + 2] && window[i] == window[i + 3];
        }
        if any {
            break;
        }
        at += STEP;
    }
    bytes.get(at..)?.windows(4).position(|four| four.iter().all(|&byte| byte == four[0])).map(|place| at + place)
}

/// The checksum of bzip2: that of zip with the bits of each byte, and of the result, in the other order.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut turned = [0; 4096];
    for chunk in bytes.chunks(turned.len()) {
        let turned = &mut turned[..chunk.len()];
        turned.iter_mut().zip(chunk).for_each(|(turned, byte)| *turned = byte.reverse_bits());
        hasher.update(turned);
    }
    hasher.finalize().reverse_bits()
}

/// Which bytes occur: fills `order` with them, ascending, and gives their number.
fn used_bytes(bits: &mut Bits<'_>, order: &mut [u8; 256]) -> usize {
    let (ranges, mut used) = (bits.read(16), 0);
    for range in (0..16).filter(|range| ranges & (0x8000 >> range) != 0) {
        let members = bits.read(16);
        for member in (0..16).filter(|member| members & (0x8000 >> member) != 0) {
            order[used] = (range * 16 + member) as u8;
            used += 1;
        }
    }
    used
}

/// Reads the codes of `symbols` symbols, and which of them each group of symbols is written in.
fn read_codes(bits: &mut Bits<'_>, symbols: usize, codes: &mut Vec<Codes>, selectors: &mut Vec<u8>) -> Result<(), &'static str> {
    let (count, groups) = (bits.read(3) as usize, bits.read(15) as usize);
    if !(2..=6).contains(&count) || groups == 0 {
        return Err("its codes are not two to six");
    }
    let mut order = [0, 1, 2, 3, 4, 5];
    selectors.clear();
    for _ in 0..groups {
        let mut index = 0;
        while bits.read(1) == 1 {
            index += 1;
            if index >= count {
                return Err("a group names a code that it has not");
            }
        }
        order[..=index].rotate_right(1);
        selectors.push(order[0]);
    }
    codes.resize_with(count, Codes::default);
    codes.iter_mut().try_for_each(|codes| codes.read(bits, symbols))
}

/// A code: symbols of 1 to 20 bits, shorter ones first, those of one length ascending.
struct Codes {
    /// For the bits that follow, the symbol and, in the lowest 5 bits, its length; 0 where that is longer than [`FAST`].
    fast: Vec<u16>,
    /// For each length, the first bits, brought to [`MAX_CODE`], that are beyond its codes.
    limits: [u32; MAX_CODE as usize + 1],
    /// For each length, the place of its first symbol less its first code.
    offsets: [i32; MAX_CODE as usize + 1],
    symbols: Vec<u16>,
}

impl Default for Codes {
    fn default() -> Self {
        Codes { fast: vec![0; 1 << FAST], limits: [0; 21], offsets: [0; 21], symbols: Vec::new() }
    }
}

impl Codes {
    fn read(&mut self, bits: &mut Bits<'_>, symbols: usize) -> Result<(), &'static str> {
        let mut lengths = [0; 258];
        let mut length = bits.read(5);
        for symbol in &mut lengths[..symbols] {
            loop {
                if !(1..=MAX_CODE).contains(&length) {
                    return Err("a code has a length that there is not");
                }
                if bits.read(1) == 0 {
                    break;
                }
                length = if bits.read(1) == 0 { length + 1 } else { length - 1 };
            }
            *symbol = length;
        }
        self.make(&lengths[..symbols])
    }

    fn make(&mut self, lengths: &[u32]) -> Result<(), &'static str> {
        self.symbols.clear();
        self.fast.fill(0);
        let mut code = 0u32;
        for length in 1..=MAX_CODE {
            self.offsets[length as usize] = self.symbols.len() as i32 - code as i32;
            for symbol in (0..lengths.len()).filter(|&symbol| lengths[symbol] == length) {
                if code >= 1 << length {
                    return Err("its codes overlap");
                }
                self.symbols.push(symbol as u16);
                if length <= FAST {
                    let from = (code << (FAST - length)) as usize;
                    self.fast[from..from + (1 << (FAST - length))].fill((symbol as u16) << 5 | length as u16);
                }
                code += 1;
            }
            self.limits[length as usize] = code << (MAX_CODE - length);
            code <<= 1;
        }
        Ok(())
    }

    /// The next symbol; `None` if the bits are no code.
    #[inline(always)]
    fn next(&self, bits: &mut Bits<'_>) -> Option<usize> {
        bits.fill();
        let entry = self.fast[bits.peek(FAST) as usize];
        if entry != 0 {
            bits.skip(u32::from(entry & 31));
            return Some(usize::from(entry >> 5));
        }
        let ahead = bits.peek(MAX_CODE);
        let length = (FAST + 1..=MAX_CODE).find(|&length| ahead < self.limits[length as usize])?;
        bits.skip(length);
        let place = (ahead >> (MAX_CODE - length)) as i32 + self.offsets[length as usize];
        self.symbols.get(usize::try_from(place).ok()?).map(|&symbol| usize::from(symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_that_of_bzip2() {
        // The check value of CRC-32/BZIP2 in the catalogue of parametrised CRC algorithms.
        assert_eq!(checksum(b"123456789"), 0xFC89_1918);
        assert_eq!(checksum(b""), 0);
    }

    #[test]
    fn codes_that_overlap_are_refused_and_gaps_have_no_symbol() {
        let mut codes = Codes::default();
        assert!(codes.make(&[1, 1, 1]).is_err());
        codes.make(&[2, 12, 2]).expect("made");
        let mut bits = Bits::new(&[0b0001_1000, 0b0000_0000, 0b1100_0000], 0);
        assert_eq!([0; 3].map(|_| codes.next(&mut bits)), [Some(0), Some(2), Some(1)]);
        assert_eq!((bits.position(), codes.next(&mut bits)), (16, None));
    }

    #[test]
    fn bits_go_on_as_zeros() {
        let mut bits = Bits::new(&[0xff; 3], 20);
        assert_eq!((bits.read(8), bits.read(32), bits.position()), (0xf0, 0, 60));
    }

    proptest! {
        #[test]
        fn what_is_met_moves_to_the_front(indices in proptest::collection::vec(1usize..256, 0..60)) {
            let mut order: [u8; 256] = std::array::from_fn(|index| index as u8);
            let mut expected = order.to_vec();
            for index in indices {
                let byte = expected.remove(index);
                expected.insert(0, byte);
                prop_assert_eq!(to_front(&mut order, index), byte);
                prop_assert_eq!(&order[..], &expected[..]);
            }
        }

        #[test]
        fn runs_are_found_where_a_plain_search_finds_them(bytes in proptest::collection::vec(0u8..2, 0..300), from in 0usize..300) {
            let expected = (from..bytes.len().saturating_sub(3)).find(|&at| bytes[at..at + 4].iter().all(|&byte| byte == bytes[at]));
            prop_assert_eq!(find_run(&bytes, from), expected);
        }
    }
}
