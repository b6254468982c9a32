//! From a decoded picture to the numbers that the image tower sees. Shared by training and evaluation.
//!
//! Resizing is Pillow's antialiased bicubic (kernel parameter -1/2, 8-bit fixed point, one pass per axis), because that is
//! what published accuracies were measured with.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{RgbImage, imageops};
use std::cell::RefCell;

/// Mean of CLIP's training pictures per channel (red, green, blue), pixel values 0 to 1.
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Standard deviation likewise.
// The digits are those of the published table.
#[allow(clippy::excessive_precision)]
pub const STD: [f32; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Pictures longer than this many times their shorter side lose their ends before they are resized, which bounds the
/// memory that a picture one pixel wide can ask for. The middle square, all that evaluation looks at, is not touched.
const MAX_ASPECT: u32 = 20;

/// A rectangle of a picture, in pixels; fractions of pixels are meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Distance from the left edge.
    pub left: f64,
    /// Distance from the upper edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Crop {
    /// The whole picture.
    pub fn all(pixels: &RgbImage) -> Self {
        Crop { left: 0.0, top: 0.0, width: f64::from(pixels.width()), height: f64::from(pixels.height()) }
    }
}

/// The `crop` of `pixels`, resized to exactly `width` x `height`. A crop that leaves the picture is moved and cut to fit.
pub fn resize_crop(pixels: &RgbImage, crop: Crop, width: u32, height: u32) -> RgbImage {
    let mut out = RgbImage::new(width.max(1), height.max(1));
    resize_crop_into(pixels, crop, width.max(1), height.max(1), &mut out);
    out
}

/// [`resize_crop`] into `out` of `3 * width * height` bytes.
pub(crate) fn resize_crop_into(pixels: &RgbImage, crop: Crop, width: u32, height: u32, out: &mut [u8]) {
    thread_local! {
        // It has memory for the rows between its two passes.
        static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
    }
    let whole = Crop::all(pixels);
    if pixels.dimensions() == (width, height) && crop == whole {
        return out.copy_from_slice(pixels.as_raw());
    }
    let fit = |start: f64, length: f64, limit: f64| {
        let length = if length.is_finite() { length.clamp(1f64.min(limit), limit) } else { limit };
        (if start.is_finite() { start.clamp(0.0, limit - length) } else { 0.0 }, length)
    };
    let (left, crop_width) = fit(crop.left, crop.width, whole.width);
    let (top, crop_height) = fit(crop.top, crop.height, whole.height);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
        .crop(left, top, crop_width, crop_height)
        .use_alpha(false);
    let from = ImageRef::new(pixels.width(), pixels.height(), pixels.as_raw(), PixelType::U8x3).ok();
    let resized = from
        .zip(Image::from_slice_u8(width, height, out, PixelType::U8x3).ok())
        .and_then(|(from, mut to)| RESIZER.with_borrow_mut(|resizer| resizer.resize(&from, &mut to, &options)).ok());
    debug_assert!(resized.is_some(), "sizes, crops and pixel types agree by construction");
}

/// Calls `use_it` with `length` bytes of this thread's own, which hold whatever they held.
pub(crate) fn with_scratch<T>(length: usize, use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    }
    let mut bytes = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    bytes.resize(length, 0);
    let result = use_it(&mut bytes);
    SCRATCH.with_borrow_mut(|free| free.push(bytes));
    result
}

/// The view that evaluation takes: the shorter side becomes `n`, then the middle `n` x `n` is cut out.
pub fn evaluation_view(pixels: &RgbImage, n: u32) -> RgbImage {
    let trimmed;
    let pixels = match trim(pixels) {
        Some(middle) => {
            trimmed = middle;
            &trimmed
        }
        None => pixels,
    };
    let (width, height) = pixels.dimensions();
    let short = u64::from(width.min(height).max(1));
    // The longer side is rounded down, as torchvision does.
    let scaled = |side: u32| ((u64::from(n) * u64::from(side) / short) as u32).max(1);
    let resized = resize_crop(pixels, Crop::all(pixels), scaled(width), scaled(height));
    let (left, top) = (middle(resized.width(), n), middle(resized.height(), n));
    imageops::crop_imm(&resized, left, top, n, n).to_image()
}

