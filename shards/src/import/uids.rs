//! DataComp's subset files: a NumPy array of uids, each as two numbers of 64 bits.

use crate::Error;
use std::io::Read;
use std::path::Path;

/// Longest header believed, in bytes.
const MAX_HEADER: usize = 1 << 16;
/// Uids read at a time.
const CHUNK: usize = 1 << 16;

/// Reads the uids of a subset, ascending and without repeats: 16 bytes each.
///
/// # Errors
/// `Io` when the file cannot be read, `Unusable` when it is no such array.
pub(super) fn read(path: &Path) -> Result<Vec<u128>, Error> {
    let unusable = |why: String| Error::Unusable { path: path.to_path_buf(), why };
    let mut file = std::io::BufReader::new(crate::Stored::open_ahead(path)?);
    let mut take = |length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).map(|()| bytes).map_err(|_| unusable("it is no NumPy file, or cut off".to_string()))
    };
    let head = take(8)?;
    if !head.starts_with(b"\x93NUMPY") {
        return Err(unusable("it is no NumPy file".to_string()));
    }
    let length = match head[6] {
        1 => take(2)?.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)),
        _ => take(4)?.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte)),
    };
    if length > MAX_HEADER {
        return Err(unusable(format!("its header claims {length} bytes")));
    }
    let header = String::from_utf8_lossy(&take(length)?).replace(' ', "");
    let shape = header.split_once("'shape':(").and_then(|(_, rest)| rest.split_once(",)")).and_then(|(n, _)| n.parse::<usize>().ok());
    let (Some(count), 2, true) = (shape, header.matches("'<u8'").count(), header.contains("'fortran_order':False")) else {
        return Err(unusable(format!("expected one column of two numbers of 64 bits, found {header}")));
    };
    let mut uids: Vec<u128> = Vec::new();
    while uids.len() < count {
        let bytes = take(16 * (count - uids.len()).min(CHUNK))?;
        uids.extend(bytes.chunks_exact(16).map(|uid| {
            let half = |at: usize| uid[at..at + 8].iter().rev().fold(0u128, |n, &byte| n << 8 | u128::from(byte));
            half(0) << 64 | half(8)
        }));
    }
    uids.sort_unstable();
    uids.dedup();
    Ok(uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_numpy_writes_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("subset.npy");
        // numpy.save of np.array([(2, 3), (0, 9), (2, 3)], np.dtype("u8,u8")).
        let header = "{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (3,), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let padded = format!("{header:<117}\n");
        bytes.extend((padded.len() as u16).to_le_bytes());
        bytes.extend(padded.as_bytes());
        [2u64, 3, 0, 9, 2, 3].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(read(&path).expect("read"), [9, (2 << 64) + 3]);
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).expect("cut");
            assert!(matches!(read(&path), Err(Error::Unusable { .. })), "cut at {length}");
        }
        std::fs::write(&path, String::from_utf8_lossy(&bytes).replace("f1", "f8").replace("'<u8'", "'<f8'").as_bytes()).expect("written");
        assert!(read(&path).is_err());
    }
}
