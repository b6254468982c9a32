//! Gzip (RFC 1952) member by member: where each begins, whether its sum is right, and how to go on after a damaged one.
//!
//! Archives of the web hold a gzip member for each record, so that one can be read from its offset and a broken one costs itself.
//! Members that lie in the window are unpacked in one go (`inflate`); long and damaged ones are read anew, step by step.

use crate::inflate::{Inflate, Unpacked, crc32};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::io::{ErrorKind, Read, Result};

/// Bytes read from the input at a time.
const INPUT: usize = 256 << 10;
/// Room for output of one step, in bytes.
const OUTPUT: usize = 64 << 10;
/// Bytes made ready before a member is looked at: most are shorter, and fewer would mean that many lie across the window's end.
const AHEAD: usize = 32 << 10;
/// Room for a member that is unpacked in one go, first and last try, in bytes.
const ROOM: [usize; 2] = [512 << 10, 4 << 20];
/// Longest header of a member: its extra field has at most 64 KiB, its name and comment are cut off here.
const MAX_HEADER: usize = 160 << 10;
/// Times that the input is gone back in after damage. A cut member's neighbour looks like its own bytes for a while, so that the next
/// beginning is looked for from the damaged one's; a file made of beginnings must not be read for ever.
const MAX_REWINDS: u32 = 10_000;
/// What a member begins with: the magic number and the only method there is.
pub(crate) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// What a step of reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes were added to the output.
    Data,
    /// A member is complete and its sum is right.
    MemberEnd,
    /// The member in work is broken or cut; reading goes on with the next one.
    Damaged,
    /// The input is at its end.
    End,
}

/// Unpacks members one after the other.
pub(crate) struct Gunzip<R> {
    input: R,
    buffer: Vec<u8>,
    /// The part of the buffer that is still to be read.
    at: usize,
    filled: usize,
    /// Offset of `buffer[at]` in the input.
    offset: u64,
    inside: bool,
    /// Where in the buffer the bytes of the member in work begin, as far as they are still there.
    begun: usize,
    rewinds: u32,
    /// `None` when everything is to be read step by step.
    whole: Option<Inflate>,
    inflate: Decompress,
    crc: Crc,
    length: u32,
}

impl<R: Read> Gunzip<R> {
    /// Reads `input`, whose first byte has this offset and begins a member.
    pub(crate) fn new(input: R, offset: u64) -> Self {
        Gunzip {
            input,
            buffer: vec![0; INPUT],
            at: 0,
            filled: 0,
            offset,
            inside: false,
            begun: 0,
            rewinds: 0,
            whole: Inflate::new(),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            length: 0,
        }
    }

    /// Offset of the next byte of the input; between members, where the next one begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the next byte begins a member.
    pub(crate) fn is_between(&self) -> bool {
        !self.inside
    }

