//! `Content-Encoding` of answers: bodies are received as they come and unpacked here, as browsers do it.
//!
//! Servers say a coding in any case, twice, or of bytes that have none; pictures that are none the worse for it are taken.

use crate::ingest::on_pool;
use crate::refusal::Refusal;
use crate::want::Want;
use brotli::Decompressor;
use flate2::read::{DeflateDecoder, GzDecoder, MultiGzDecoder, ZlibDecoder};
use shards::outcome;
use std::io::{BufReader, Read};

/// What we ask for.
pub(crate) const ACCEPTED: &str = "gzip, deflate, br, zstd";
/// Codings one over the other that are taken off.
const MOST: usize = 4;
/// What pictures begin with that no packed body does.
const PICTURES: [&[u8]; 4] = [&[0xff, 0xd8, 0xff], b"\x89PNG", b"GIF8", b"RIFF"];

/// Why a body cannot be unpacked.
#[derive(Debug, PartialEq)]
pub(crate) enum Stuck {
    /// It is longer than it may be.
    TooLarge,
    /// It is broken: the coding, and why.
    Broken(String),
}

/// A body without its codings.
pub(crate) async fn unpacked(bytes: Vec<u8>, codings: String, want: Want) -> Result<Vec<u8>, Refusal> {
    let max = want.max_bytes();
    // Half a robots.txt may be read, but not one that breaks off: it would say half of what it says.
    let cut = if want == Want::Robots { Cut::Surplus } else { Cut::Nothing };
    match on_pool(move || unpack(bytes, &codings, max, cut)).await {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(Stuck::TooLarge)) => Err(Refusal::too_large(max)),
        Some(Err(Stuck::Broken(why))) => Err(Refusal::Because(outcome::DECODE, why)),
        None => Err(Refusal::Because(outcome::DECODE, "the decoder failed".to_string())),
    }
}

/// What may be left out of a body.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cut {
    Nothing,
    /// What is beyond the cap.
    Surplus,
    /// That, and what is behind a breach.
    Rest,
}

/// Takes the codings that a `Content-Encoding` header names off a body. Where there is none, whatever the header says, and where the coding is
/// unknown, the bytes are believed.
///
/// # Errors
/// When it becomes longer than `max` bytes, or is broken, and that may not be cut off.
pub(crate) fn unpack(mut body: Vec<u8>, codings: &str, max: usize, cut: Cut) -> Result<Vec<u8>, Stuck> {
    if codings.split(',').count() > MOST {
        return Err(Stuck::Broken(format!("it has more than {MOST} codings")));
    }
    // The last one named was put on last.
    for coding in codings.rsplit(',') {
        let coding = coding.trim().to_ascii_lowercase();
        let packed = body.as_slice();
        let unpacked = match coding.as_str() {
            "gzip" | "x-gzip" if packed.starts_with(&[0x1f, 0x8b]) => read(MultiGzDecoder::new(packed), max),
            "deflate" if is_zlib(packed) => read(ZlibDecoder::new(packed), max),
            "deflate" => read(DeflateDecoder::new(packed), max),
            "br" => read(Decompressor::new(packed, 4096), max),
            "zstd" => {
                zstd::Decoder::with_buffer(BufReader::new(packed)).map_or_else(|error| (Vec::new(), Some(error)), |from| read(from, max))
            }
            _ => continue,
        };
        body = match unpacked {
            (mut bytes, None) if bytes.len() > max => {
                bytes.truncate(max);
                if cut == Cut::Nothing {
                    return Err(Stuck::TooLarge);
                }
                bytes
            }
            (bytes, None) => bytes,
            // Bytes behind a whole member, a line's end perhaps, are none of the body.
            (bytes, Some(_)) if coding.ends_with("gzip") && read(GzDecoder::new(packed), max).1.is_none() && !bytes.is_empty() => bytes,
            (..) if is_text(packed) || PICTURES.iter().any(|begin| packed.starts_with(begin)) => continue,
            (bytes, Some(_)) if cut == Cut::Rest && !bytes.is_empty() => bytes,
            (_, Some(error)) => return Err(Stuck::Broken(format!("its {coding} coding is broken: {error}"))),
        };
    }
    Ok(body)
}

