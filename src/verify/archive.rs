//! A tar against the rows that say what lies in it: every header, every length, every byte.

use super::findings::Findings;
use shards::{ERASED, Extent, ImageId, Stored, TarReader, is_address, member_sum, read_extent};
use std::collections::HashMap;
use std::path::Path;

/// Longest member read, in bytes; stored pictures are far smaller.
const MAX_MEMBER: u64 = 1 << 28;

/// What a row says of its members.
pub(super) struct Claim {
    /// The row in its table, counted from 0.
    pub(super) row: u64,
    /// The members' stem.
    pub(super) key: String,
    pub(super) image: Extent,
    /// Of no length when there is none, as the next.
    pub(super) text: Extent,
    pub(super) json: Extent,
    /// What the text member holds.
    pub(super) caption: String,
    /// The hash of the picture's bytes, where they are stored as they were received.
    pub(super) image_id: Option<ImageId>,
}

/// Which member of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Image,
    Text,
    Json,
}

/// Walks the tar at `path`, whose members `claims` describe. `ours`: diptych packed it, so that each member has a row and is
/// named by its key.
pub(super) fn check(findings: &mut Findings, path: &Path, claims: &[Claim], ours: bool, advice: &str) {
    findings.opened();
    let mut waiting: HashMap<u64, (usize, Part, u64)> = HashMap::new();
    for (at, claim) in claims.iter().enumerate() {
        for (part, extent) in [(Part::Image, claim.image), (Part::Text, claim.text), (Part::Json, claim.json)] {
            if extent.length > 0 {
                waiting.insert(extent.offset, (at, part, extent.length));
            }
        }
    }
    if !is_address(path) && !path.exists() {
        findings.damage(path, format!("it is missing; {} rows speak of it", claims.len()), advice);
        return;
    }
    let (reader, file) = match (TarReader::open(path), Stored::open_ahead(path)) {
        (Ok(reader), Ok(file)) => (reader, file),
        (Err(error), _) | (_, Err(error)) => return findings.failed(path, &error, advice),
    };
    let mut sums = true;
    // Said after what rows miss, which is the graver half of the same disagreement.
    let mut extra = Vec::new();
    let mut broken = None;
    for member in reader {
        let member = match member {
            Ok(member) => member,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        let bytes = match read_extent(&file, path, Extent { length: member.extent.length.min(MAX_MEMBER), ..member.extent }) {
            Ok(bytes) => bytes,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        // A header and the padding are read too.
        findings.meter.add(512 + (bytes.len() as u64).next_multiple_of(512));
        sums &= member.sum.is_some();
        let place = format!("member {} at byte {}", member.name, member.extent.offset);
        if member.sum.is_some_and(|sum| sum != member_sum(&bytes)) {
            findings.damage(path, format!("{place} has other bytes than were written"), advice);
        }
        match waiting.remove(&member.extent.offset) {
            Some((at, part, length)) => agree(findings, path, &claims[at], (part, length), (&member.name, &bytes), ours, advice),
            None if ours && !bytes.is_empty() && member.name != ERASED => extra.push(place),
            None => {}
        }
    }
    if let Some(error) = broken {
        let unread = findings.unread();
        findings.failed(path, &error, advice);
        if findings.unread() > unread {
            // Nothing is known of what was not reached.
            return;
        }
    }
    let mut missing: Vec<(usize, u64, u64)> = waiting.into_iter().map(|(offset, (at, _, length))| (at, offset, length)).collect();
    missing.sort_unstable();
    for (at, offset, length) in missing {
        let (row, key) = (claims[at].row, &claims[at].key);
        findings.damage(path, format!("row {row} ({key}) places {length} bytes at {offset}, where no member is"), advice);
    }
    for place in extra {
        findings.damage(path, format!("{place} is in no row"), advice);
    }
    if ours && !sums {
        findings.remark(path, "some members carry no sum of their bytes (an older version wrote them), so flipped bytes in them go unseen");
    }
}

/// Compares a member with its row.
fn agree(
    findings: &mut Findings,
    path: &Path,
    claim: &Claim,
    (part, length): (Part, u64),
    (name, bytes): (&str, &[u8]),
    ours: bool,
    advice: &str,
) {
    let row = format!("row {} ({})", claim.row, claim.key);
    if length != bytes.len() as u64 {
        return findings.damage(path, format!("{row} says that {name} has {length} bytes, it has {}", bytes.len()), advice);
    }
    if ours && name.rsplit_once('.').map(|(stem, _)| stem) != Some(claim.key.as_str()) {
        findings.damage(path, format!("{row} lies where {name} is"), advice);
    }
    match part {
        Part::Image if claim.image_id.is_some_and(|id| id != ImageId::of(bytes)) => {
            findings.damage(path, format!("the picture {name} is not the one of {row}: their hashes differ"), advice);
        }
        Part::Text if ours && bytes != claim.caption.as_bytes() => {
            findings.damage(path, format!("the caption {name} is not that of {row}"), advice);
        }
        Part::Json if ours => {
            let record: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
            if record.and_then(|record| Some(record.get("key")?.as_str()? == claim.key)) != Some(true) {
                findings.damage(path, format!("the record {name} is not that of {row}"), advice);
            }
        }
        _ => {}
    }
}
