//! Decoding for training: at the size that a view needs, which for large JPEGs is far less work than whole.

use crate::augment::Look;
use crate::samples::chain;
use image::RgbImage;
use shards::{Jpeg, Limits, jpeg_size};

/// The picture at its full size.
///
/// # Errors
/// In words.
pub(crate) fn whole(bytes: &[u8]) -> Result<RgbImage, String> {
    Ok(shards::decode(bytes, &Limits::default()).map_err(|error| chain(&error))?.pixels)
}

/// The picture, reduced as far as the view that is drawn for its full size allows, and that view.
///
/// # Errors
/// In words.
pub(crate) fn enough(bytes: &[u8], side: u32, draw: impl Fn((u32, u32)) -> Look) -> Result<(RgbImage, Look), String> {
    if let Some(look) = jpeg_size(bytes).map(&draw)
        && let by @ 2.. = look.reduction(side)
        && let Some(pixels) = Jpeg::parse(bytes, &Limits::default()).and_then(|jpeg| jpeg.decode(by))
    {
        return Ok((pixels, look));
    }
    let pixels = whole(bytes)?;
    let look = draw(pixels.dimensions());
    Ok((pixels, look))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Augment;
    use crate::draws::Draws;
    use image::Rgb;

    #[test]
    fn large_pictures_are_reduced_and_small_ones_are_not() {
        let pixels = RgbImage::from_fn(600, 500, |x, y| Rgb([(x / 3) as u8, (y / 2) as u8, 90]));
        let bytes = shards::encode_jpeg(&pixels, 90).expect("encoded");
        let draw = |size| Augment::Crop.draw(size, 64, &mut Draws::new("test", 1, &[2]));
        let view = |pixels: &RgbImage, look: &Look| {
            let mut out = vec![0; 3 * 64 * 64];
            look.take(pixels, 64, &mut out);
            out
        };
        let (reduced, look) = enough(&bytes, 64, draw).expect("decoded");
        assert_eq!((reduced.dimensions(), look), ((150, 125), draw((600, 500))));
        let whole = whole(&bytes).expect("decoded");
        let (near, far) = (view(&reduced, &look), view(&whole, &look));
        let apart = near.iter().zip(&far).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() as f64 / near.len() as f64;
        assert!(apart < 1.5, "{apart}");
        let look_small = |size| Augment::Crop.draw(size, 300, &mut Draws::new("test", 1, &[2]));
        assert_eq!(enough(&bytes, 300, look_small).expect("decoded").0.dimensions(), (600, 500));
        let png = shards::png_bytes(&pixels).expect("encoded");
        assert_eq!(enough(&png, 64, draw).expect("decoded").0.dimensions(), (600, 500));
        assert!(enough(&bytes[..bytes.len() / 2], 64, draw).expect_err("refused").contains("cut off"));
    }
}
