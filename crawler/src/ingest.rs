//! From bytes received to what is stored: decode, measure, resize, encode.
//!
//! Works on pixels only; runs on rayon's threads, so that the ones that fetch are never busy with it.

use shards::{ImageId, Limits, Measures, PictureError, ResizeMode, decode, encode_jpeg};
use std::panic::AssertUnwindSafe;

/// JPEG quality of stored images: img2dataset's default.
const QUALITY: u8 = 95;

/// An image as it is stored, with what was measured of it.
#[derive(Debug)]
pub(crate) struct Ingested {
    /// The stored bytes.
    pub(crate) jpeg: Vec<u8>,
    /// Sides of the stored image in pixels.
    pub(crate) sides: (u32, u32),
    /// Sides as received, upright.
    pub(crate) original: (u32, u32),
    /// Hash of the bytes received.
    pub(crate) image_id: ImageId,
    /// Measures of the picture as received.
    pub(crate) measures: Measures,
}

/// Turns received bytes into a stored image of `size`.
///
/// # Errors
/// When they are no picture, a damaged one, or one beyond the limits.
pub(crate) fn ingest(bytes: &[u8], size: u32, mode: ResizeMode) -> Result<Ingested, PictureError> {
    let picture = decode(bytes, &Limits::default())?;
    let original = picture.pixels.dimensions();
    let measures = Measures::of(&picture.pixels);
    let stored = mode.apply(picture.pixels, size);
    Ok(Ingested { jpeg: encode_jpeg(&stored, QUALITY)?, sides: stored.dimensions(), original, image_id: ImageId::of(bytes), measures })
}

/// Runs `work` on rayon's threads. `None` when it panicked: decoders meet bytes made to break them, and one bad image or
/// page must not end a crawl.
pub(crate) async fn on_pool<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    rayon::spawn(move || {
        // The receiver is gone only when the crawl was dropped.
        let _ = sender.send(std::panic::catch_unwind(AssertUnwindSafe(work)).ok());
    });
    receiver.await.ok().flatten()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PNG of `width` x `height` with a pattern that depends on `seed`.
    pub(crate) fn png(seed: u8, width: u32, height: u32) -> Vec<u8> {
        // 13-byte header chunk and one stored (uncompressed) deflate block a row: a PNG by hand, as no encoder is imported here.
        let mut raw = Vec::new();
        for y in 0..height {
            raw.push(0);
            raw.extend((0..width).flat_map(|x| [(x as u8).wrapping_mul(seed), (y as u8).wrapping_add(seed), seed]));
        }
        let mut zlib = vec![0x78, 0x01];
        let mut blocks = raw.chunks(60_000).peekable();
        while let Some(block) = blocks.next() {
            zlib.push(u8::from(blocks.peek().is_none()));
            zlib.extend_from_slice(&(block.len() as u16).to_le_bytes());
            zlib.extend_from_slice(&(!(block.len() as u16)).to_le_bytes());
            zlib.extend_from_slice(block);
        }
        let (a, b) =
            raw.iter().fold((1u32, 0u32), |(a, b), &byte| ((a + u32::from(byte)) % 65_521, (b + (a + u32::from(byte)) % 65_521) % 65_521));
        zlib.extend_from_slice(&(b << 16 | a).to_be_bytes());
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend_from_slice(&[8, 2, 0, 0, 0]);
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", header), (b"IDAT", zlib), (b"IEND", Vec::new())] {
            out.extend_from_slice(&(data.len() as u32).to_be_bytes());
            let body = [kind.as_slice(), &data].concat();
            out.extend_from_slice(&body);
            out.extend_from_slice(&crc32(&body).to_be_bytes());
        }
        out
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn images_are_stored_at_size() {
        let bytes = png(7, 300, 150);
        let image = ingest(&bytes, 100, ResizeMode::KeepRatio).expect("ingested");
        assert_eq!((image.sides, image.original), ((200, 100), (300, 150)));
        assert_eq!(image.image_id, ImageId::of(&bytes));
        let stored = decode(&image.jpeg, &Limits::default()).expect("decoded");
        assert_eq!(stored.pixels.dimensions(), (200, 100));
        assert!(ingest(&bytes[..bytes.len() / 2], 100, ResizeMode::No).is_err());
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(on_pool(|| 7).await, Some(7));
        assert_eq!(on_pool(|| -> u8 { std::panic::panic_any("broken") }).await, None);
    }
}
