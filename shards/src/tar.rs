//! Tar archives with known offsets: every member can be read by position, and equal members give equal bytes.
//!
//! Written as POSIX ustar with fixed owner, mode and time. Read leniently enough for GNU and pax archives of others.

use crate::store::{ReadAt, Stored};
use crate::{AtomicFile, Error};
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes of a header, and what data is padded to.
pub(crate) const BLOCK: u64 = 512;
/// Where a header holds the sum of its member's data, as 12 hex digits.
const SUM_AT: usize = 500;
/// Longest name a ustar header holds without a prefix.
const MAX_NAME: usize = 100;
/// Largest long-name or pax record believed; more is damage.
const MAX_EXTENSION: u64 = 1 << 20;

/// Where a member's data lies in an archive, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// Writes an archive that appears at its path when finished.
pub struct TarWriter {
    file: AtomicFile,
    offset: u64,
    hasher: blake3::Hasher,
}

impl TarWriter {
    /// Begins an archive.
    ///
    /// # Errors
    /// `Io` when the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Ok(TarWriter { file: AtomicFile::create(path)?, offset: 0, hasher: blake3::Hasher::new() })
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.offset
    }

    /// Appends a regular file and says where its data lies.
    ///
    /// # Errors
    /// `Io` on a full disk; `Tar` for a name that is empty or longer than 100 bytes.
    pub fn append(&mut self, name: &str, data: &[u8]) -> Result<Extent, Error> {
        let path = self.file.path().to_path_buf();
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Error::Tar { path, offset: self.offset, why: format!("member name {name:?} is not 1 to {MAX_NAME} bytes long") });
        }
        let extent = Extent { offset: self.offset + BLOCK, length: data.len() as u64 };
        let padding = data.len().next_multiple_of(BLOCK as usize) - data.len();
        let header = header(name, extent.length, member_sum(data));
        for bytes in [&header[..], data, &[0; BLOCK as usize][..padding]] {
            self.file.write_all(bytes).map_err(Error::io("write", &path))?;
            self.hasher.update(bytes);
        }
        self.offset = extent.offset + extent.length + padding as u64;
        Ok(extent)
    }

    /// Closes the archive and renames it into place; returns its size in bytes.
    ///
    /// # Errors
    /// `Io` on a full disk; nothing is at the path then.
    pub fn finish(self) -> Result<u64, Error> {
        let size = self.offset + 2 * BLOCK;
        self.finish_summed().map(|_| size)
    }

    /// As [`TarWriter::finish`]; returns the BLAKE3 of all its bytes, in hex.
    ///
    /// # Errors
    /// As [`TarWriter::finish`].
    pub fn finish_summed(mut self) -> Result<String, Error> {
        let path = self.file.path().to_path_buf();
        let end = [0; 2 * BLOCK as usize];
        self.file.write_all(&end).map_err(Error::io("write", &path))?;
        self.file.commit()?;
        Ok(self.hasher.update(&end).finalize().to_hex().to_string())
    }
}

/// The sum that a header carries of its member's data: the first 6 bytes of BLAKE3. Against damage, not against forgery.
pub fn member_sum(data: &[u8]) -> [u8; 6] {
    let mut sum = [0; 6];
    sum.copy_from_slice(&blake3::hash(data).as_bytes()[..6]);
    sum
}

/// A ustar header for a regular file, mode 0444, owner 0, time 0. `member` is the sum of its data ([`member_sum`]); it stands in
/// the padding that ustar leaves at the end, which other programs neither read nor show.
pub(crate) fn header(name: &str, length: u64, member: [u8; 6]) -> [u8; BLOCK as usize] {
    let mut block = [0; BLOCK as usize];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000444\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(SUM_AT, hex(&member).as_bytes());
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Reads the bytes of one extent. Safe to call from many threads on one file.
///
/// # Errors
/// `Tar` when the file ends before the extent does, `Io` when it cannot be read.
pub fn read_extent(file: &impl ReadAt, path: &Path, extent: Extent) -> Result<Vec<u8>, Error> {
    let size = file.size().map_err(Error::io("inspect", path))?;
    if extent.offset.checked_add(extent.length).is_none_or(|end| end > size) {
        let why = format!("a member of {} bytes is expected here, the file has {size} bytes", extent.length);
        return Err(Error::Tar { path: path.to_path_buf(), offset: extent.offset, why });
    }
    let mut bytes = vec![0; extent.length as usize];
    file.read_at(&mut bytes, extent.offset).map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// A regular file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name with its folders.
    pub name: String,
    /// Offset of its first header: the one right before its data, or a long-name or pax header before that.
    pub start: u64,
    /// Where its data lies.
    pub extent: Extent,
    /// The sum of its data ([`member_sum`]), in archives that diptych wrote.
    pub sum: Option<[u8; 6]>,
}

/// The member whose data `extent` claims to be, by the header right before it.
///
/// # Errors
/// `Tar` when there is no such header or it has another length, `Io` when it cannot be read.
pub fn member_at(file: &impl ReadAt, path: &Path, extent: Extent) -> Result<Member, Error> {
    let damaged = |why: String| Error::Tar { path: path.to_path_buf(), offset: extent.offset, why };
    let at = extent.offset.checked_sub(BLOCK).ok_or_else(|| damaged("a member's data cannot begin here".to_string()))?;
    let block = read_extent(file, path, Extent { offset: at, length: BLOCK })?;
    if !has_right_sum(&block) {
        return Err(damaged("there is no member's header before this place".to_string()));
    }
    match number(&block[124..136]) {
        Some(length) if length == extent.length => Ok(Member { name: ustar_name(&block), start: at, extent, sum: data_sum(&block) }),
        found => Err(damaged(format!("the member here has {} bytes, {} are expected", found.unwrap_or(0), extent.length))),
    }
}

/// What a member's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name with its folders, as far as a ustar header holds it.
    pub name: String,
    /// Bytes of data.
    pub length: u64,
    /// The sum of its data ([`member_sum`]), in archives that diptych wrote.
    pub sum: Option<[u8; 6]>,
    /// Whether it is a regular file, not a folder or a long name.
    pub regular: bool,
}

