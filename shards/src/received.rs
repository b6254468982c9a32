//! A picture as it came: measured, brought to the corpus' size and encoded, by way of a JPEG's own samples where that will do.

use crate::jpeg::{Jpeg, Samples};
use crate::{Encoding, Format, Limits, Measures, Picture, PictureError, ResizeMode, decode};
use image::RgbImage;
use image::metadata::Orientation;

/// A decoded picture on its way into a corpus.
pub struct Received {
    body: Body,
    /// The format it came in.
    pub format: Format,
    /// See [`Picture::changed`].
    pub changed: bool,
}

enum Body {
    Samples(Samples),
    Pixels(RgbImage),
}

impl Received {
    /// Decodes `bytes` as [`decode`] does.
    ///
    /// # Errors
    /// See [`PictureError`].
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, PictureError> {
        if let Some(jpeg) = Jpeg::parse(bytes, limits)
            && jpeg.orientation() == Orientation::NoTransforms
            && let Some(samples) = jpeg.samples(1)
        {
            return Ok(Received { body: Body::Samples(samples), format: Format::Jpeg, changed: false });
        }
        let Picture { pixels, format, changed } = decode(bytes, limits)?;
        Ok(Received { body: Body::Pixels(pixels), format, changed })
    }

    /// Width and height in pixels.
    pub fn dimensions(&self) -> (u32, u32) {
        match &self.body {
            Body::Samples(samples) => samples.dimensions(),
            Body::Pixels(pixels) => pixels.dimensions(),
        }
    }

    /// Itself, as the encoding needs it: chroma of half as many columns and rows is for JPEG alone.
    pub fn for_encoding(self, encoding: Encoding) -> Self {
        match (self.body, encoding) {
            (Body::Samples(samples), Encoding::Png(_) | Encoding::WebP(_) | Encoding::LosslessWebP) => {
                Received { body: Body::Pixels(samples.rgb()), ..self }
            }
            (body, _) => Received { body, ..self },
        }
    }

    /// The sides that [`Received::resize`] brings it to.
    pub fn resized(&self, mode: ResizeMode, n: u32, only_if_bigger: bool) -> (u32, u32) {
        mode.sides(self.dimensions(), n, only_if_bigger)
    }

    /// What is measured of it.
    pub fn measures(&self) -> Measures {
        match &self.body {
            Body::Samples(samples) => Measures::of_samples(samples),
            Body::Pixels(pixels) => Measures::of(pixels),
        }
    }

    /// Brings it to size `n`, as [`ResizeMode::apply`] does.
    pub fn resize(self, mode: ResizeMode, n: u32, only_if_bigger: bool) -> Self {
        if mode.leaves(self.dimensions(), n, only_if_bigger) {
            return self;
        }
        let body = match self.body {
            Body::Samples(samples) => match mode.window(samples.dimensions(), n) {
                Some((fitted, offset, sides)) if samples.is_colour() => Body::Samples(samples.shrink(fitted, offset, sides)),
                _ => Body::Pixels(mode.apply(samples.rgb(), n, only_if_bigger)),
            },
            Body::Pixels(pixels) => Body::Pixels(mode.apply(pixels, n, only_if_bigger)),
        };
        Received { body, ..self }
    }