/// Writes RGB pixels, one after the other, as normalised numbers in the same order.
///
/// # Panics
/// When `out` has another length.
pub(crate) fn normalise_rows(pixels: &[u8], out: &mut [f32]) {
    // Eight pixels fill whole registers of any width, which lets the loop below become instructions for many numbers.
    const STEP: usize = 24;
    assert_eq!(out.len(), pixels.len(), "one number per channel and pixel");
    let scale: [f32; STEP] = std::array::from_fn(|i| 1.0 / (255.0 * STD[i % 3]));
    let shift: [f32; STEP] = std::array::from_fn(|i| MEAN[i % 3] / STD[i % 3]);
    let (mut to, mut from) = (out.chunks_exact_mut(STEP), pixels.chunks_exact(STEP));
    for (to, from) in to.by_ref().zip(from.by_ref()) {
        for i in 0..STEP {
            to[i] = f32::from(from[i]) * scale[i] - shift[i];
        }
    }
    let rest = to.into_remainder().iter_mut().zip(from.remainder());
    rest.enumerate().for_each(|(i, (to, from))| *to = f32::from(*from) * scale[i] - shift[i]);
}

/// Writes `pixels` as three planes (red, green, blue), normalised, into `out` of 3 x height x width numbers.
///
/// # Panics
/// When `out` has another length.
pub fn normalise_into(pixels: &RgbImage, out: &mut [f32]) {
    let area = pixels.width() as usize * pixels.height() as usize;
    assert_eq!(out.len(), 3 * area, "one number per channel and pixel");
    for (channel, plane) in out.chunks_exact_mut(area.max(1)).enumerate() {
        let (scale, shift) = (1.0 / (255.0 * STD[channel]), MEAN[channel] / STD[channel]);
        for (to, from) in plane.iter_mut().zip(pixels.as_raw()[channel..].iter().step_by(3)) {
            *to = f32::from(*from) * scale - shift;
        }
    }
}