impl Header {
    /// Reads a block of 512 bytes; `None` when it is not a header.
    pub fn parse(block: &[u8]) -> Option<Self> {
        if block.len() != BLOCK as usize || !has_right_sum(block) {
            return None;
        }
        let regular = matches!(block[156], b'0' | 0);
        Some(Header { name: ustar_name(block), length: number(&block[124..136])?, sum: data_sum(block), regular })
    }
}

/// Walks the regular files of an archive by their headers, without reading their data.
pub struct TarReader {
    file: BufReader<Stored>,
    path: PathBuf,
    offset: u64,
    size: u64,
    done: bool,
}

impl TarReader {
    /// Opens an archive.
    ///
    /// # Errors
    /// `Io` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = Stored::open_ahead(path)?;
        let size = file.size().map_err(Error::io("inspect", path))?;
        Ok(TarReader { file: BufReader::new(file), path: path.to_path_buf(), offset: 0, size, done: false })
    }

    fn damaged(&self, why: impl Into<String>) -> Error {
        Error::Tar { path: self.path.clone(), offset: self.offset, why: why.into() }
    }

    fn read_at_offset(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.damaged("the archive is cut off")),
            Err(error) => Err(Error::io("read", &self.path)(error)),
        }
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), Error> {
        let here = self.file.stream_position().map_err(Error::io("seek", &self.path))?;
        self.file.seek_relative(offset as i64 - here as i64).map_err(Error::io("seek", &self.path))?;
        self.offset = offset;
        Ok(())
    }

    /// The next regular file, or `None` at the end mark.
    fn read_member(&mut self) -> Result<Option<Member>, Error> {
        let mut long_name = None;
        let mut start = self.offset;
        loop {
            if self.offset == self.size && self.size > 0 {
                return Err(self.damaged("the end mark is missing: the archive is cut off"));
            }
            let block = self.read_at_offset(BLOCK as usize)?;
            if block.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            if !has_right_sum(&block) {
                return Err(self.damaged("the header's sum is wrong"));
            }
            let length = number(&block[124..136]).ok_or_else(|| self.damaged("the member's size is not a number"))?;
            let data = self.offset + BLOCK;
            let next = length.checked_next_multiple_of(BLOCK).and_then(|padded| data.checked_add(padded)).filter(|&end| end <= self.size);
            let Some(next) = next else {
                return Err(self.damaged(format!("a member of {length} bytes goes past the end of the archive ({} bytes)", self.size)));
            };
            match block[156] {
                b'L' | b'x' if length <= MAX_EXTENSION => {
                    let bytes = self.read_at_offset(length as usize)?;
                    long_name = if block[156] == b'L' { Some(text(&bytes)) } else { pax_path(&bytes).or(long_name) };
                }
                b'0' | 0 => {
                    let name = long_name.take().unwrap_or_else(|| ustar_name(&block));
                    self.skip_to(next)?;
                    return Ok(Some(Member { name, start, extent: Extent { offset: data, length }, sum: data_sum(&block) }));
                }
                // Global headers, links and folders stand for themselves.
                _ => (long_name, start) = (None, next),
            }
            self.skip_to(next)?;
        }
    }
}

impl Iterator for TarReader {
    type Item = Result<Member, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let member = self.read_member();
        self.done = !matches!(member, Ok(Some(_)));
        member.transpose()
    }
}

