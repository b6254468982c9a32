//! Random views of a picture for training: crops by default, shifts and flips for tiny pictures.
//!
//! Every view depends on (seed, epoch, sample) only. Pixels stay 8-bit RGB; the model's normalisation comes later.

use crate::draws::Draws;
use crate::preprocess::{Crop, evaluation_view, resize_crop};
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

impl Augment {
    /// Writes a view of `pixels` into `out`: `side` x `side` RGB, row by row, `3 * side * side` bytes.
    pub fn view(self, pixels: &RgbImage, side: u32, draws: &mut Draws, out: &mut [u8]) {
        let view = match self {
            Augment::Crop => resize_crop(pixels, random_crop(pixels.dimensions(), draws), side, side),
            Augment::FlipShift | Augment::None if pixels.dimensions() == (side, side) => return self.move_view(pixels, draws, out),
            Augment::FlipShift | Augment::None => evaluation_view(pixels, side),
        };
        self.move_view(&view, draws, out);
    }

    /// Copies a square picture into `out`, shifted and flipped if that is wanted.
    fn move_view(self, pixels: &RgbImage, draws: &mut Draws, out: &mut [u8]) {
        if self != Augment::FlipShift {
            out.copy_from_slice(pixels.as_raw());
            return;
        }
        let reach = u64::from(pixels.width() / SHIFT_SHARE);
        let mut shift = || draws.below(2 * reach + 1) as i64 - reach as i64;
        let (right, down) = (shift(), shift());
        shift_and_flip(pixels, right, down, draws.below(2) == 1, out);
    }
}

/// torchvision's RandomResizedCrop: ten tries at a part of random area and ratio, then the middle as wide as may be.
fn random_crop((width, height): (u32, u32), draws: &mut Draws) -> Crop {
    let (wide, high) = (f64::from(width), f64::from(height));
    for _ in 0..10 {
        let area = wide * high * draws.between(CROP_SCALE.0, CROP_SCALE.1);
        let ratio = draws.between_logs(CROP_RATIO.0, CROP_RATIO.1);
        let (w, h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if w >= 1.0 && h >= 1.0 && w <= wide && h <= high {
            let left = draws.below(u64::from(width) - w as u64 + 1) as f64;
            let top = draws.below(u64::from(height) - h as u64 + 1) as f64;
            return Crop { left, top, width: w, height: h };
        }
    }
    let w = wide.min((high * CROP_RATIO.1).round()).max(1.0);
    let h = high.min((wide / CROP_RATIO.0).round()).max(1.0);
    Crop { left: ((wide - w) / 2.0).floor(), top: ((high - h) / 2.0).floor(), width: w, height: h }
}

/// Writes a square picture, moved right and down by pixels (negative: left and up), what was outside being mirrored at the
/// edge, then flipped left to right.
fn shift_and_flip(pixels: &RgbImage, right: i64, down: i64, flip: bool, out: &mut [u8]) {
    let (from, side) = (pixels.as_raw(), pixels.width() as usize);
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
            out[to..to + 3].copy_from_slice(&from[source..source + 3]);
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
            let crop = random_crop((width, height), &mut Draws::new("augment", 1, &[key]));
            prop_assert!(crop.left >= 0.0 && crop.left + crop.width <= f64::from(width));
            prop_assert!(crop.top >= 0.0 && crop.top + crop.height <= f64::from(height));
            prop_assert!(crop.width >= 1.0 && crop.height >= 1.0);
            let share = crop.width * crop.height / f64::from(width * height);
            if width.min(height) > 100 && width.max(height) < width.min(height) * 5 / 4 {
                prop_assert!(share > 0.88, "{:?}", crop);
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
        let pixels = RgbImage::from_fn(4, 4, |x, y| Rgb([(10 * y + x) as u8, 0, 0]));
        let row = |right, down, flip, row: usize| {
            let mut out = vec![0; 48];
            shift_and_flip(&pixels, right, down, flip, &mut out);
            (0..4).map(|x| out[12 * row + 3 * x]).collect::<Vec<u8>>()
        };
        assert_eq!(row(1, 0, false, 0), [1, 0, 1, 2]);
        assert_eq!(row(-1, 2, false, 0), [21, 22, 23, 22]);
        assert_eq!(row(-1, 2, false, 2), [1, 2, 3, 2]);
        assert_eq!(row(0, 0, true, 0), [3, 2, 1, 0]);
    }
}
