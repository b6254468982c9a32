//! Decoding and encoding pictures that strangers sent: every size is capped before memory is taken.

use crate::jpeg::{self, Jpeg};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use std::io::Cursor;
use std::sync::Mutex;

/// A picture format that diptych accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG, all kinds.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF; its first frame counts.
    Gif,
}

impl Format {
    /// The tar member's suffix.
    pub fn suffix(self) -> &'static str {
        match self {
            Format::Jpeg => "jpg",
            Format::Png => "png",
            Format::WebP => "webp",
            Format::Gif => "gif",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.suffix())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    /// Of those that pictures are stored in.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "jpg" | "jpeg" => Ok(Format::Jpeg),
            "png" => Ok(Format::Png),
            "webp" => Ok(Format::WebP),
            _ => Err(format!("{name:?} is not one of jpg, png, webp")),
        }
    }
}

/// What a picture may cost at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest width and height in pixels.
    pub max_side: u32,
    /// Largest number of pixels.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 16,384 pixels a side and 64 megapixels: above what cameras of this decade send, 192 MiB decoded.
    fn default() -> Self {
        Limits { max_side: 16_384, max_pixels: 1 << 26 }
    }
}

/// Why bytes are not a usable picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The bytes begin like none of the accepted formats.
    #[error("not a JPEG, PNG, WebP or GIF picture")]
    Unknown,
    /// The header announces more pixels than the limits allow.
    #[error("{width} x {height} pixels exceed the limit of {max_side} a side and {max_pixels} in all")]
    TooLarge {
        /// Announced width.
        width: u32,
        /// Announced height.
        height: u32,
        /// The limit on a side.
        max_side: u32,
        /// The limit on pixels.
        max_pixels: u64,
    },
    /// The picture is cut off or broken.
    #[error("damaged picture: {0}")]
    Damaged(String),
}

/// A decoded picture: 8-bit RGB, upright, transparency laid over white.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The pixels.
    pub pixels: RgbImage,
    /// The format it came in.
    pub format: Format,
    /// Whether the bytes show the same only to who turns them as their header says, lays them over white, takes the first of several frames,
    /// or brings 16 bits to 8, all of which was done.
    pub changed: bool,
}

/// Bytes from the beginning in which the mark of an animation stands (`acTL` before the pixels, `ANIM` before the frames).
const ANIMATION_MARK: usize = 1 << 16;
/// Bytes that a decoder may take beside those of the pixels.
const BESIDE_PIXELS: u64 = 64 << 20;
/// Pictures of more pixels are decoded one after the other, whatever the number of threads: with 16 bits a channel one of 64 megapixels
/// takes 512 MiB on the way.
const LARGE_PIXELS: u64 = 1 << 24;
static ONE_LARGE: Mutex<()> = Mutex::new(());

/// Decodes `bytes` by what they are, whatever their name or header claims. EXIF orientation is applied, transparency is
/// laid over white as img2dataset does, an animation gives its first frame.
///
/// # Errors
/// See [`PictureError`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
    let damaged = |error: image::ImageError| PictureError::Damaged(error.to_string());
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| PictureError::Damaged(error.to_string()))?;
    let format = match reader.format() {
        Some(ImageFormat::Jpeg) => Format::Jpeg,
        Some(ImageFormat::Png) => Format::Png,
        Some(ImageFormat::WebP) => Format::WebP,
        Some(ImageFormat::Gif) => Format::Gif,
        _ => return Err(PictureError::Unknown),
    };
    if format == Format::Jpeg
        && let Some(jpeg) = Jpeg::parse(bytes, limits)
        && let Some(pixels) = jpeg.decode(1)
    {
        return Ok(upright(DynamicImage::ImageRgb8(pixels), format, jpeg.orientation()));
    }
    let mut caps = image::Limits::default();
    // Beside pixels: profiles and texts, which may be packed to be large.
    caps.max_alloc = Some(BESIDE_PIXELS);
    reader.limits(caps.clone());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > limits.max_side || u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(PictureError::TooLarge { width, height, max_side: limits.max_side, max_pixels: limits.max_pixels });
    }
    if width == 0 || height == 0 {
        return Err(PictureError::Damaged("no pixels".to_string()));
    }
    if format == Format::Jpeg && is_cut_jpeg(bytes) {
        return Err(PictureError::Damaged("the JPEG is cut off".to_string()));
    }
    if format == Format::Jpeg {
        jpeg::check(bytes).map_err(|why| PictureError::Damaged(why.to_string()))?;
    }
    let pixels = u64::from(width) * u64::from(height);
    // 16-bit RGBA is the widest.
    caps.max_alloc = Some(pixels * 8 + BESIDE_PIXELS);
    decoder.set_limits(caps).map_err(damaged)?;
    let _alone = (pixels > LARGE_PIXELS).then(|| ONE_LARGE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let changed = picture.color().has_alpha() || picture.color().bytes_per_pixel() / picture.color().channel_count() > 1 || moves(bytes);
    let picture = upright(picture, format, orientation);
    Ok(Picture { changed: picture.changed || changed, ..picture })
}

