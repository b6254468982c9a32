//! Random views of a picture for training: crops by default, shifts and flips for tiny pictures.
//!
//! Every view depends on (seed, epoch, sample) only. Pixels stay 8-bit RGB; the model's normalisation comes later.

use crate::draws::Draws;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

/// Share of the area that a random crop keeps; open_clip's default.
const CROP_SCALE: (f64, f64) = (0.9, 1.0);
/// Aspect ratios of random crops, before they are resized to a square; torchvision's default.
const CROP_RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);
/// Shifts go up to an eighth of the side: 4 pixels of 32, as in the CIFAR recipe of residual networks (He et al., 2015).
const SHIFT_SHARE: u32 = 8;

/// How training pictures are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// A random crop of 90 to 100 % of the area, resized. Never mirrored, so that captions with left and right stay true.
    #[default]
    Crop,
    /// The middle square, shifted by up to an eighth of its side (edges mirrored) and flipped left to right half of the
    /// time. For tiny pictures whose captions name no sides.
    FlipShift,
    /// The middle square, always the same.
    None,
}

impl std::str::FromStr for Augment {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        serde_json::from_value(name.into()).map_err(|_| format!("{name:?} is not one of crop, flip-shift, none"))
    }
}

impl std::fmt::Display for Augment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Augment::Crop => "crop",
            Augment::FlipShift => "flip-shift",
            Augment::None => "none",
        })
    }
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Augment {
    /// Writes a view of `pixels` into `out`: `side` x `side` RGB, row by row, `3 * side * side` bytes.
    pub fn view(self, pixels: &RgbImage, side: u32, draws: &mut Draws, out: &mut [u8]) {
        match self {
            Augment::None => resize_part(pixels, middle_square(pixels), side, out),
            Augment::Crop => resize_part(pixels, random_part(pixels, draws), side, out),
            Augment::FlipShift => {
                resize_part(pixels, middle_square(pixels), side, out);
                let reach = u64::from(side / SHIFT_SHARE);
                let mut shift = || draws.below(2 * reach + 1) as i64 - reach as i64;
                let (right, down) = (shift(), shift());
                shift_and_flip(out, side as usize, right, down, draws.below(2) == 1);
            }
        }
    }
}

fn middle_square(pixels: &RgbImage) -> Part {
    let side = pixels.width().min(pixels.height());
    Part { left: (pixels.width() - side) / 2, top: (pixels.height() - side) / 2, width: side, height: side }
}

/// torchvision's RandomResizedCrop: ten tries at a part of random area and ratio, then the middle as wide as may be.
fn random_part(pixels: &RgbImage, draws: &mut Draws) -> Part {
    let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    for _ in 0..10 {
        let area = width * height * draws.between(CROP_SCALE.0, CROP_SCALE.1);
        let ratio = draws.between_logs(CROP_RATIO.0, CROP_RATIO.1);
        let (w, h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if w >= 1.0 && h >= 1.0 && w <= width && h <= height {
            let (w, h) = (w as u32, h as u32);
            let left = draws.below(u64::from(pixels.width() - w) + 1) as u32;
            let top = draws.below(u64::from(pixels.height() - h) + 1) as u32;
            return Part { left, top, width: w, height: h };
        }
    }
    let w = width.min((height * CROP_RATIO.1).round()).max(1.0) as u32;
    let h = height.min((width / CROP_RATIO.0).round()).max(1.0) as u32;
    Part { left: (pixels.width() - w) / 2, top: (pixels.height() - h) / 2, width: w, height: h }
}

/// Resizes a part to `side` x `side` with the bicubic kernel (a = -0.5) that widens with the scale, as Pillow's does.
fn resize_part(pixels: &RgbImage, part: Part, side: u32, out: &mut [u8]) {
    if (part.width, part.height) == (side, side) {
        let (from, row) = (3 * (part.top * pixels.width() + part.left) as usize, 3 * side as usize);
        let rows = pixels.as_raw()[from..].chunks(3 * pixels.width() as usize);
        out.chunks_exact_mut(row).zip(rows).for_each(|(to, from)| to.copy_from_slice(&from[..row]));
        return;
    }
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).crop(
        f64::from(part.left),
        f64::from(part.top),
        f64::from(part.width),
        f64::from(part.height),
    );
    let from = ImageRef::new(pixels.width(), pixels.height(), pixels.as_raw(), PixelType::U8x3);
    let to = Image::from_slice_u8(side, side, out, PixelType::U8x3);
    let resized = from.ok().zip(to.ok()).and_then(|(from, mut to)| Resizer::new().resize(&from, &mut to, &options).ok());
    debug_assert!(resized.is_some(), "a part lies inside its picture and the sizes agree by construction");
}