    /// Encodes it.
    ///
    /// # Errors
    /// As [`Encoding::encode`].
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, PictureError> {
        match (&self.body, encoding) {
            (Body::Samples(samples), Encoding::Jpeg(quality)) if samples.is_encodable() => Ok(samples.encode(quality)),
            (Body::Samples(samples), _) => encoding.encode(&samples.rgb()),
            (Body::Pixels(pixels), _) => encoding.encode(pixels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode_jpeg, flatness, png_bytes, resize_exact};
    use image::Rgb;
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let wave = |a: f32, b: f32| (127.0 + 110.0 * (a * x as f32 / 19.0).sin() * (b * y as f32 / 23.0).cos()) as u8;
            Rgb([wave(1.0, 0.7), wave(0.6, 1.1), wave(0.3, 0.4)])
        })
    }

    fn jpeg(pixels: &RgbImage, factor: SamplingFactor) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 95);
        encoder.set_sampling_factor(factor);
        encoder.encode(pixels.as_raw(), pixels.width() as u16, pixels.height() as u16, ColorType::Rgb).expect("encoded");
        bytes
    }

    fn received(bytes: &[u8]) -> Received {
        Received::decode(bytes, &Limits::default()).expect("decoded")
    }

    /// Mean distance of two pictures' values.
    fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
        assert_eq!(a.dimensions(), b.dimensions());
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.as_raw().len() as f64
    }

    #[test]
    fn by_samples_and_by_pixels_come_to_the_same() {
        use SamplingFactor::{F_1_1, F_1_2, F_2_1, F_2_2};
        for factor in [F_1_1, F_2_1, F_1_2, F_2_2] {
            for (width, height) in [(300, 203), (161, 400), (129, 130), (90, 70), (40, 37)] {
                let bytes = jpeg(&picture(width, height), factor);
                let pixels = decode(&bytes, &Limits::default()).expect("decoded").pixels;
                assert!(matches!(received(&bytes).body, Body::Samples(_)));
                let (ours, others) = (received(&bytes).measures(), Measures::of(&pixels));
                assert_eq!(ours.flatness, flatness(&pixels));
                assert!((ours.perceptual_hash ^ others.perceptual_hash).count_ones() <= 2, "{width} x {height}");
                let apart = ours.thumbnail.iter().zip(&others.thumbnail).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(apart <= Some(3), "{width} x {height}: {apart:?}");
                for mode in ["no", "keep_ratio", "keep_ratio_largest", "center_crop", "border"] {
                    let mode: ResizeMode = mode.parse().expect("a mode");
                    for (n, only_if_bigger) in [(64, true), (33, true), (150, true), (150, false)] {
                        let stored = received(&bytes).resize(mode, n, only_if_bigger);
                        let other = mode.apply(pixels.clone(), n, only_if_bigger);
                        assert_eq!(stored.dimensions(), other.dimensions(), "{mode} {n}");
                        let told = received(&bytes).resized(mode, n, only_if_bigger);
                        let is_cut = mode == ResizeMode::CenterCrop && told.0 >= other.width() && told.1 >= other.height();
                        assert!(told == other.dimensions() || is_cut, "{mode} {n}: {told:?}");
                        let again = |bytes: Vec<u8>| decode(&bytes, &Limits::default()).expect("decoded").pixels;
                        let (ours, others) =
                            (again(stored.encode(Encoding::Jpeg(95)).expect("encoded")), again(encode_jpeg(&other, 95).expect("encoded")));
                        let apart = distance(&ours, &others);
                        assert!(apart < 1.5, "{width} x {height} {factor:?}, {mode} {n}: {apart}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_stored_without_loss_keeps_its_colours() {
        // Stripes of four columns each.
        let pixels = RgbImage::from_fn(512, 512, |x, _| if x / 4 % 2 == 0 { Rgb([250, 10, 10]) } else { Rgb([10, 10, 250]) });
        let bytes = jpeg(&pixels, SamplingFactor::F_1_1);
        let stored = received(&bytes).for_encoding(Encoding::Png(6)).resize(ResizeMode::KeepRatio, 128, true);
        let stored = decode(&stored.encode(Encoding::Png(6)).expect("encoded"), &Limits::default()).expect("decoded").pixels;
        for (x, _, Rgb([red, _, blue])) in stored.enumerate_pixels() {
            assert!(if x % 2 == 0 { *red > 200 && *blue < 60 } else { *blue > 200 && *red < 60 }, "{x}: {red} {blue}");
        }
    }

    #[test]
    fn no_colour_comes_from_outside_a_crop() {
        // Red to just behind where the crop of 33 pixels ends, then green.
        let pixels = RgbImage::from_fn(200, 100, |x, _| if x < 149 { Rgb([200, 40, 40]) } else { Rgb([40, 200, 40]) });
        let stored = received(&jpeg(&pixels, SamplingFactor::F_1_1)).resize(ResizeMode::CenterCrop, 33, true);
        assert_eq!(stored.dimensions(), (33, 33));
        let stored = decode(&stored.encode(Encoding::Jpeg(100)).expect("encoded"), &Limits::default()).expect("decoded").pixels;
        for y in 0..33 {
            let [red, green, _] = stored.get_pixel(32, y).0;
            assert!(red > 170 && green < 75, "row {y}: {red} {green}");
        }
    }

    #[test]
    fn what_needs_no_resizing_keeps_its_samples() {
        let bytes = jpeg(&picture(90, 70), SamplingFactor::F_2_2);
        for (mode, n) in
            [(ResizeMode::No, 10), (ResizeMode::KeepRatio, 70), (ResizeMode::KeepRatioLargest, 99), (ResizeMode::CenterCrop, 90)]
        {
            assert!(matches!(received(&bytes).resize(mode, n, true).body, Body::Samples(_)), "{mode} {n}");
        }
        for (mode, n) in [(ResizeMode::Border, 90), (ResizeMode::CenterCrop, 71)] {
            let (width, height) = mode.apply(picture(90, 70), n, true).dimensions();
            assert_eq!(received(&bytes).resize(mode, n, true).dimensions(), (width, height), "{mode} {n}");
        }
    }

    #[test]
    fn hashes_are_those_of_the_picture_not_of_the_file() {
        let bytes = jpeg(&picture(200, 150), SamplingFactor::F_2_2);
        // A comment behind the first mark.
        let commented = [&bytes[..2], b"\xff\xfe\x00\x06hide", &bytes[2..]].concat();
        assert_eq!(received(&bytes).measures(), received(&commented).measures());
        let other = jpeg(&picture(200, 150), SamplingFactor::F_2_1);
        assert_ne!(received(&bytes).measures().pixel_hash, received(&other).measures().pixel_hash);
        let png = png_bytes(&picture(200, 150)).expect("encoded");
        assert_eq!(received(&png).measures(), Measures::of(&picture(200, 150)));
    }

    #[test]
    fn grey_and_turned_ones_go_by_pixels() {
        let grey: Vec<u8> = picture(120, 90).pixels().map(|pixel| pixel[0]).collect();
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 95).encode(&grey, 120, 90, ColorType::Luma).expect("encoded");
        let pixels = decode(&bytes, &Limits::default()).expect("decoded").pixels;
        let stored = received(&bytes).resize(ResizeMode::KeepRatio, 45, true).encode(Encoding::Jpeg(95)).expect("encoded");
        let again = decode(&stored, &Limits::default()).expect("decoded").pixels;
        assert!(distance(&again, &resize_exact(&pixels, 60, 45)) < 3.0);
        assert_eq!(received(&bytes).measures().flatness, flatness(&pixels));

        // Orientation 6 of EXIF: to be turned by a quarter.
        let turn = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let bytes = jpeg(&picture(200, 150), SamplingFactor::F_2_2);
        let turned = received(&[&bytes[..2], turn, &bytes[2..]].concat());
        assert!(turned.changed);
        assert_eq!(turned.dimensions(), (150, 200));
    }
}
