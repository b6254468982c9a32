//! The blocks of a bzip2 file, found without decompressing it, so that several threads can decompress one stream.
//!
//! A bzip2 stream is a header of four bytes, blocks of bits that begin with a 48-bit mark at any bit, and an end mark with the
//! checksum of all blocks. [`Blocks`] searches the marks; `bz2_decode.rs` decodes a [`Block`] and compares its checksum. The marks are
//! chosen so that a block holds one by chance once in 2^48 bits: such a file (one in 1,600 of 20 GB) is refused as damaged, and can be
//! read after decompressing it by other means.

use std::io::{ErrorKind, Read};

/// What begins a block, and what ends a stream: the digits of pi and of its square root.
const BLOCK_MARK: u64 = 0x3141_5926_5359;
const END_MARK: u64 = 0x1772_4538_5090;
pub(crate) const MARK_BITS: u64 = 48;
/// The longest block, compressed, in bytes: at most 900,000 bytes go into one, and bzip2 adds at most a few percent.
const MAX_BLOCK: usize = 2 << 20;
/// Bytes read at once.
const READ: usize = 1 << 18;

/// For each byte, the bit offsets at which it can be the second byte of a mark: one test rules out most places.
const SECOND: [u8; 256] = {
    let mut table = [0; 256];
    let mut shift = 0;
    while shift < 8 {
        table[((BLOCK_MARK >> (32 + shift)) & 0xff) as usize] |= 1 << shift;
        table[((END_MARK >> (32 + shift)) & 0xff) as usize] |= 1 << shift;
        shift += 1;
    }
    table
};

/// A block as it lies in the file.
pub(crate) struct Block {
    /// The bytes that hold it.
    pub(crate) bytes: Vec<u8>,
    /// Its first bit, below 8, and the one behind its last, counted in `bytes`.
    pub(crate) first: u64,
    pub(crate) end: u64,
    /// Hundreds of thousands of bytes that it holds at most, before runs are expanded.
    pub(crate) level: u8,
    /// Where it begins, in bytes of the file.
    pub(crate) offset: u64,
    /// Which of the file's streams it is in, counted from 1.
    pub(crate) stream: u64,
}

/// What is wrong with a file, and where.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) offset: u64,
    pub(crate) why: String,
    /// The system's answer where reading itself failed.
    pub(crate) io: Option<std::io::Error>,
}

impl Bad {
    pub(crate) fn new(offset: u64, why: impl Into<String>) -> Self {
        Bad { offset, why: why.into(), io: None }
    }
}

/// Reads a file of one or more bzip2 streams block by block, in order.
pub(crate) struct Blocks<R> {
    input: R,
    /// Bytes of the file from `base` on.
    buffer: Vec<u8>,
    base: u64,
    ended: bool,
    place: Place,
    stream: u64,
    level: u8,
    /// Checksum over the blocks of the current stream.
    checksum: u32,
}

#[derive(Clone, Copy)]
enum Place {
    /// A stream's header is due at this byte of the buffer.
    Header(usize),
    /// A mark is due at this bit of the buffer.
    Mark(u64),
}

impl<R: Read> Blocks<R> {
    pub(crate) fn new(input: R) -> Self {
        Blocks { input, buffer: Vec::new(), base: 0, ended: false, place: Place::Header(0), stream: 0, level: 0, checksum: 0 }
    }

    pub(crate) fn input(&self) -> &R {
        &self.input
    }

    /// The next block; `None` when the file has ended after a whole stream.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, Bad> {
        loop {
            match self.place {
                Place::Header(at) => {
                    self.forget(at);
                    if !self.fill(4)? {
                        return if self.buffer.is_empty() { Ok(None) } else { Err(self.broken_off()) };
                    }
                    let [b'B', b'Z', b'h', level @ b'1'..=b'9', ..] = self.buffer[..] else {
                        let why = format!("expected stream {} of bzip2 here, found other bytes", self.stream + 1);
                        return Err(Bad::new(self.base, why));
                    };
                    (self.level, self.checksum, self.place) = (level, 0, Place::Mark(32));
                    self.stream += 1;
                }
                Place::Mark(bit) => {
                    self.forget((bit / 8) as usize);
                    let bit = bit % 8;
                    // Room for a mark at any bit with the checksum that follows it.
                    self.fill(11)?;
                    match self.bits(bit, MARK_BITS) {
                        Some(BLOCK_MARK) => return self.block(bit).map(Some),
                        Some(END_MARK) => self.end(bit)?,
                        Some(_) => return Err(Bad::new(self.base, format!("stream {} holds no block of bzip2 here", self.stream))),
                        None => return Err(self.broken_off()),
                    }
                }
            }
        }
    }

    /// The block whose mark stands at `bit` of the buffer, below 8.
    fn block(&mut self, bit: u64) -> Result<Block, Bad> {
        let mut from = 6;
        let end = loop {
            if let Some(end) = find_mark(&self.buffer, from) {
                break end;
            }
            from = self.buffer.len().saturating_sub(7).max(6);
            if self.buffer.len() > MAX_BLOCK {
                return Err(Bad::new(self.base, format!("a block of stream {} does not end", self.stream)));
            }
            if !self.fill(self.buffer.len() + 1)? {
                return Err(self.broken_off());
            }
        };
        let checksum = self.bits(bit + MARK_BITS, 32).unwrap_or_default() as u32;
        self.checksum = self.checksum.rotate_left(1) ^ checksum;
        self.place = Place::Mark(end);
        let bytes = self.buffer[..end.div_ceil(8) as usize].to_vec();
        Ok(Block { bytes, first: bit, end, level: self.level - b'0', offset: self.base, stream: self.stream })
    }

    /// The end mark at `bit` of the buffer.
    fn end(&mut self, bit: u64) -> Result<(), Bad> {
        let checksum = self.bits(bit + MARK_BITS, 32).ok_or_else(|| self.broken_off())?;
        if checksum as u32 != self.checksum {
            return Err(Bad::new(self.base, format!("the checksum of stream {} is wrong", self.stream)));
        }
        self.place = Place::Header((bit + MARK_BITS + 32).div_ceil(8) as usize);
        Ok(())
    }

    fn broken_off(&self) -> Bad {
        let end = self.base + self.buffer.len() as u64;
        Bad::new(end, format!("the compressed data breaks off in stream {}", self.stream.max(1)))
    }

    fn bits(&self, from: u64, count: u64) -> Option<u64> {
        read_bits(&self.buffer, from, count)
    }

    /// Drops the first bytes of the buffer.
    fn forget(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len());
        self.buffer.drain(..bytes);
        self.base += bytes as u64;
    }

    /// Reads until the buffer has `bytes`; false when the file ends before.
    fn fill(&mut self, bytes: usize) -> Result<bool, Bad> {
        while self.buffer.len() < bytes && !self.ended {
            let length = self.buffer.len();
            self.buffer.resize(length + READ, 0);
            let read = self.input.read(&mut self.buffer[length..]);
            self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Bad { offset: self.base + length as u64, why: "cannot be read".to_string(), io: Some(error) });
                }
            }
        }
        Ok(self.buffer.len() >= bytes)
    }
}

