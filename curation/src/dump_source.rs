//! The bytes of a dump: plain or bzip2, counted and hashed as they lie on disk, and never more at once than allowed.

use crate::Error;
use bzip2::bufread::MultiBzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Error as IoError, Read, Result as IoResult};
use std::path::Path;

/// Bytes read from disk at once, and decompressed at once.
const BUFFER: usize = 1 << 18;

/// A dump's XML as bytes.
pub(crate) struct Source {
    stream: Stream,
    /// Bytes that may still be read before [`Source::allow`] is called again.
    left: usize,
}

// One per dump: boxing the plain reader would save nothing.
#[allow(clippy::large_enum_variant)]
enum Stream {
    Plain(Raw),
    Bzip2(Box<BufReader<MultiBzDecoder<Raw>>>),
}

impl Source {
    /// Opens a file; `left` bytes may be read at first.
    pub(crate) fn open(path: &Path, left: usize) -> Result<Self, Error> {
        let open = || -> IoResult<Raw> {
            Ok(Raw { file: BufReader::with_capacity(BUFFER, File::open(path)?), read: 0, hash: blake3::Hasher::new() })
        };
        let mut raw = open().map_err(shards::Error::io("open", path))?;
        let head = raw.file.fill_buf().map_err(shards::Error::io("read", path))?;
        let not = |why: &str| Err(Error::NotADump { path: path.to_path_buf(), why: why.to_string() });
        let stream = match head {
            [] => return not("it is empty"),
            [b'B', b'Z', b'h', ..] => Stream::Bzip2(Box::new(BufReader::with_capacity(BUFFER, MultiBzDecoder::new(raw)))),
            [0x1f, 0x8b, ..] => return not("it is gzip; only plain XML and bzip2 are read"),
            [b'7', b'z', 0xbc, 0xaf, ..] => return not("it is a 7z archive; only plain XML and bzip2 are read"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return not("it is zstd; only plain XML and bzip2 are read"),
            _ => Stream::Plain(raw),
        };
        Ok(Source { stream, left })
    }

    /// Allows that many bytes more, from here.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.left = bytes;
    }

    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self.stream, Stream::Bzip2(_))
    }

    /// Bytes of the file used up.
    pub(crate) fn position(&self) -> u64 {
        self.raw().read
    }

    /// The hash of the bytes used up.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.raw().hash.finalize()
    }

    fn raw(&self) -> &Raw {
        match &self.stream {
            Stream::Plain(raw) => raw,
            Stream::Bzip2(decoder) => decoder.get_ref().get_ref(),
        }
    }

    fn stream(&mut self) -> &mut dyn BufRead {
        match &mut self.stream {
            Stream::Plain(raw) => raw,
            Stream::Bzip2(decoder) => decoder.as_mut(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        let left = self.left;
        let bytes = self.stream().fill_buf()?;
        if left == 0 && !bytes.is_empty() {
            return Err(IoError::other("a piece of XML is too long"));
        }
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
        self.stream().consume(bytes);
    }
}

/// The file itself.
struct Raw {
    file: BufReader<File>,
    read: u64,
    hash: blake3::Hasher,
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Raw {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.hash.update(&self.file.buffer()[..bytes]);
        self.read += bytes as u64;
        self.file.consume(bytes);
    }
}
