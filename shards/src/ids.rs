//! Identities by content: a pair and an image are named by hashes, so that no counter has to be shared or kept.

use std::fmt;
use std::str::FromStr;

macro_rules! identity {
    ($name:ident, $bytes:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// Written as lower-case hex everywhere outside memory: SQL and other programs can read and join it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Its hex digits.
            pub fn hex(&self) -> [u8; 2 * $bytes] {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut hex = [0; 2 * $bytes];
                for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
                }
                hex
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.hex()).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(hex: &str) -> Result<Self, String> {
                let bad = || format!("{hex:?} is not {} hex digits", 2 * $bytes);
                if hex.len() != 2 * $bytes || !hex.is_ascii() {
                    return Err(bad());
                }
                let mut bytes = [0; $bytes];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
                }
                Ok($name(bytes))
            }
        }
    };
}

identity!(PairId, 16, "An image URL and a caption: the first 16 bytes of BLAKE3(canonical URL, 0, caption).");
identity!(ImageId, 32, "The BLAKE3 hash of an image's bytes as they were received.");

impl PairId {
    /// Names the pair of `canonical_url` (see [`crate::canonical_url`]) and `caption` (see [`crate::clean_caption`]).
    pub fn new(canonical_url: &str, caption: &str) -> Self {
        let (url, caption) = (canonical_url.as_bytes(), caption.as_bytes());
        // One piece is hashed in half the time of three; most are this short.
        let mut piece = [0; 512];
        let length = url.len() + 1 + caption.len();
        let hash = match piece.get_mut(..length) {
            Some(piece) => {
                piece[..url.len()].copy_from_slice(url);
                piece[url.len() + 1..].copy_from_slice(caption);
                blake3::hash(piece)
            }
            None => blake3::Hasher::new().update(url).update(&[0]).update(caption).finalize(),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        PairId(bytes)
    }

    /// The first 8 bytes as a number: the fingerprint that sets of seen pairs keep.
    pub fn fingerprint(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(bytes)
    }
}

impl ImageId {
    /// Names an image by the bytes received.
    pub fn of(bytes: &[u8]) -> Self {
        ImageId(*blake3::hash(bytes).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        let id = PairId::new("http://a/b.jpg", "a red cat");
        assert_eq!(id.to_string().parse::<PairId>(), Ok(id));
        assert!("xyz".parse::<PairId>().is_err());
        assert!("é".repeat(16).parse::<PairId>().is_err());
    }

    #[test]
    fn short_and_long_pairs_are_hashed_alike() {
        for length in [0, 1, 500, 509, 510, 511, 512, 3000] {
            let url = "u".repeat(length);
            let hash = blake3::hash(&[url.as_bytes(), b"\0", b"c"].concat());
            assert_eq!(PairId::new(&url, "c").0, hash.as_bytes()[..16]);
        }
    }

    #[test]
    fn url_and_caption_do_not_run_together() {
        assert_ne!(PairId::new("http://a/b", "c"), PairId::new("http://a/", "bc"));
    }
}
