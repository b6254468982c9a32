//! Reading and writing an object store on loopback.

use super::*;
use crate::{Extent, TarReader, TarWriter, read_extent};
use bucket::Bucket;

#[allow(dead_code, reason = "the program's tests use all of it")]
#[path = "../../tests/web/src/bucket.rs"]
mod bucket;

#[test]
fn addresses_are_told_from_paths() {
    assert!(is_address(Path::new("s3://b/a.tar")) && is_address(Path::new("https://e.org/a")));
    assert!(!is_address(Path::new("/s3:/b")) && !is_address(Path::new("a/b.tar")));
    let manifest = Path::new("s3://b/set/manifest.parquet");
    assert_eq!(beside(manifest.parent().expect("a folder"), "00000.tar"), Path::new("s3://b/set/00000.tar"));
    assert_eq!(beside(Path::new("here"), "s3://b/x.tar"), Path::new("s3://b/x.tar"));
}

#[test]
fn ranges_are_exact_and_streams_read_ahead() {
    let bucket = Bucket::start().expect("started");
    let dir = tempfile::tempdir().expect("a folder");
    let here = dir.path().join("a.tar");
    let mut tar = TarWriter::create(&here).expect("begun");
    let extents: Vec<Extent> =
        (0..40u8).map(|i| tar.append(&format!("{i:09}.bin"), &vec![i; 300_000 + usize::from(i)]).expect("appended")).collect();
    tar.finish().expect("written");
    let there = PathBuf::from(format!("{}/b/a b/x.tar", bucket.url()));
    assert!(matches!(Stored::open(&there), Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound));
    assert_eq!(read(&there).expect("asked"), None);
    send(&here, &there).expect("sent");
    assert!(bucket.get("/b/a b/x.tar") == std::fs::read(&here).ok());

    let file = Stored::open(&there).expect("opened");
    assert_eq!(file.size().expect("known"), std::fs::metadata(&here).expect("there").len());
    assert_eq!(read_extent(&file, &there, extents[7]).expect("read"), vec![7; 300_007]);
    let asked = format!("bytes={}-{}", extents[7].offset, extents[7].offset + extents[7].length - 1);
    assert!(bucket.requests().iter().any(|request| request.ends_with(&asked)), "{:?}", bucket.requests());
    assert!(matches!(read_extent(&file, &there, Extent { offset: 1 << 40, length: 1 }), Err(Error::Tar { .. })));

    let walked: Vec<_> = TarReader::open(&there).expect("opened").map(|member| member.expect("whole").extent).collect();
    assert_eq!(walked, extents);
    // 12 MB in blocks of 4 MiB: few requests for 40 members.
    let before = bucket.requests().len();
    let stream = Stored::open_ahead(&there).expect("opened");
    for (i, extent) in extents.iter().enumerate() {
        assert_eq!(read_extent(&stream, &there, *extent).expect("read"), vec![i as u8; 300_000 + i]);
    }
    assert!(bucket.requests().len() - before < 8, "{:?}", &bucket.requests()[before..]);
    let mut copy = Vec::new();
    local(&there).expect("copied").read_to_end(&mut copy).expect("read");
    assert!(Some(copy) == std::fs::read(&here).ok());
}