/// Moves the content of a square picture right and down by pixels (negative: left and up), what was outside being
/// mirrored at the edge, then flips it left to right.
fn shift_and_flip(pixels: &mut [u8], side: usize, right: i64, down: i64, flip: bool) {
    let from = pixels.to_vec();
    // Mirrored without repeating the edge, as PyTorch's reflection padding.
    let mirror = |at: i64| {
        let last = side as i64 - 1;
        let at = at.abs();
        (if at > last { 2 * last - at } else { at }).clamp(0, last) as usize
    };
    for y in 0..side {
        let row = 3 * side * mirror(y as i64 - down);
        for x in 0..side {
            let target = if flip { side - 1 - x } else { x };
            let source = row + 3 * mirror(x as i64 - right);
            let to = 3 * (y * side + target);
            pixels[to..to + 3].copy_from_slice(&from[source..source + 3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (x + y) as u8]))
    }

    fn view(augment: Augment, pixels: &RgbImage, side: u32, key: u64) -> Vec<u8> {
        let mut out = vec![0; 3 * (side * side) as usize];
        augment.view(pixels, side, &mut Draws::new("augment", 1, &[key]), &mut out);
        out
    }

    proptest! {
        #[test]
        fn crops_keep_their_bounds(width in 1u32..400, height in 1u32..400, key: u64) {
            let part = random_part(&RgbImage::new(width, height), &mut Draws::new("augment", 1, &[key]));
            prop_assert!(part.left + part.width <= width && part.top + part.height <= height);
            prop_assert!(part.width > 0 && part.height > 0);
            let share = f64::from(part.width * part.height) / f64::from(width * height);
            if width.min(height) > 100 && width.max(height) < width.min(height) * 5 / 4 {
                prop_assert!(share > 0.88, "{:?}", part);
            }
        }

        #[test]
        fn any_size_gives_a_view(width in 1u32..70, height in 1u32..70, side in 1u32..40, key: u64) {
            for augment in [Augment::Crop, Augment::FlipShift, Augment::None] {
                view(augment, &picture(width, height), side, key);
            }
        }
    }

    #[test]
    fn views_vary_by_name_only() {
        let pixels = picture(48, 40);
        for augment in [Augment::Crop, Augment::FlipShift] {
            assert_eq!(view(augment, &pixels, 32, 5), view(augment, &pixels, 32, 5));
            let distinct: std::collections::HashSet<_> = (0..20).map(|key| view(augment, &pixels, 32, key)).collect();
            assert!(distinct.len() > 10, "{augment}: {}", distinct.len());
        }
        assert_eq!(view(Augment::None, &pixels, 32, 1), view(Augment::None, &pixels, 32, 2));
        assert_eq!(view(Augment::None, &picture(32, 32), 32, 1), picture(32, 32).into_raw());
    }

    #[test]
    fn shifts_mirror_the_edge() {
        let row = |pixels: &[u8]| (0..4).map(|x| pixels[3 * x]).collect::<Vec<u8>>();
        let make = || RgbImage::from_fn(4, 4, |x, y| Rgb([(10 * y + x) as u8, 0, 0])).into_raw();
        let mut right = make();
        shift_and_flip(&mut right, 4, 1, 0, false);
        assert_eq!(row(&right), [1, 0, 1, 2]);
        let mut left = make();
        shift_and_flip(&mut left, 4, -1, 2, false);
        assert_eq!((row(&left), row(&left[24..])), (vec![21, 22, 23, 22], vec![1, 2, 3, 2]));
        let mut flipped = make();
        shift_and_flip(&mut flipped, 4, 0, 0, true);
        assert_eq!(row(&flipped), [3, 2, 1, 0]);
    }
}