/// Text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Whether a header's own sum is right: that of all bytes, with blanks for the sum.
fn has_right_sum(block: &[u8]) -> bool {
    let sum: u64 = block.iter().enumerate().map(|(i, &byte)| if (148..156).contains(&i) { 32 } else { u64::from(byte) }).sum();
    octal(&block[148..156]) == Some(sum)
}

/// The sum of the data that a header of ours carries.
pub(crate) fn data_sum(block: &[u8]) -> Option<[u8; 6]> {
    let digits = std::str::from_utf8(&block[SUM_AT..SUM_AT + 12]).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let mut sum = [0; 6];
    for (at, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(sum)
}

/// The length that a header gives of what follows it.
pub(crate) fn length_in(block: &[u8; BLOCK as usize]) -> Option<u64> {
    number(&block[124..136])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn octal(field: &[u8]) -> Option<u64> {
    u64::from_str_radix(text(field).trim(), 8).ok()
}

/// A size field: octal, or GNU's base 256 when the top bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 == 0 {
        return octal(field);
    }
    field[1..].iter().try_fold(u64::from(field[0] & 0x7f), |n, &byte| n.checked_mul(256)?.checked_add(u64::from(byte)))
}

fn ustar_name(block: &[u8]) -> String {
    let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500]) } else { String::new() };
    let name = text(&block[..MAX_NAME]);
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// The `path` record of a pax header: `length key=value\n`.
fn pax_path(mut bytes: &[u8]) -> Option<String> {
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let record = bytes.get(blank + 1..length.checked_sub(1)?)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(path).into_owned());
        }
        bytes = bytes.get(length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn write(path: &Path, members: &[(String, Vec<u8>)]) -> Vec<Extent> {
        let mut tar = TarWriter::create(path).expect("created");
        let extents = members.iter().map(|(name, data)| tar.append(name, data).expect("appended")).collect();
        tar.finish().expect("finished");
        extents
    }

    fn members() -> Vec<(String, Vec<u8>)> {
        (0..20).map(|i| (format!("{i:09}.jpg"), vec![i as u8; i * 97])).collect()
    }

    #[test]
    fn members_are_where_the_writer_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        let extents = write(&path, &members());
        let file = File::open(&path).expect("opened");
        let walked: Vec<Member> = TarReader::open(&path).expect("opened").map(|member| member.expect("whole")).collect();
        assert_eq!(walked.len(), 20);
        for ((member, extent), (name, data)) in walked.iter().zip(&extents).zip(members()) {
            assert_eq!((&member.name, member.extent), (&name, *extent));
            assert_eq!(read_extent(&file, &path, *extent).expect("read"), data);
            assert_eq!(member.sum, Some(member_sum(&data)));
            assert_eq!(&member_at(&file, &path, *extent).expect("there"), member);
        }
        for (offset, length) in [(0, 4), (extents[3].offset, 1), (extents[3].offset + 1, 291), (1 << 40, 7)] {
            assert!(matches!(member_at(&file, &path, Extent { offset, length }), Err(Error::Tar { .. })), "{offset} {length}");
        }
    }

    #[test]
    fn other_programs_read_it_and_we_read_theirs() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        write(&path, &members());
        let list = std::process::Command::new("tar").arg("tf").arg(&path).output().expect("tar runs");
        assert!(list.status.success());
        assert_eq!(String::from_utf8_lossy(&list.stdout).lines().count(), 20);
        let long = "d".repeat(90) + "/" + &"n".repeat(90);
        std::fs::create_dir(dir.path().join("d".repeat(90))).expect("made");
        std::fs::write(dir.path().join(&long), b"xyz").expect("written");
        for format in ["gnu", "pax", "ustar"] {
            let theirs = dir.path().join(format!("{format}.tar"));
            let made = std::process::Command::new("tar")
                .args(["-C"])
                .arg(dir.path())
                .arg(format!("--format={format}"))
                .arg("-cf")
                .arg(&theirs)
                .arg(&long)
                .status();
            assert!(made.expect("tar runs").success());
            let walked: Vec<Member> = TarReader::open(&theirs).expect("opened").map(|member| member.expect("whole")).collect();
            assert_eq!((walked.len(), &walked[0].name, walked[0].extent.length), (1, &long, 3), "{format}");
        }
    }

    #[test]
    fn damage_is_named_and_never_panics() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        write(&path, &members());
        let whole = std::fs::read(&path).expect("read");
        let read = |bytes: &[u8]| {
            let cut = dir.path().join("cut.tar");
            std::fs::write(&cut, bytes).expect("written");
            TarReader::open(&cut).expect("opened").collect::<Result<Vec<_>, _>>()
        };
        for length in (0..whole.len() - 1024).step_by(61) {
            assert!(matches!(read(&whole[..length]), Err(Error::Tar { .. })), "cut at {length}");
        }
        let mut flipped = whole.clone();
        flipped[3] ^= 1;
        assert!(read(&flipped).expect_err("refused").to_string().contains("sum is wrong"));
    }
}