/// Whether a PNG or WebP has more than one frame: their heads say so, within bytes that every reader has.
fn moves(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(ANIMATION_MARK)];
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => memchr::memmem::find(head, b"acTL").is_some(),
        [b'R', b'I', b'F', b'F', ..] => memchr::memmem::find(head, b"ANIM").is_some(),
        _ => false,
    }
}

/// What was decoded, as it is to be looked at.
fn upright(mut picture: DynamicImage, format: Format, orientation: Orientation) -> Picture {
    picture.apply_orientation(orientation);
    Picture { pixels: flatten(picture), format, changed: orientation != Orientation::NoTransforms }
}

/// Whether a JPEG breaks off within its pixels, which the decoder would silently fill with grey.
///
/// Neither marker can stand inside entropy-coded data (ITU-T T.81, B.1.1.2), so whole pictures have an end of image (FF D9)
/// behind their last start of scan (FF DA); what a thumbnail in the header has lies before that.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |code: u8| memchr::memmem::rfind(bytes, &[0xff, code]);
    last(0xd9) < last(0xda)
}

/// Lays transparency over white and brings every layout to 8-bit RGB.
fn flatten(picture: DynamicImage) -> RgbImage {
    if let DynamicImage::ImageRgb8(pixels) = picture {
        return pixels;
    }
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let pixels = picture.into_rgba8();
    let mut out = RgbImage::new(pixels.width(), pixels.height());
    for (to, from) in out.pixels_mut().zip(pixels.pixels()) {
        let alpha = u32::from(from[3]);
        for channel in 0..3 {
            to[channel] = ((u32::from(from[channel]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    out
}

/// Encodes as baseline JPEG, 4:2:0, at `quality` (1 to 100).
///
/// # Errors
/// When a side exceeds JPEG's 65,535 pixels, or there is no pixel.
pub fn encode_jpeg(pixels: &RgbImage, quality: u8) -> Result<Vec<u8>, PictureError> {
    let (width, height) = pixels.dimensions();
    if width.max(height) > 65_535 {
        return Err(PictureError::TooLarge { width, height, max_side: 65_535, max_pixels: u64::MAX });
    }
    if width.min(height) == 0 {
        return Err(PictureError::Damaged("no pixels".to_string()));
    }
    Ok(jpeg::encode(pixels.as_raw(), width as usize, height as usize, quality))
}

/// Encodes as PNG, for reports.
///
/// # Errors
/// `Damaged` when the encoder refuses, such as a picture without pixels.
pub fn png_bytes(pixels: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, ImageFormat::Png).map_err(|error| PictureError::Damaged(error.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbaImage};

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 128]))
    }

    #[test]
    fn jpeg_comes_back_nearly_the_same() {
        let pixels = gradient(64, 48);
        let bytes = encode_jpeg(&pixels, 95).expect("encoded");
        let picture = decode(&bytes, &Limits::default()).expect("decoded");
        assert_eq!((picture.format, picture.pixels.dimensions()), (Format::Jpeg, (64, 48)));
        let worst = picture.pixels.as_raw().iter().zip(pixels.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(16), "{worst:?}");
    }

    #[test]
    fn transparency_is_laid_over_white() {
        let mut bytes = Cursor::new(Vec::new());
        RgbaImage::from_pixel(2, 2, image::Rgba([0, 0, 0, 0])).write_to(&mut bytes, ImageFormat::Png).expect("encoded");
        assert_eq!(decode(bytes.get_ref(), &Limits::default()).expect("decoded").pixels.get_pixel(0, 0), &Rgb([255; 3]));
    }

    #[test]
    fn caps_come_before_memory() {
        let bytes = png_bytes(&gradient(300, 10)).expect("encoded");
        let error = decode(&bytes, &Limits { max_side: 200, max_pixels: 1 << 20 }).expect_err("refused");
        assert!(matches!(error, PictureError::TooLarge { width: 300, .. }));
    }

    #[test]
    fn a_jpeg_cut_within_its_pixels_is_refused() {
        let bytes = encode_jpeg(&gradient(200, 200), 90).expect("encoded");
        assert!(decode(&[&bytes[..], b"trailing"].concat(), &Limits::default()).is_ok());
        for keep in [bytes.len() - 2, bytes.len() * 3 / 4, bytes.len() / 2] {
            let error = decode(&bytes[..keep], &Limits::default()).expect_err("refused");
            assert!(error.to_string().contains("cut off"), "{error}");
        }
    }

    #[test]
    fn junk_and_cut_pictures_are_refused() {
        let limits = Limits::default();
        assert!(matches!(decode(b"<html>no picture</html>", &limits), Err(PictureError::Unknown)));
        assert!(decode(&[], &limits).is_err());
        let png = png_bytes(&gradient(64, 64)).expect("encoded");
        for cut in [10, 40, png.len() / 2] {
            assert!(decode(&png[..cut], &limits).is_err(), "cut at {cut}");
        }
    }
}
