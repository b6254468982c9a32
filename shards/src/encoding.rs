//! How stored pictures are encoded; formats and qualities mean what they mean to img2dataset.

use crate::{Format, PictureError, encode_jpeg};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

/// Longest side of a WebP picture in pixels (RFC 9649, 2.5: 14 bits).
const MAX_WEBP_SIDE: u32 = 16_383;

/// A format with its quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Baseline JPEG, 4:2:0, of quality 1 to 100.
    Jpeg(u8),
    /// PNG, packed with effort 0 to 9.
    Png(u8),
    /// WebP of quality 1 to 100.
    WebP(u8),
    /// WebP without loss.
    LosslessWebP,
}

impl Encoding {
    /// Of `format`, with a quality or the usual one: 95 for JPEG and WebP, 6 for PNG. WebP of a quality above 100 is without loss.
    ///
    /// # Errors
    /// What is wrong, when the format cannot be written or has no such quality.
    pub fn new(format: Format, quality: Option<u8>) -> Result<Self, String> {
        let within = |least: u8, most: u8, usual: u8| match quality.unwrap_or(usual) {
            quality if (least..=most).contains(&quality) => Ok(quality),
            quality => Err(format!("{quality} is not between {least} and {most}, the qualities of {format}")),
        };
        match format {
            Format::Jpeg => Ok(Encoding::Jpeg(within(1, 100, 95)?)),
            Format::Png => Ok(Encoding::Png(within(0, 9, 6)?)),
            Format::WebP if quality > Some(100) => Ok(Encoding::LosslessWebP),
            Format::WebP => Ok(Encoding::WebP(within(1, 100, 95)?)),
            Format::Gif => Err("pictures are not stored as gif".to_string()),
        }
    }

    /// The format.
    pub fn format(self) -> Format {
        match self {
            Encoding::Jpeg(_) => Format::Jpeg,
            Encoding::Png(_) => Format::Png,
            Encoding::WebP(_) | Encoding::LosslessWebP => Format::WebP,
        }
    }

    /// Encodes a picture.
    ///
    /// # Errors
    /// `TooLarge` when a side exceeds what the format can say, `Damaged` when there is no pixel.
    pub fn encode(self, pixels: &RgbImage) -> Result<Vec<u8>, PictureError> {
        match self {
            Encoding::Jpeg(quality) => encode_jpeg(pixels, quality),
            Encoding::Png(effort) => png(pixels, effort),
            Encoding::WebP(quality) => webp(pixels, Some(quality)),
            Encoding::LosslessWebP => webp(pixels, None),
        }
    }
}

fn png(pixels: &RgbImage, effort: u8) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let compression = if effort == 0 { CompressionType::Uncompressed } else { CompressionType::Level(effort) };
    PngEncoder::new_with_quality(&mut bytes, compression, FilterType::Adaptive)
        .write_image(pixels.as_raw(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
        .map_err(|error| PictureError::Damaged(error.to_string()))?;
    Ok(bytes)
}

/// Encodes as WebP; without loss when there is no quality: libwebp then takes the number as an effort, 75 being its own default.
fn webp(pixels: &RgbImage, quality: Option<u8>) -> Result<Vec<u8>, PictureError> {
    let (width, height) = pixels.dimensions();
    if width.max(height) > MAX_WEBP_SIDE {
        return Err(PictureError::TooLarge { width, height, max_side: MAX_WEBP_SIDE, max_pixels: u64::MAX });
    }
    let encoder = webp::Encoder::from_rgb(pixels.as_raw(), width, height);
    let bytes = encoder.encode_simple(quality.is_none(), f32::from(quality.unwrap_or(75)));
    Ok(bytes.map_err(|error| PictureError::Damaged(format!("as WebP: {error:?}")))?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decode};
    use image::Rgb;

    fn waves() -> RgbImage {
        RgbImage::from_fn(90, 61, |x, y| Rgb([(x * 2) as u8, (y * 4) as u8, ((x + y) % 9 * 20) as u8]))
    }

    #[test]
    fn every_format_comes_back() {
        let pixels = waves();
        for (format, quality, loss) in [
            (Format::Jpeg, None, 30),
            (Format::Png, None, 0),
            (Format::Png, Some(0), 0),
            (Format::Png, Some(9), 0),
            (Format::WebP, None, 40),
            (Format::WebP, Some(101), 0),
        ] {
            let encoding = Encoding::new(format, quality).expect("an encoding");
            let again = decode(&encoding.encode(&pixels).expect("encoded"), &Limits::default()).expect("decoded");
            assert_eq!((again.format, again.pixels.dimensions()), (encoding.format(), (90, 61)));
            let mean = again.pixels.as_raw().iter().zip(pixels.as_raw()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
                / pixels.as_raw().len() as u32;
            assert!(mean <= loss, "{encoding:?}: {mean}");
        }
        let sizes = [30, 80].map(|quality| Encoding::WebP(quality).encode(&pixels).expect("encoded").len());
        assert!(sizes[0] < sizes[1], "{sizes:?}");
    }

    #[test]
    fn qualities_are_those_of_the_format() {
        for (format, quality) in [(Format::Jpeg, 0), (Format::Jpeg, 101), (Format::Png, 10), (Format::WebP, 0), (Format::Gif, 50)] {
            assert!(Encoding::new(format, Some(quality)).is_err(), "{format} {quality}");
        }
        assert_eq!(Encoding::new(Format::WebP, Some(100)), Ok(Encoding::WebP(100)));
    }

    #[test]
    fn what_a_format_cannot_say_is_refused() {
        let long = RgbImage::new(16_384, 1);
        assert!(matches!(Encoding::WebP(90).encode(&long), Err(PictureError::TooLarge { width: 16_384, .. })));
        assert!(Encoding::Png(6).encode(&long).is_ok());
        for format in [Format::Jpeg, Format::Png, Format::WebP] {
            assert!(Encoding::new(format, None).expect("an encoding").encode(&RgbImage::new(0, 0)).is_err(), "{format}");
        }
    }
}