/// Offset of the middle `n` of `length`: half the rest, rounded to even as Python does.
fn middle(length: u32, n: u32) -> u32 {
    let rest = length.saturating_sub(n);
    let half = rest / 2;
    if rest % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// The middle of a picture that is far longer than wide, or the other way round.
fn trim(pixels: &RgbImage) -> Option<RgbImage> {
    let (width, height) = pixels.dimensions();
    let limit = width.min(height).max(1).saturating_mul(MAX_ASPECT);
    if width.max(height) <= limit {
        return None;
    }
    let (keep_width, keep_height) = (width.min(limit), height.min(limit));
    Some(imageops::crop_imm(pixels, (width - keep_width) / 2, (height - keep_height) / 2, keep_width, keep_height).to_image())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    /// A horizontal ramp with a vertical one in green.
    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width.max(2)) as u8, (y * 255 / height.max(2)) as u8, 9]))
    }

    #[test]
    fn offsets_round_half_to_even() {
        assert_eq!([5, 7, 9, 8, 4].map(|length| middle(length, 4)), [0, 2, 2, 2, 0]);
    }

    #[test]
    fn the_middle_is_taken() {
        let mut pixels = RgbImage::new(30, 10);
        for x in 10..20 {
            for y in 0..10 {
                pixels.put_pixel(x, y, Rgb([255, 128, 0]));
            }
        }
        let view = evaluation_view(&pixels, 10);
        assert!(view.pixels().all(|pixel| *pixel == Rgb([255, 128, 0])));
    }

    #[test]
    fn a_picture_of_the_right_size_is_not_touched() {
        let pixels = ramp(32, 32);
        assert_eq!(evaluation_view(&pixels, 32), pixels);
    }

    #[test]
    fn rows_and_planes_hold_the_same_numbers() {
        let pixels = RgbImage::from_fn(9, 3, |x, y| Rgb([(x * 20) as u8, (y * 80) as u8, (x + y) as u8]));
        let (mut planes, mut rows) = (vec![0.0; 81], vec![0.0; 81]);
        normalise_into(&pixels, &mut planes);
        normalise_rows(pixels.as_raw(), &mut rows);
        assert!((0..81).all(|i| rows[i] == planes[i % 3 * 27 + i / 3]));
    }

    /// Numbers of torchvision 0.26 on Pillow 13: `center_crop(resize(picture, 8, BICUBIC), 8)`; on float tensors with
    /// `antialias=True` it differs from itself by 0.3 on average.
    #[rustfmt::skip]
    const TORCHVISION: [((u32, u32), [u8; 192]); 2] = [
        ((61, 43), [
            101, 154, 86, 139, 118, 139, 178, 136, 119, 227, 117, 104, 128, 116, 151, 29, 144, 77, 77, 125, 169, 117, 124, 69,
            116, 155, 134, 154, 119, 112, 196, 123, 120, 223, 135, 127, 52, 134, 107, 49, 105, 138, 92, 118, 99, 132, 133, 141,
            133, 138, 128, 171, 128, 116, 220, 129, 120, 163, 122, 124, 23, 123, 113, 70, 130, 130, 109, 131, 109, 149, 117, 132,
            149, 126, 94, 188, 132, 134, 230, 126, 119, 78, 129, 108, 39, 128, 143, 87, 150, 88, 125, 133, 157, 165, 131, 82,
            165, 107, 150, 210, 134, 103, 194, 127, 121, 28, 131, 134, 62, 126, 92, 103, 114, 158, 141, 115, 76, 181, 129, 166,
            181, 96, 100, 230, 141, 131, 112, 125, 119, 30, 117, 111, 80, 129, 138, 119, 122, 95, 157, 132, 148, 198, 136, 90,
            201, 101, 119, 215, 135, 121, 41, 131, 120, 54, 140, 119, 97, 131, 121, 136, 147, 118, 174, 136, 122, 220, 118, 118,
            222, 116, 146, 148, 125, 105, 25, 125, 121, 73, 117, 132, 112, 121, 96, 151, 119, 153, 190, 118, 83, 225, 133, 159,
        ]),
        ((20, 33), [
            24, 30, 68, 40, 40, 77, 58, 62, 164, 76, 97, 164, 93, 145, 76, 111, 209, 76, 129, 104, 163, 145, 95, 172,
            31, 43, 228, 47, 53, 210, 65, 75, 28, 83, 110, 28, 100, 161, 212, 118, 201, 212, 136, 53, 30, 152, 114, 12,
            39, 56, 232, 55, 66, 214, 73, 88, 24, 91, 123, 24, 108, 176, 216, 126, 189, 216, 144, 59, 26, 160, 127, 8,
            46, 68, 123, 62, 78, 123, 80, 100, 117, 98, 135, 117, 115, 194, 123, 133, 139, 123, 151, 49, 117, 167, 142, 117,
            54, 81, 8, 70, 91, 26, 88, 113, 216, 106, 148, 216, 123, 206, 24, 141, 151, 24, 159, 63, 214, 175, 155, 232,
            62, 94, 11, 78, 104, 29, 96, 126, 213, 114, 162, 213, 131, 213, 27, 149, 80, 27, 167, 79, 211, 183, 168, 229,
            69, 106, 166, 85, 116, 159, 103, 138, 80, 121, 175, 80, 138, 222, 160, 156, 75, 160, 174, 93, 81, 190, 180, 74,
            77, 119, 232, 93, 129, 214, 111, 151, 24, 129, 192, 24, 146, 190, 216, 164, 41, 216, 182, 110, 26, 198, 193, 8,
        ]),
    ];

    #[test]
    fn the_evaluation_view_is_torchvisions() {
        for ((width, height), expected) in TORCHVISION {
            let channel = |x: u32, y: u32| [x * 7 + y * 3, x * x + y * 5, (x / 5 + y / 7) % 2 * 200 + 20].map(|value| value as u8);
            let view = evaluation_view(&RgbImage::from_fn(width, height, |x, y| Rgb(channel(x, y))), 8);
            let apart: Vec<u8> = view.as_raw().iter().zip(expected).map(|(a, b)| a.abs_diff(b)).collect();
            let mean = apart.iter().map(|&apart| f64::from(apart)).sum::<f64>() / 192.0;
            // The goal is 1; two ways of rounding differ by less.
            assert!(mean < 0.3 && apart.iter().all(|&apart| apart <= 1), "{width} x {height}: {mean} {apart:?}");
        }
    }

    #[test]
    fn normalising_is_by_channel() {
        let pixels = RgbImage::from_fn(2, 1, |x, _| Rgb([255 * x as u8, 255, 0]));
        let mut out = [0.0; 6];
        normalise_into(&pixels, &mut out);
        let of = |value: f32, channel: usize| (value - MEAN[channel]) / STD[channel];
        let expected = [of(0.0, 0), of(1.0, 0), of(1.0, 1), of(1.0, 1), of(0.0, 2), of(0.0, 2)];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{out:?} {expected:?}");
    }

    proptest! {
        #[test]
        fn any_picture_gives_the_view(width in 1u32..400, height in 1u32..400, n in 1u32..64) {
            prop_assert_eq!(evaluation_view(&ramp(width, height), n).dimensions(), (n, n));
        }

        #[test]
        fn any_crop_is_accepted(left in -50.0f64..150.0, top in -50.0f64..150.0, width in -10.0f64..300.0, height in -10.0f64..300.0) {
            let crop = Crop { left, top, width, height };
            prop_assert_eq!(resize_crop(&ramp(100, 80), crop, 16, 16).dimensions(), (16, 16));
        }
    }

    #[test]
    fn a_needle_costs_little() {
        assert_eq!(evaluation_view(&ramp(16_000, 1), 224).dimensions(), (224, 224));
    }
}