/// Whether bytes are text in some encoding: it has no control characters but line ends, tabs and the escapes of ISO-2022-JP, and a
/// packed body soon does. UTF-16 has a mark.
fn is_text(body: &[u8]) -> bool {
    let is_letter = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    body.starts_with(&[0xff, 0xfe]) || body.starts_with(&[0xfe, 0xff]) || body.iter().take(1024).all(is_letter)
}

/// Whether two bytes are the head of zlib's form (RFC 1950), which is what `deflate` means; some send the bare data.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, &[method, flags, ..] if method & 15 == 8 && (u16::from(method) << 8 | u16::from(flags)).is_multiple_of(31))
}

/// What a decoder gives, a byte more than `max` at most, and why it broke off.
fn read(decoder: impl Read, max: usize) -> (Vec<u8>, Option<std::io::Error>) {
    let mut out = Vec::new();
    let error = decoder.take(max as u64 + 1).read_to_end(&mut out).err();
    (out, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    }

    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(bytes).expect("packed");
        out
    }

    #[test]
    fn codings_are_taken_off() {
        let text = b"some words ".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).expect("packed");
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(&text).expect("packed");
        let (zlib, bare) = (zlib.finish().expect("packed"), bare.finish().expect("packed"));
        let zstd = zstd::encode_all(text.as_slice(), 3).expect("packed");
        let two = [gzip(&text[..500]), gzip(&text[500..])].concat();
        for (body, codings) in [
            (gzip(&text), "gzip"),
            (gzip(&text), " GZIP"),
            (gzip(&text), "x-gzip"),
            (gzip(&gzip(&text)), "gzip, gzip"),
            (brotli(&gzip(&text)), "gzip,br"),
            (two, "gzip"),
            (zlib, "deflate"),
            (bare, "deflate"),
            (brotli(&text), "br"),
            (zstd, "zstd"),
            (text.clone(), "identity"),
            (text.clone(), "gzip"),
            (text.clone(), "br"),
            (text.clone(), "deflate"),
            (text.clone(), "zstd"),
            (text.clone(), "utf-8"),
            (text.clone(), ""),
        ] {
            assert_eq!(unpack(body, codings, text.len(), Cut::Nothing).as_deref(), Ok(text.as_slice()), "{codings}");
        }
    }

    #[test]
    fn pictures_under_a_false_coding_are_taken() {
        let jpeg: Vec<u8> = [0xff, 0xd8, 0xff, 0xe0].into_iter().chain((0..2000u32).map(|i| ((i * 7919) >> 3) as u8)).collect();
        for coding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(unpack(jpeg.clone(), coding, 1 << 20, Cut::Nothing).as_ref(), Ok(&jpeg), "{coding}");
        }
    }

    #[test]
    fn bombs_and_breaches_are_told() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(unpack(bomb.clone(), "gzip", 1000, Cut::Nothing), Err(Stuck::TooLarge));
        assert_eq!(unpack(bomb, "gzip", 1000, Cut::Surplus).map(|bytes| bytes.len()), Ok(1000));
        let broken = gzip(&b"some words ".repeat(100));
        let broken = broken[..broken.len() - 20].to_vec();
        for cut in [Cut::Nothing, Cut::Surplus] {
            assert!(matches!(unpack(broken.clone(), "gzip", 1 << 20, cut), Err(Stuck::Broken(why)) if why.contains("gzip")));
        }
        assert!(unpack(broken, "gzip", 1 << 20, Cut::Rest).is_ok_and(|bytes| bytes.starts_with(b"some words")));
        let followed = [gzip(b"some words"), b"\n".to_vec()].concat();
        assert_eq!(unpack(followed, "gzip", 1 << 20, Cut::Nothing).as_deref(), Ok(b"some words".as_slice()));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), coding in "gzip|deflate|br|zstd|gzip,br") {
            // That it ends, within the cap, is what is tested.
            if let Ok(bytes) = unpack(bytes, &coding, 5000, Cut::Nothing) {
                prop_assert!(bytes.len() <= 5000);
            }
        }
    }
}
