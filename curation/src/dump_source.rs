//! The bytes of a dump, plain or bzip2, in pieces that threads can work on side by side, counted and hashed as they lie on disk.

use crate::Error;
use crate::bz2_blocks::{Bad, Block, Blocks};
use crate::bz2_decode::Decoder;
use std::fs::File;
use std::io::{Read, Result as IoResult, Seek};
use std::path::{Path, PathBuf};

/// Bytes of a plain file in one piece: about as many as a block of bzip2 gives.
const PLAIN: usize = 1 << 20;

/// Where a piece of XML stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The byte of the file at which the piece, or its compressed block, begins.
    pub(crate) offset: u64,
    /// The stream that the block is in, counted from 1; 0 for plain files.
    pub(crate) stream: u64,
    /// The byte of the decompressed block at which it begins; 0 for plain files.
    pub(crate) inner: u64,
}

impl Place {
    /// The place so many bytes further on.
    pub(crate) fn plus(self, bytes: usize) -> Place {
        match self.stream {
            0 => Place { offset: self.offset + bytes as u64, ..self },
            _ => Place { inner: self.inner + bytes as u64, ..self },
        }
    }

    /// An error in the file at `path` that is met here.
    pub(crate) fn damaged(self, path: &Path, why: impl std::fmt::Display) -> Error {
        let why = match self.stream {
            0 => why.to_string(),
            stream => format!("{why} (byte {} of the XML in this block, stream {stream})", self.inner),
        };
        Error::Dump { path: path.to_path_buf(), offset: self.offset, why }
    }
}

/// Some bytes of a dump, not yet decompressed.
pub(crate) struct Piece {
    /// Its number, counted from 0 in file order.
    pub(crate) number: u64,
    pub(crate) place: Place,
    /// Bytes of the file that it takes.
    pub(crate) length: u64,
    content: Content,
}

enum Content {
    Plain(Vec<u8>),
    Block(Block),
}

/// Turns pieces into XML, one behind: the decoder does half of a block amid the next one.
#[derive(Default)]
pub(crate) struct Unpacker {
    decoder: Decoder,
    waiting: Option<Piece>,
}

impl Unpacker {
    /// Takes the next piece, `None` at the end, and gives the one before it with its XML.
    pub(crate) fn push(&mut self, piece: Option<Piece>, path: &Path) -> Option<(Piece, Result<Vec<u8>, Error>)> {
        let block = piece.as_ref().and_then(|piece| if let Content::Block(block) = &piece.content { Some(block) } else { None });
        let decoded = self.decoder.push(block);
        let mut before = std::mem::replace(&mut self.waiting, piece)?;
        let xml = match (&mut before.content, decoded) {
            (Content::Plain(bytes), _) => Ok(std::mem::take(bytes)),
            (Content::Block(_), decoded) => decoded.unwrap_or_else(|| Ok(Vec::new())).map_err(|bad| dump_error(path, bad)),
        };
        Some((before, xml))
    }
}

fn dump_error(path: &Path, bad: Bad) -> Error {
    match bad.io {
        Some(source) => shards::Error::Io { what: "read", path: path.to_path_buf(), source }.into(),
        None => Error::Dump { path: path.to_path_buf(), offset: bad.offset, why: bad.why },
    }
}

/// A dump's pieces, in order.
pub(crate) struct Source {
    path: PathBuf,
    kind: Kind,
    given: u64,
}

enum Kind {
    Plain(Raw),
    Bzip2(Blocks<Raw>),
}

impl Source {
    /// Opens a file. Whether it is compressed is seen from its first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(shards::Error::io("open", path))?;
        let mut head = Vec::new();
        let read = Read::by_ref(&mut file).take(4).read_to_end(&mut head).and_then(|_| file.rewind());
        read.map_err(shards::Error::io("read", path))?;
        let raw = Raw { file, read: 0, hash: blake3::Hasher::new() };
        let not = |why: &str| Err(Error::NotADump { path: path.to_path_buf(), why: why.to_string() });
        let kind = match head[..] {
            [] => return not("it is empty"),
            [b'B', b'Z', b'h', ..] => Kind::Bzip2(Blocks::new(raw)),
            [0x1f, 0x8b, ..] => return not("it is gzip; only plain XML and bzip2 are read"),
            [b'7', b'z', 0xbc, 0xaf, ..] => return not("it is a 7z archive; only plain XML and bzip2 are read"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return not("it is zstd; only plain XML and bzip2 are read"),
            _ => Kind::Plain(raw),
        };
        Ok(Source { path: path.to_path_buf(), kind, given: 0 })
    }

    /// The next piece; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        let piece = match &mut self.kind {
            Kind::Plain(raw) => {
                let offset = raw.read;
                let mut bytes = Vec::with_capacity(PLAIN);
                raw.by_ref().take(PLAIN as u64).read_to_end(&mut bytes).map_err(shards::Error::io("read", &self.path))?;
                (!bytes.is_empty()).then_some((Place { offset, stream: 0, inner: 0 }, Content::Plain(bytes)))
            }
            Kind::Bzip2(blocks) => {
                let block = blocks.next().map_err(|bad| dump_error(&self.path, bad))?;
                block.map(|block| (Place { offset: block.offset, stream: block.stream, inner: 0 }, Content::Block(block)))
            }
        };
        let number = self.given;
        self.given += u64::from(piece.is_some());
        Ok(piece.map(|(place, content)| {
            let length = match &content {
                Content::Plain(bytes) => bytes.len() as u64,
                Content::Block(block) => block.compressed_len(),
            };
            Piece { number, place, length, content }
        }))
    }

    /// The hash of the bytes read: of the whole file once `next` has given `None`.
    pub(crate) fn hash(&self) -> String {
        self.raw().hash.finalize().to_hex().to_string()
    }

    /// Bytes of the file that were read.
    pub(crate) fn position(&self) -> u64 {
        self.raw().read
    }

    fn raw(&self) -> &Raw {
        match &self.kind {
            Kind::Plain(raw) => raw,
            Kind::Bzip2(blocks) => blocks.input(),
        }
    }
}

/// The file itself.
struct Raw {
    file: File,
    read: u64,
    hash: blake3::Hasher,
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let length = self.file.read(into)?;
        self.hash.update(&into[..length]);
        self.read += length as u64;
        Ok(length)
    }
}