/// Up to 56 bits from bit `from` on.
fn read_bits(bytes: &[u8], from: u64, count: u64) -> Option<u64> {
    let at = (from / 8) as usize;
    let mut word = [0; 8];
    let available = bytes.get(at..)?;
    let length = available.len().min(8);
    if (length as u64) * 8 < from % 8 + count {
        return None;
    }
    word[..length].copy_from_slice(&available[..length]);
    Some((u64::from_be_bytes(word) << (from % 8)) >> (64 - count))
}

/// The first bit at or after byte `from` at which a mark stands; marks that end beyond the buffer are not seen.
fn find_mark(bytes: &[u8], from: usize) -> Option<u64> {
    let mut at = from;
    while at + 7 <= bytes.len() {
        let mut shifts = SECOND[bytes[at + 1] as usize];
        while shifts != 0 {
            let bit = at as u64 * 8 + u64::from(shifts.trailing_zeros());
            if matches!(read_bits(bytes, bit, MARK_BITS), Some(BLOCK_MARK | END_MARK)) {
                return Some(bit);
            }
            shifts &= shifts - 1;
        }
        at += 1;
    }
    None
}

impl Block {
    /// Bytes of the file that it takes.
    pub(crate) fn compressed_len(&self) -> u64 {
        (self.end - self.first) / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bz2_decode::Decoder;
    use bzip2::Compression;
    use bzip2::write::BzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn pack(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).expect("compressed");
        encoder.finish().expect("compressed")
    }

    /// All bytes, and the number of blocks.
    fn unpack(bytes: &[u8]) -> Result<(Vec<u8>, usize), Bad> {
        let (mut blocks, mut decoder, mut out, mut count) = (Blocks::new(bytes), Decoder::default(), Vec::new(), 0);
        loop {
            let block = blocks.next()?;
            if let Some(content) = decoder.push(block.as_ref()) {
                out.extend(content?);
                count += 1;
            }
            if block.is_none() {
                return Ok((out, count));
            }
        }
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn blocks_of_one_stream_and_of_many() {
        let text = noise(350_000);
        assert_eq!(unpack(&pack(&text, 1)).expect("read"), (text.clone(), 4));
        let streams: Vec<u8> = text.chunks(60_000).flat_map(|part| pack(part, 9)).collect();
        assert_eq!(unpack(&streams).expect("read"), (text, 6));
        assert_eq!(unpack(&pack(b"", 9)).expect("read"), (Vec::new(), 0));
        let zeros = vec![0; 20 << 20];
        assert_eq!(unpack(&pack(&zeros, 9)).expect("read").0, zeros, "a block that grows twentyfold");
    }

    #[test]
    fn what_is_cut_or_damaged_is_named_with_its_place() {
        let packed = pack(&noise(250_000), 1);
        for cut in [2, 10, 100_000, packed.len() - 1] {
            let bad = unpack(&packed[..cut]).expect_err("cut");
            assert!(bad.offset <= cut as u64 && bad.why.contains("breaks off in stream 1"), "{bad:?}");
        }
        let mut damaged = packed.clone();
        damaged[150_000] ^= 4;
        let bad = unpack(&damaged).expect_err("damaged");
        assert!(bad.offset > 90_000 && bad.offset < 150_000 && bad.why.contains("a block of stream 1 is damaged"), "{bad:?}");
        let last = packed.len() - 2;
        let mut wrong_sum = packed.clone();
        wrong_sum[last] ^= 16;
        assert!(unpack(&wrong_sum).expect_err("wrong").why.contains("checksum of stream 1"));
        let trailing = [packed, b"something else".to_vec()].concat();
        assert!(unpack(&trailing).expect_err("trailing").why.contains("expected stream 2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_packed_comes_out(parts in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..3000), 0..5)) {
            let packed: Vec<u8> = parts.iter().flat_map(|part| pack(part, 1)).collect();
            prop_assert_eq!(unpack(&packed).expect("read").0, parts.concat());
        }

        #[test]
        fn nothing_makes_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200usize, value in any::<u8>()) {
            let _ = unpack(&bytes);
            bytes.splice(0..0, *b"BZh91AY&SY");
            let _ = unpack(&bytes);
            let mut packed = pack(&bytes, 1);
            let length = packed.len();
            packed[at % length] = value;
            let _ = unpack(&packed);
        }
    }
}
