//! From bytes received to what is stored: decode, measure, resize, encode.
//!
//! Works on pixels only; runs on rayon's threads, so that the ones that fetch are never busy with it.

use crate::CrawlOptions;
use crate::promise::hex;
use sha2::Sha256;
use shards::{Encoding, Format, ImageId, Limits, Measures, PictureError, Received, ResizeMode, outcome};
use std::panic::AssertUnwindSafe;

/// What is made of images, and which are refused; the names are img2dataset's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    image_size: u32,
    resize_mode: ResizeMode,
    resize_only_if_bigger: bool,
    encoding: Encoding,
    skip_reencode: bool,
    min_image_size: u32,
    max_image_area: Option<u64>,
    max_aspect_ratio: Option<f64>,
}

impl Recipe {
    /// What the options say of images.
    pub(crate) fn of(options: &CrawlOptions) -> Self {
        Recipe {
            image_size: options.image_size,
            resize_mode: options.resize_mode,
            resize_only_if_bigger: options.resize_only_if_bigger,
            encoding: options.encoding,
            skip_reencode: options.skip_reencode,
            min_image_size: options.min_image_size,
            max_image_area: options.max_image_area,
            max_aspect_ratio: options.max_aspect_ratio,
        }
    }

    /// Why a picture of these sides is not wanted.
    fn refusal(&self, (width, height): (u32, u32)) -> Option<Spoilt> {
        let (short, long, area) = (width.min(height), width.max(height), u64::from(width) * u64::from(height));
        let why = |outcome, limit: String| Some(Spoilt { outcome, why: format!("{width} x {height} pixels, {limit}") });
        match (self.max_image_area, self.max_aspect_ratio) {
            _ if short < self.min_image_size => why(outcome::TOO_SMALL, format!("of a shorter side below {}", self.min_image_size)),
            (_, Some(ratio)) if f64::from(long) > ratio * f64::from(short) => {
                why(outcome::TOO_SMALL, format!("a side more than {ratio} times the other"))
            }
            (Some(most), _) if area > most => why(outcome::TOO_BIG, format!("more than {most} in all")),
            _ => None,
        }
    }
}

/// Why received bytes are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spoilt {
    /// The candidate's outcome.
    pub(crate) outcome: &'static str,
    /// The reason in words.
    pub(crate) why: String,
}

impl From<PictureError> for Spoilt {
    fn from(error: PictureError) -> Self {
        let outcome = match &error {
            PictureError::Unknown => outcome::NOT_IMAGE,
            PictureError::TooLarge { .. } => outcome::TOO_BIG,
            PictureError::Damaged(_) => outcome::DECODE,
        };
        Spoilt { outcome, why: error.to_string() }
    }
}

/// An image as it is stored, with what was measured of it.
#[derive(Debug)]
pub(crate) struct Ingested {
    /// The stored bytes.
    pub(crate) bytes: Vec<u8>,
    /// Their format.
    pub(crate) format: Format,
    /// Sides of the stored image in pixels.
    pub(crate) sides: (u32, u32),
    /// Sides as received, upright.
    pub(crate) original: (u32, u32),
    /// Hash of the bytes received.
    pub(crate) image_id: ImageId,
    /// The same, as other programs know it.
    pub(crate) sha256: String,
    /// Measures of the picture as received.
    pub(crate) measures: Measures,
}

