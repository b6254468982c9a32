//! A run: its description, its metrics, its checkpoints, its evaluations. Checkpoints of older versions have no sums; of their
//! weights only the form and the length are known.

use super::findings::{Findings, entries, words};
use serde_json::{Map, Value};
use shards::{SUMS, hash_file};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const BEFORE: &str = "remove this checkpoint's folder: `train --resume` goes on from the one before";
const EVAL: &str = "evaluate again with `diptych eval`";
/// Longest header of a weights file believed, in bytes, as its format has it.
const MAX_HEADER: u64 = 100_000_000;

/// Checks the run in `folder`.
pub(super) fn check(findings: &mut Findings, folder: &Path) {
    if let Some(meta) = findings.meta(folder, "run", "put back a copy; `train --resume` needs it to know what was being trained") {
        findings.child(folder, &meta);
    }
    metrics(findings, &folder.join("metrics.jsonl"));
    for path in entries(&folder.join("checkpoints")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".part") {
            findings.remark(&path, "a checkpoint that was being written or removed; the next training sweeps it");
        } else if name.starts_with("step-") {
            checkpoint(findings, &path);
        }
    }
    for path in entries(&folder.join("evals")).iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        findings.json::<Value>(path, EVAL);
    }
}

fn metrics(findings: &mut Findings, path: &Path) {
    let Ok(bytes) = std::fs::read(path) else { return };
    findings.opened();
    let whole: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    for (at, line) in whole.iter().enumerate() {
        if serde_json::from_slice::<Map<String, Value>>(line).is_ok() {
            continue;
        }
        if at + 1 == whole.len() && !line.ends_with(b"\n") {
            findings.remark(path, "its last line was cut by a kill; the next training drops it");
        } else {
            findings.damage(path, format!("line {} is no JSON object", at + 1), "remove the line; only the curves lose a point");
        }
    }
}

fn checkpoint(findings: &mut Findings, folder: &Path) {
    findings.opened();
    if let Err(error) = training::State::read(folder) {
        findings.damage(&folder.join("state.json"), words(&error), BEFORE);
    }
    findings.json::<Value>(&folder.join(training::MODEL_FILE), BEFORE);
    let mut damaged = BTreeSet::new();
    for name in ["model.safetensors", "optimiser.safetensors"] {
        findings.opened();
        if let Err(why) = weights(&folder.join(name)) {
            findings.damage(&folder.join(name), why, BEFORE);
            damaged.insert(folder.join(name));
        }
    }
    let path = folder.join(SUMS);
    if !path.exists() {
        return findings.remark(&path, "there is none (an older version wrote this checkpoint), so flipped bytes in its weights go unseen");
    }
    for (name, sum) in findings.json::<BTreeMap<String, String>>(&path, BEFORE).unwrap_or_default() {
        // A name from a file: only files of this very folder are asked.
        let file = folder.join(Path::new(&name).file_name().unwrap_or_default());
        match hash_file(&file) {
            Ok(found) if found == sum => {}
            // What is wrong with it was said above.
            _ if damaged.contains(&file) => {}
            Ok(_) => findings.damage(&file, "it has other bytes than were written", BEFORE),
            Err(error) => findings.damage(&file, words(&error), BEFORE),
        }
    }
}

/// Whether a safetensors file is whole: its header is JSON, each tensor has the bytes its shape asks for, and the file ends with
/// the last one.
fn weights(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| "it is cut off".to_string())?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER.min(size.saturating_sub(8)) {
        return Err(format!("its header claims {length} bytes, the file has {size}"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|_| "it is cut off".to_string())?;
    let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|error| format!("its header is no JSON: {error}"))?;
    let mut end = 0;
    for (name, tensor) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let numbers = |key: &str| -> Option<Vec<u64>> { tensor.get(key)?.as_array()?.iter().map(Value::as_u64).collect() };
        let width = tensor.get("dtype").and_then(Value::as_str).and_then(bytes_of);
        let (Some(shape), Some(offsets), Some(width)) = (numbers("shape"), numbers("data_offsets"), width) else {
            return Err(format!("tensor {name} is not described"));
        };
        let bytes = shape.iter().try_fold(width, |n, &side| n.checked_mul(side));
        match offsets[..] {
            [from, to] if to.checked_sub(from) == bytes => end = end.max(to),
            _ => return Err(format!("tensor {name} does not have the bytes that its shape asks for")),
        }
    }
    let expected = 8 + length + end;
    if expected == size { Ok(()) } else { Err(format!("it has {size} bytes, its header says {expected}")) }
}

/// Bytes of a number of this type.
fn bytes_of(dtype: &str) -> Option<u64> {
    match dtype {
        "F64" | "I64" | "U64" => Some(8),
        "F32" | "I32" | "U32" => Some(4),
        "F16" | "BF16" | "I16" | "U16" => Some(2),
        "I8" | "U8" | "BOOL" => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weights_file_is_whole_or_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.safetensors");
        let header = br#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"x":"y"}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 24]);
        let check = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            weights(&path)
        };
        assert_eq!(check(&bytes), Ok(()));
        for length in [0, 7, 20, bytes.len() - 1] {
            assert!(check(&bytes[..length]).is_err(), "cut at {length}");
        }
        let shape = String::from_utf8_lossy(header).replace("[2,3]", "[2,4]");
        let mut other = (shape.len() as u64).to_le_bytes().to_vec();
        other.extend_from_slice(shape.as_bytes());
        other.extend_from_slice(&[0; 24]);
        assert!(check(&other).expect_err("refused").contains("tensor a"));
        assert!(check(&u64::MAX.to_le_bytes()).is_err());
    }
}
