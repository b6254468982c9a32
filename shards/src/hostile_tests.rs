//! Readers, erasing and mending on bytes made to break them: an answer or an error, never a panic, and never a byte outside its place.

use crate::{Expected, Extent, Sample, TableReader, TableWriter, TarReader, TarWriter, erase, mend};
use proptest::prelude::*;
use std::path::Path;

fn archive(path: &Path) -> (Vec<u8>, Vec<Expected>) {
    let mut tar = TarWriter::create(path).expect("begun");
    let mut members = Vec::new();
    for row in 0..6u8 {
        let key = format!("{row:09}");
        let picture = crate::encode_jpeg(&image::RgbImage::from_pixel(8, 8, image::Rgb([row, 9, 9])), 90).expect("encoded");
        let text = format!("caption {row}").into_bytes();
        let image = tar.append(&format!("{key}.jpg"), &picture).expect("appended");
        let caption = tar.append(&format!("{key}.txt"), &text).expect("appended");
        members.push(Expected { key: key.clone(), suffix: None, extent: image, data: None });
        members.push(Expected { key, suffix: Some("txt"), extent: caption, data: Some(text) });
    }
    tar.finish().expect("finished");
    (std::fs::read(path).expect("read"), members)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn archives_with_any_damage(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in prop::option::of(any::<prop::sample::Index>())) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.tar");
        let (whole, members) = archive(&path);
        let mut bytes = whole.clone();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        std::fs::write(&path, &bytes).expect("written");
        let read: Vec<_> = TarReader::open(&path).expect("opened").take(100).collect();
        prop_assert!(read.iter().flatten().all(|member| member.extent.offset + member.extent.length <= bytes.len() as u64));

        // Mended, every member is the one that was written, or is named as lost.
        let mended = mend(&path, &members).expect("mended");
        let after = std::fs::read(&path).expect("read");
        for member in &members {
            let (from, to) = (member.extent.offset as usize, (member.extent.offset + member.extent.length) as usize);
            let is_back = after.get(from..to) == Some(&whole[from..to]);
            let is_lost = mended.lost.iter().any(|lost| lost.starts_with(&member.key));
            prop_assert!(is_back || is_lost, "{} of {mended:?}", member.key);
        }

        std::fs::write(&path, &bytes).expect("written");
        let (hit, beyond) = (members[4].extent, Extent { offset: u64::MAX - 5, length: 9 });
        erase(&path, &[hit, beyond]).expect("erased");
        let after = std::fs::read(&path).expect("read");
        prop_assert_eq!(after.len(), bytes.len());
        let gone = after.get(hit.offset as usize..((hit.offset + hit.length) as usize).min(after.len())).unwrap_or_default();
        prop_assert!(gone.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn tables_with_any_damage(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        TableWriter::<Sample>::write_all(&path, &[], []).expect("written");
        let mut bytes = std::fs::read(&path).expect("read");
        let before = bytes.clone();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        std::fs::write(&path, &bytes).expect("written");
        let sum = crate::check_sum(&path, |_| ());
        prop_assert!(bytes == before || !matches!(sum, Ok(true)), "the damage is seen");
        if let Ok(reader) = TableReader::<Sample>::open(&path) {
            reader.for_each(drop);
        }
    }
}