    /// Adds some bytes to `out`, or says what else was met.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(crate) fn step(&mut self, out: &mut Vec<u8>) -> Result<Step> {
        if !self.inside {
            self.need(AHEAD)?;
            match self.header()? {
                Some(length) if self.unpack_whole(length, out)? => return Ok(Step::MemberEnd),
                Some(length) => self.take(length),
                None if self.at == self.filled => return Ok(Step::End),
                None => {
                    self.seek_magic()?;
                    return Ok(Step::Damaged);
                }
            }
            self.inflate.reset(false);
            self.crc.reset();
            (self.inside, self.length, self.begun) = (true, 0, self.at);
        }
        if self.at == self.filled && !self.need(1)? {
            self.inside = false;
            return Ok(Step::Damaged);
        }
        if out.capacity() - out.len() < OUTPUT / 4 {
            out.reserve(OUTPUT);
        }
        let (before, read) = (out.len(), self.inflate.total_in());
        let status = self.inflate.decompress_vec(&self.buffer[self.at..self.filled], out, FlushDecompress::None);
        self.take((self.inflate.total_in() - read) as usize);
        self.crc.update(&out[before..]);
        self.length = self.length.wrapping_add((out.len() - before) as u32);
        match status {
            Ok(Status::StreamEnd) => {
                self.inside = false;
                if self.sum_is_right()? { Ok(Step::MemberEnd) } else { self.give_up() }
            }
            Ok(_) => Ok(Step::Data),
            Err(_) => self.give_up(),
        }
    }

    /// Adds the member that begins here, with a header of this length, to `out`. Whether that could be done: if not, it is long or damaged,
    /// and nothing has happened.
    fn unpack_whole(&mut self, header: usize, out: &mut Vec<u8>) -> Result<bool> {
        let Some(mut whole) = self.whole.take() else { return Ok(false) };
        let (before, mut tries) = (out.len(), 0);
        let done = loop {
            let ready = self.filled - self.at;
            match whole.unpack(&self.buffer[self.at + header..self.filled], out, ROOM[tries]) {
                Unpacked::Whole(length) => {
                    let end = header + length;
                    let right = self.need(end + 8)? && self.sum_at(end) == (crc32(&out[before..]), (out.len() - before) as u32);
                    if right {
                        self.take(end + 8);
                    } else {
                        out.truncate(before);
                    }
                    break right;
                }
                Unpacked::NoRoom if tries + 1 < ROOM.len() => tries += 1,
                // Its end may be yet to come.
                Unpacked::Unfit if ready < INPUT => {
                    self.need(INPUT)?;
                    if self.filled - self.at == ready {
                        break false;
                    }
                }
                _ => break false,
            }
        };
        self.whole = Some(whole);
        Ok(done)
    }

    /// The sum and the length that stand this far behind the next byte.
    fn sum_at(&self, behind: usize) -> (u32, u32) {
        let at = self.at + behind;
        let number = |at: usize| u32::from_le_bytes([self.buffer[at], self.buffer[at + 1], self.buffer[at + 2], self.buffer[at + 3]]);
        (number(at), number(at + 4))
    }

    /// Leaves the member in work for the next one.
    fn give_up(&mut self) -> Result<Step> {
        self.inside = false;
        if self.rewinds < MAX_REWINDS {
            self.rewinds += 1;
            self.offset -= (self.at - self.begun) as u64;
            self.at = self.begun;
        }
        self.seek_magic()?;
        Ok(Step::Damaged)
    }

    /// Makes at least `count` bytes ready, if the input has them.
    fn need(&mut self, count: usize) -> Result<bool> {
        if self.filled - self.at >= count {
            return Ok(true);
        }
        self.buffer.copy_within(self.at..self.filled, 0);
        (self.at, self.filled, self.begun) = (0, self.filled - self.at, 0);
        while self.filled < count {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) {
        self.at += count;
        self.offset += count as u64;
    }

    /// Length of the member's header; `None` when there is none.
    fn header(&mut self) -> Result<Option<usize>> {
        if !self.need(10)? || self.buffer[self.at..self.at + 3] != MAGIC || self.buffer[self.at + 3] & 0xe0 != 0 {
            return Ok(None);
        }
        let flags = self.buffer[self.at + 3];
        let mut length = 10;
        if flags & 4 != 0 {
            if !self.need(length + 2)? {
                return Ok(None);
            }
            length += 2 + usize::from(u16::from_le_bytes([self.buffer[self.at + length], self.buffer[self.at + length + 1]]));
        }
        // Name and comment end with a zero byte.
        for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
            loop {
                if length >= MAX_HEADER || !self.need(length + 1)? {
                    return Ok(None);
                }
                length += 1;
                if self.buffer[self.at + length - 1] == 0 {
                    break;
                }
            }
        }
        length += if flags & 2 != 0 { 2 } else { 0 };
        Ok(self.need(length)?.then_some(length))
    }

    /// Reads the member's end and compares it with what was unpacked.
    fn sum_is_right(&mut self) -> Result<bool> {
        if !self.need(8)? {
            self.take(self.filled - self.at);
            return Ok(false);
        }
        let right = self.sum_at(0) == (self.crc.sum(), self.length);
        self.take(8);
        Ok(right)
    }

    /// Goes to what looks like the next member, or to the end. Goes on by one byte at least.
    fn seek_magic(&mut self) -> Result<()> {
        if self.need(1)? {
            self.take(1);
        }
        loop {
            let found = memchr::memmem::find(&self.buffer[self.at..self.filled], &MAGIC);
            self.take(found.unwrap_or((self.filled - self.at).saturating_sub(MAGIC.len() - 1)));
            if found.is_some() {
                return Ok(());
            }
            if !self.need(MAGIC.len())? {
                self.take(self.filled - self.at);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;
    use std::io::Write;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    /// The bytes of all complete members, the offsets at which they ended, and the number of damages: in one go where that can be, which
    /// must come to the same as step by step, whatever sizes the input comes in. How far a damaged member was unpacked is nobody's promise.
    fn unpack(bytes: &[u8]) -> (Vec<u8>, Vec<u64>, usize) {
        let whole = read(Gunzip::new(bytes, 0));
        assert_eq!(whole, read(Gunzip { whole: None, ..Gunzip::new(bytes, 0) }));
        assert_eq!(whole, read(Gunzip::new(Drops(bytes), 0)));
        whole
    }

    /// Bytes that come a few at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let most = buffer.len().min(1 + self.0.len() % 7777);
            self.0.read(&mut buffer[..most])
        }
    }

    fn read(mut gunzip: Gunzip<impl Read>) -> (Vec<u8>, Vec<u64>, usize) {
        let (mut out, mut complete, mut ends, mut damages) = (Vec::new(), 0, Vec::new(), 0);
        loop {
            match gunzip.step(&mut out).expect("read") {
                Step::Data => {}
                Step::MemberEnd => {
                    complete = out.len();
                    ends.push(gunzip.offset());
                }
                Step::Damaged => {
                    out.truncate(complete);
                    damages += 1;
                }
                Step::End => return (out, ends, damages),
            }
        }
    }

    fn ends(parts: &[Vec<u8>]) -> Vec<u64> {
        parts
            .iter()
            .scan(0, |end, part| {
                *end += pack(part).len() as u64;
                Some(*end)
            })
            .collect()
    }

    #[test]
    fn long_and_dense_members_are_read_too() {
        let noise: Vec<u8> = (0..200_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).rotate_left(i % 31).to_le_bytes()).collect();
        let parts = [noise, vec![0; ROOM[0] + 1], vec![0; ROOM[1] + 1], b"end".to_vec()];
        let file: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
        assert_eq!(unpack(&file), (parts.concat(), ends(&parts), 0));
        assert_eq!(unpack(&file[..file.len() - 9]).2, 1);
    }

    #[test]
    fn members_follow_each_other() {
        let large: Vec<u8> = (0..1_000_000u32).flat_map(|i| (i * 2_654_435_761).to_le_bytes()).collect();
        let named = {
            let mut packer = GzBuilder::new().filename("a").comment("b").extra(vec![7; 300]).write(Vec::new(), Compression::fast());
            packer.write_all(b"named").expect("packed");
            packer.finish().expect("packed")
        };
        let file = [pack(b"one"), pack(b""), named, pack(&large)].concat();
        let (out, ends, damages) = unpack(&file);
        assert_eq!(out, [b"onenamed".as_slice(), &large].concat());
        assert_eq!((ends.len(), ends[3], damages), (4, file.len() as u64, 0));
    }

    #[test]
    fn damage_costs_its_member() {
        let (one, two, three) = (pack(b"the first member"), pack(b"the second"), pack(b"the third"));
        let mut wrong_sum = two.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        assert_eq!(unpack(&[one.clone(), wrong_sum, three.clone()].concat()).2, 1);
        let cut = [&one[..one.len() / 2], &three].concat();
        let (out, ends, damages) = unpack(&cut);
        assert!(out.ends_with(b"the third"));
        assert_eq!((ends.len(), damages), (1, 1));
        let (out, _, damages) = unpack(&[one.clone(), b"nothing of the kind".to_vec(), three.clone()].concat());
        assert_eq!((out, damages), (b"the first memberthe third".to_vec(), 1));
        let (_, ends, damages) = unpack(&[one, three[..5].to_vec()].concat());
        assert_eq!((ends.len(), damages), (1, 1));
    }

    proptest! {
        /// Members of any length, in one go and step by step, with damage and without.
        #[test]
        fn both_ways_agree(
            members in proptest::collection::vec((0usize..200_000, 1usize..5_000, any::<u64>()), 1..6),
            damage in proptest::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..)),
        ) {
            let bytes = |&(length, period, seed): &(usize, usize, u64)| -> Vec<u8> {
                (0..length).map(|at| (((at % period) as u64).wrapping_mul(seed | 1) >> 7) as u8).collect()
            };
            let parts: Vec<Vec<u8>> = members.iter().map(bytes).collect();
            let mut file: Vec<u8> = parts.iter().flat_map(|part| pack(part)).collect();
            match damage {
                None => prop_assert_eq!(unpack(&file), (parts.concat(), ends(&parts), 0)),
                Some((at, end, flip)) => {
                    let at = at.index(file.len());
                    file[at] ^= flip;
                    file.truncate(file.len().min(at + 1 + end.index(file.len())));
                    unpack(&file);
                }
            }
        }

        #[test]
        fn any_bytes_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
            unpack(&bytes);
            unpack(&[MAGIC.as_slice(), &bytes].concat());
            let mut file = [pack(&bytes), pack(b"end")].concat();
            let at = at.index(file.len());
            file[at] ^= flip;
            unpack(&file);
            bytes.truncate(at);
            unpack(&[pack(&bytes), bytes].concat());
        }
    }
}
