//! A tiny corpus for tests: pictures of plain colours, captions that name them.

use image::{Rgb, RgbImage};
use shards::{ImageId, Sample, TableWriter, TarWriter, encode_jpeg};
use std::path::{Path, PathBuf};

/// Writes `folder/manifest.parquet` over `folder/00000.tar`: `count` pictures of `side` x `side` in four kinds.
pub(crate) fn write_manifest(folder: &Path, count: usize, side: u32) -> PathBuf {
    let mut tar = TarWriter::create(&folder.join("00000.tar")).expect("created");
    let mut rows = Vec::new();
    for i in 0..count {
        let kind = (i % 4) as u8;
        let pixels = RgbImage::from_fn(side, side, |x, y| Rgb([kind * 60, 255 - kind * 60, (x + y + i as u32) as u8]));
        let bytes = encode_jpeg(&pixels, 95).expect("encoded");
        let key = format!("{i:09}");
        let extent = tar.append(&format!("{key}.jpg"), &bytes).expect("appended");
        rows.push(Sample {
            sample_key: key,
            image_id: ImageId::of(&bytes),
            pair_ids: vec![],
            captions: vec![format!("a picture of kind {kind}"), format!("kind {kind}, number {i}")],
            query_ids: vec![],
            image_url: String::new(),
            page_url: String::new(),
            split: "train".to_string(),
            label: Some(u32::from(kind)),
            weight: 1.0,
            group_id: i as u64,
            shard: "00000.tar".to_string(),
            image_offset: extent.offset,
            image_length: extent.length,
            text_offset: 0,
            text_length: 0,
            json_offset: 0,
            json_length: 0,
            width: side,
            height: side,
        });
    }
    tar.finish().expect("finished");
    let manifest = folder.join("manifest.parquet");
    TableWriter::write_all(&manifest, &[], rows).expect("written");
    manifest
}
