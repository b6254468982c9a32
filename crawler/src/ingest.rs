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
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn images_are_stored_at_size() {
        let pixels = RgbImage::from_fn(300, 150, |x, y| Rgb([x as u8, y as u8, 7]));
        let bytes = shards::png_bytes(&pixels).expect("encoded");
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