/// Turns received bytes into a stored image after the recipe.
///
/// # Errors
/// When they are no picture, a damaged one, one beyond the limits, or one that the recipe refuses.
pub(crate) fn ingest(bytes: &[u8], recipe: &Recipe) -> Result<Ingested, Spoilt> {
    let picture = Received::decode(bytes, &Limits::default())?;
    let original = picture.dimensions();
    if let Some(spoilt) = recipe.refusal(original) {
        return Err(spoilt);
    }
    let (width, height) = picture.resized(recipe.resize_mode, recipe.image_size, recipe.resize_only_if_bigger);
    // A thin picture that is blown up can be made larger than any that is taken.
    let limits = Limits::default();
    if (width, height) != original && u64::from(width) * u64::from(height) > limits.max_pixels {
        let why = format!("it would be stored as {width} x {height} pixels, more than {} in all", limits.max_pixels);
        return Err(Spoilt { outcome: outcome::TOO_BIG, why });
    }
    let measures = picture.measures();
    let stored = picture.for_encoding(recipe.encoding).resize(recipe.resize_mode, recipe.image_size, recipe.resize_only_if_bigger);
    let sides = stored.dimensions();
    // Bytes that not every reader shows alike (turned, see-through, with several frames, of 16 bits) are changed all the same.
    let format = recipe.encoding.format();
    let kept = recipe.skip_reencode && stored.format == format && !stored.changed && sides == original;
    let encoded = if kept { bytes.to_vec() } else { stored.encode(recipe.encoding)? };
    Ok(Ingested { bytes: encoded, format, sides, original, image_id: ImageId::of(bytes), sha256: hex::<Sha256>(bytes), measures })
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
    use shards::{decode, encode_jpeg};

    fn recipe(image_size: u32, resize_mode: ResizeMode) -> Recipe {
        Recipe::of(&CrawlOptions { image_size, resize_mode, ..CrawlOptions::new("c", Vec::new()) })
    }

    fn striped(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7]))
    }

    #[test]
    fn images_are_stored_at_size() {
        let bytes = shards::png_bytes(&striped(300, 150)).expect("encoded");
        let image = ingest(&bytes, &recipe(100, ResizeMode::KeepRatio)).expect("ingested");
        assert_eq!((image.sides, image.original), ((200, 100), (300, 150)));
        assert_eq!((image.image_id, image.sha256), (ImageId::of(&bytes), hex::<Sha256>(&bytes)));
        let stored = decode(&image.bytes, &Limits::default()).expect("decoded");
        assert_eq!(stored.pixels.dimensions(), (200, 100));
        let larger = Recipe { resize_only_if_bigger: false, ..recipe(300, ResizeMode::KeepRatio) };
        assert_eq!(ingest(&bytes, &larger).expect("ingested").sides, (600, 300));
    }

    #[test]
    fn what_spoils_an_image_is_named() {
        let bytes = shards::png_bytes(&striped(300, 150)).expect("encoded");
        let plain = recipe(100, ResizeMode::No);
        let outcome = |bytes: &[u8], recipe: &Recipe| ingest(bytes, recipe).map(|_| "stored").unwrap_or_else(|spoilt| spoilt.outcome);
        assert_eq!(outcome(&bytes, &plain), "stored");
        assert_eq!(outcome(&bytes[..bytes.len() / 2], &plain), outcome::DECODE);
        assert_eq!(outcome(b"<svg xmlns='http://www.w3.org/2000/svg'/>", &plain), outcome::NOT_IMAGE);
        assert_eq!(outcome(&bytes, &Recipe { min_image_size: 151, ..plain }), outcome::TOO_SMALL);
        assert_eq!(outcome(&bytes, &Recipe { max_aspect_ratio: Some(1.9), ..plain }), outcome::TOO_SMALL);
        assert_eq!(outcome(&bytes, &Recipe { max_aspect_ratio: Some(2.0), min_image_size: 150, ..plain }), "stored");
        assert_eq!(outcome(&bytes, &Recipe { max_image_area: Some(44_999), ..plain }), outcome::TOO_BIG);
    }

    #[test]
    fn what_fits_may_be_kept_as_it_came() {
        let jpeg = encode_jpeg(&striped(90, 90), 70).expect("encoded");
        let keep = Recipe { skip_reencode: true, ..recipe(100, ResizeMode::KeepRatio) };
        assert_eq!(ingest(&jpeg, &keep).expect("ingested").bytes, jpeg);
        assert_ne!(ingest(&jpeg, &Recipe { image_size: 50, ..keep }).expect("ingested").bytes, jpeg);
        assert_ne!(ingest(&jpeg, &Recipe { skip_reencode: false, ..keep }).expect("ingested").bytes, jpeg);
    }

    #[test]
    fn what_not_every_reader_shows_alike_is_changed_all_the_same() {
        let keep = |format: &str| {
            let encoding = Encoding::new(format.parse().expect("a format"), None).expect("an encoding");
            Recipe { skip_reencode: true, encoding, ..recipe(100, ResizeMode::No) }
        };
        let clear = image::RgbaImage::from_fn(60, 60, |x, _| image::Rgba([9, 9, 9, if x < 30 { 0 } else { 255 }]));
        let mut png = Vec::new();
        clear.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).expect("encoded");
        let stored = ingest(&png, &keep("png")).expect("ingested").bytes;
        assert_ne!(stored, png);
        assert_eq!(decode(&stored, &Limits::default()).expect("decoded").pixels.get_pixel(3, 3).0, [255; 3]);
        let plain = shards::png_bytes(&striped(60, 60)).expect("encoded");
        assert_eq!(ingest(&plain, &keep("png")).expect("ingested").bytes, plain);
    }

    #[test]
    fn a_line_is_not_blown_up_without_end() {
        let bytes = shards::png_bytes(&striped(16_000, 1)).expect("encoded");
        let larger = Recipe { resize_only_if_bigger: false, ..recipe(256, ResizeMode::KeepRatio) };
        let spoilt = ingest(&bytes, &larger).expect_err("refused");
        assert!(spoilt.outcome == outcome::TOO_BIG && spoilt.why.contains("4096000 x 256"), "{spoilt:?}");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(on_pool(|| 7).await, Some(7));
        assert_eq!(on_pool(|| -> u8 { std::panic::panic_any("broken") }).await, None);
    }
}
