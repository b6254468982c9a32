//! Copies of a picture as sites make them: encoded in another format, made smaller, cut, brightened.
//!
//! Each copy decodes to nearly the same pixels, if it is decoded rightly: colours of CMYK, orientation, transparency and first
//! frames included. So a reader that gets one of them wrong shows as a copy that was not found.

use crate::picture::File;
use crate::rng::Rng;
use image::codecs::gif::GifEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::{crop_imm, rotate90, rotate180, rotate270};
use image::{Delay, DynamicImage, Frame, ImageBuffer, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use shards::resize_exact;
use std::io::Cursor;

/// What a copy differs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    Reencoded,
    Resized,
    Cropped,
    Brightened,
    Progressive,
    Cmyk,
    Ycck,
    Rotated,
    Deep,
    Palette,
    Transparent,
    WebP,
    Animated,
}

/// All of them.
pub(crate) const ALTERATIONS: [Alteration; 13] = [
    Alteration::Reencoded,
    Alteration::Resized,
    Alteration::Cropped,
    Alteration::Brightened,
    Alteration::Progressive,
    Alteration::Cmyk,
    Alteration::Ycck,
    Alteration::Rotated,
    Alteration::Deep,
    Alteration::Palette,
    Alteration::Transparent,
    Alteration::WebP,
    Alteration::Animated,
];

/// Encoders refuse only sides that no drawing has.
const SMALL: &str = "drawings have sides that every format allows";

/// The copy.
pub(crate) fn alter(pixels: &RgbImage, how: Alteration, rng: &mut Rng) -> File {
    let file = |suffix, bytes| File { bytes, suffix };
    match how {
        Alteration::Reencoded => File::jpeg(pixels, 50 + rng.below(20) as u8),
        Alteration::Resized => {
            let share = rng.range(0.7, 0.95);
            let scale = |side: u32| (side as f32 * share).round() as u32;
            File::jpeg(&resize_exact(pixels, scale(pixels.width()), scale(pixels.height())), 90)
        }
        Alteration::Cropped => File::jpeg(&cropped(pixels, rng), 90),
        Alteration::Brightened => {
            let more = 5 + rng.below(8) as u8;
            let mut bright = pixels.clone();
            bright.as_mut().iter_mut().for_each(|value| *value = value.saturating_add(more));
            File::jpeg(&bright, 90)
        }
        Alteration::Progressive => file("jpg", jpeg(pixels, None, |encoder| encoder.set_progressive(true))),
        Alteration::Cmyk => file("jpg", jpeg(pixels, Some(ColorType::Cmyk), |_| {})),
        Alteration::Ycck => file("jpg", jpeg(pixels, Some(ColorType::CmykAsYcck), |_| {})),
        Alteration::Rotated => file("jpg", rotated(pixels, rng)),
        Alteration::Deep => {
            let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_fn(pixels.width(), pixels.height(), |x, y| {
                Rgb(pixels.get_pixel(x, y).0.map(|value| u16::from(value) * 257))
            });
            file("png", written(&DynamicImage::ImageRgb16(deep)))
        }
        Alteration::Palette => file("png", palette(pixels)),
        Alteration::Transparent => file("png", written(&DynamicImage::ImageRgba8(transparent(pixels)))),
        Alteration::WebP => {
            let mut bytes = Vec::new();
            let size = pixels.dimensions();
            WebPEncoder::new_lossless(&mut bytes).encode(pixels.as_raw(), size.0, size.1, image::ExtendedColorType::Rgb8).expect(SMALL);
            file("webp", bytes)
        }
        Alteration::Animated => file("gif", animated(pixels)),
    }
}

/// A few pixels less at each side.
fn cropped(pixels: &RgbImage, rng: &mut Rng) -> RgbImage {
    let mut most = || 1 + rng.below(2) as u32;
    let (left, top, right, bottom) = (most(), most(), most(), most());
    crop_imm(pixels, left, top, pixels.width() - left - right, pixels.height() - top - bottom).to_image()
}

/// Encodes as JPEG after `settings`; of the layouts only those of four inks are named.
fn jpeg(pixels: &RgbImage, inks: Option<ColorType>, settings: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    // Four inks are hardly ever stored with fewer samples of one than of another.
    encoder.set_sampling_factor(if inks.is_none() { SamplingFactor::F_2_2 } else { SamplingFactor::F_1_1 });
    settings(&mut encoder);
    let (width, height) = (pixels.width() as u16, pixels.height() as u16);
    let done = match inks {
        None => encoder.encode(pixels.as_raw(), width, height, ColorType::Rgb),
        Some(layout) => encoder.encode(&inks_of(pixels), width, height, layout),
    };
    done.expect(SMALL);
    bytes
}

