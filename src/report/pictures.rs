//! Pictures out of tars, made small enough for a page.

use shards::{Extent, Limits, decode, encode_jpeg, read_extent, resize_exact};
use std::fs::File;
use std::path::Path;

/// Longest side of a picture on the page, in pixels: about 5 KB each.
const SIDE: u32 = 160;
/// Longest picture file read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The picture at `extent` of a tar as a small JPEG; empty when it cannot be read or decoded, as the page then says.
pub(super) fn small(tar: &Path, extent: Extent) -> Vec<u8> {
    let read = || {
        let file = File::open(tar).ok()?;
        let bytes = read_extent(&file, tar, Extent { length: extent.length.min(MAX_BYTES), ..extent }).ok()?;
        let pixels = decode(&bytes, &Limits::default()).ok()?.pixels;
        let longest = pixels.width().max(pixels.height());
        let pixels = if longest <= SIDE {
            pixels
        } else {
            let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(longest)).max(1) as u32;
            resize_exact(&pixels, scaled(pixels.width()), scaled(pixels.height()))
        };
        encode_jpeg(&pixels, 82).ok()
    };
    read().unwrap_or_default()
}
