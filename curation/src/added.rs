//! Files of the user's own queries.

use crate::vocabulary::Vocabulary;
use crate::{Error, Rule, query_text};
use std::path::Path;

/// The longest file, in bytes: ten million queries of 25 letters.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a file of queries, one a line, UTF-8; empty lines are skipped.
///
/// # Errors
/// `AddedLine` for a line that is no query, `Shards` when the file cannot be read.
pub(crate) fn read(path: &Path, rule: Rule, added: &mut Vocabulary) -> Result<(), Error> {
    let wrong = |line: usize, why: String| Error::AddedLine { path: path.to_path_buf(), line, why };
    let size = std::fs::metadata(path).map_err(shards::Error::io("open", path))?.len();
    if size > MAX_BYTES {
        return Err(wrong(1, format!("the file has {size} bytes, at most {MAX_BYTES} are read")));
    }
    let bytes = std::fs::read(path).map_err(shards::Error::io("read", path))?;
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&bytes);
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| wrong(index + 1, "is not UTF-8".to_string()))?;
        let Some(text) = query_text(line, rule).map_err(|why| wrong(index + 1, why))? else { continue };
        if added.number(&text).is_none() {
            return Err(wrong(index + 1, "is one query more than can be numbered".to_string()));
        }
    }
    Ok(())
}