/// Cyan, magenta, yellow and black of each pixel, 255 being full ink.
fn inks_of(pixels: &RgbImage) -> Vec<u8> {
    let inks = |pixel: &Rgb<u8>| {
        let lightest = pixel.0.iter().copied().max().unwrap_or(0);
        let ink = |value: u8| (u32::from(lightest - value) * 255 / u32::from(lightest).max(1)) as u8;
        [ink(pixel[0]), ink(pixel[1]), ink(pixel[2]), 255 - lightest]
    };
    pixels.pixels().flat_map(inks).collect()
}

/// The picture lying on a side or its head, with the EXIF note that says so.
fn rotated(pixels: &RgbImage, rng: &mut Rng) -> Vec<u8> {
    // To be shown, 6 is turned right, 3 half way, 8 left.
    let (turned, orientation) = match rng.below(3) {
        0 => (rotate270(pixels), 6),
        1 => (rotate180(pixels), 3),
        _ => (rotate90(pixels), 8),
    };
    // TIFF, little-endian, one entry: tag 0x0112, a short, once.
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    jpeg(&turned, None, |encoder| encoder.add_exif_metadata(&exif).expect("a short note"))
}

fn written(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect(SMALL);
    bytes.into_inner()
}

/// The picture as colours over white: each pixel as transparent as it can be.
fn transparent(pixels: &RgbImage) -> RgbaImage {
    RgbaImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let pixel = pixels.get_pixel(x, y);
        let white = pixel.0.iter().copied().min().unwrap_or(0).min(254);
        let alpha = 255 - white;
        let colour = |value: u8| ((u32::from(value.saturating_sub(white)) * 255 + u32::from(alpha) / 2) / u32::from(alpha)) as u8;
        Rgba([colour(pixel[0]), colour(pixel[1]), colour(pixel[2]), alpha])
    })
}

/// A PNG of 252 colours, each the nearest of six or seven levels a channel.
fn palette(pixels: &RgbImage) -> Vec<u8> {
    const LEVELS: [u32; 3] = [6, 7, 6];
    let level = |value: u8, levels: u32, bias: u32| ((u32::from(value) * (levels - 1) + bias) / 255).min(levels - 1);
    let colours: Vec<u8> = (0..252u32)
        .flat_map(|index| {
            let parts = [index / 42, index / 6 % 7, index % 6];
            std::array::from_fn::<u8, 3, _>(|channel| (parts[channel] * 255 / (LEVELS[channel] - 1)) as u8)
        })
        .collect();
    let index = |(x, y, pixel): (u32, u32, &Rgb<u8>)| {
        // Ordered dithering keeps the mean of every few pixels.
        let bias = [[32, 160], [224, 96]][(y % 2) as usize][(x % 2) as usize];
        let [red, green, blue] = std::array::from_fn(|channel| level(pixel[channel], LEVELS[channel], bias));
        (red * 42 + green * 6 + blue) as u8
    };
    let indices: Vec<u8> = pixels.enumerate_pixels().map(index).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(colours);
    let mut writer = encoder.write_header().expect(SMALL);
    writer.write_image_data(&indices).expect(SMALL);
    writer.finish().expect(SMALL);
    bytes
}

/// A GIF whose first frame is the picture; the second is black.
fn animated(pixels: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    let first = DynamicImage::ImageRgb8(pixels.clone()).into_rgba8();
    let black = RgbaImage::from_pixel(pixels.width(), pixels.height(), Rgba([0, 0, 0, 255]));
    let delay = Delay::from_numer_denom_ms(500, 1);
    let frames = [first, black].map(|picture| Frame::from_parts(picture, 0, 0, delay));
    encoder.encode_frames(frames).expect(SMALL);
    drop(encoder);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Order, draw_orders};
    use crate::words::{Class, Motif};
    use shards::{Limits, decode};

    /// Mean difference of the channels, in levels.
    fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.as_raw().len() as f64
    }

    #[test]
    fn every_alteration_decodes_to_nearly_the_same_pixels() {
        let mut rng = Rng::new(1, "alterations");
        let motif = Motif::random(Class::all()[7], &mut rng);
        let drawing = draw_orders(1, &[Order { motif: Some(motif), number: 0 }]).remove(0);
        let pixels = decode(&drawing.file.bytes, &Limits::default()).expect("a picture").pixels;
        for how in ALTERATIONS {
            for _ in 0..6 {
                let file = alter(&pixels, how, &mut rng);
                let copy = decode(&file.bytes, &Limits::default()).expect("a picture").pixels;
                let lossless = matches!(how, Alteration::Deep | Alteration::WebP | Alteration::Transparent);
                assert_eq!(copy == pixels, lossless, "{how:?}");
                let copy = resize_exact(&copy, pixels.width(), pixels.height());
                let most = if how == Alteration::Cropped { 25.0 } else { 16.0 };
                assert!(apart(&copy, &pixels) < most, "{how:?}: {} levels", apart(&copy, &pixels));
            }
        }
    }
}
