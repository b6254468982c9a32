//! The hash that a list promises of a picture: whoever made the list saw these bytes, and an address may show others since.

use md5::Md5;
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

/// Why `bytes` are not what `column` among the further columns of a list's row (a JSON object) promises; `None` when they are. The kind of
/// hash is told by its number of hex digits.
pub(crate) fn broken(bytes: &[u8], extra: &str, column: &str) -> Option<String> {
    let further: Map<String, Value> = serde_json::from_str(extra).unwrap_or_default();
    let Some(promised) = further.get(column).and_then(Value::as_str).map(str::trim) else {
        return Some(format!("the list has no hash for it in {column:?}"));
    };
    let (kind, found) = match promised.len() {
        32 => ("MD5", hex::<Md5>(bytes)),
        40 => ("SHA-1", hex::<Sha1>(bytes)),
        64 => ("SHA-256", hex::<Sha256>(bytes)),
        128 => ("SHA-512", hex::<Sha512>(bytes)),
        length => return Some(format!("{column:?} has {length} characters, which is no MD5, SHA-1, SHA-256 or SHA-512 in hex")),
    };
    (!promised.eq_ignore_ascii_case(&found)).then(|| format!("its {kind} is {found}, the list says {promised}"))
}

/// The hash of `bytes` in lower-case hex digits.
pub(crate) fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_length() {
        // Of "abc": RFC 1321 A.5, FIPS 180-4's examples.
        let (md5, sha1) = ("900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        for promised in [md5, sha1, sha256, sha512, &md5.to_uppercase(), &format!(" {sha1} ")] {
            let extra = serde_json::json!({"n": 1, "sum": promised}).to_string();
            assert_eq!(broken(b"abc", &extra, "sum"), None, "{promised}");
            let why = broken(b"abd", &extra, "sum").expect("broken");
            assert!(why.contains(promised.trim()), "{why}");
        }
    }

    #[test]
    fn without_a_hash_nothing_is_taken() {
        for extra in ["", "{}", r#"{"sum":7}"#, r#"{"sum":null}"#] {
            assert!(broken(b"abc", extra, "sum").expect("broken").contains("no hash"), "{extra}");
        }
        assert!(broken(b"abc", r#"{"sum":"900150"}"#, "sum").expect("broken").contains("6 characters"));
    }
}
