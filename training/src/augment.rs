//! Random views of a picture for training: crops by default, shifts and flips for tiny pictures.
//!
//! Every view depends on (seed, epoch, sample) only. Pixels stay 8-bit RGB; the model's normalisation comes later.

use crate::draws::Draws;
use crate::preprocess::{Crop, evaluation_view, resize_crop_into, with_scratch};
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

/// A view before it is taken: what was drawn for a picture of a certain size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// Width and height of the picture it was drawn for.
    size: (u32, u32),
    /// The part that is resized to the square; without it the middle square is taken.
    crop: Option<Crop>,
    /// Pixels to the right and down, and whether the square is flipped after that.
    shift: Option<(i64, i64, bool)>,
}

impl Augment {
    /// Draws a view of `side` x `side` of a picture of `size`.
    pub(crate) fn draw(self, size: (u32, u32), side: u32, draws: &mut Draws) -> Look {
        let crop = (self == Augment::Crop).then(|| random_crop(size, draws));
        let shift = (self == Augment::FlipShift).then(|| {
            let reach = u64::from(side / SHIFT_SHARE);
            let mut shift = || draws.below(2 * reach + 1) as i64 - reach as i64;
            (shift(), shift(), draws.below(2) == 1)
        });
        Look { size, crop, shift }
    }
}

impl Look {
    /// The largest of 1, 2, 4 and 8 by which the picture may be reduced before the view is taken: nothing is blown up then
    /// that the whole picture would have shrunk.
    pub fn reduction(&self, side: u32) -> u32 {
        let (width, height) = self.crop.map_or(self.size, |crop| (crop.width as u32, crop.height as u32));
        [8, 4, 2].into_iter().find(|by| width.min(height) / by >= side).unwrap_or(1)
    }

    /// Writes the view of `pixels`, which may be a reduction of the picture, into `out`: `side` x `side` RGB, row by row,
    /// `3 * side * side` bytes.
    pub fn take(&self, pixels: &RgbImage, side: u32, out: &mut [u8]) {
        let Some((right, down, flip)) = self.shift else { return self.square(pixels, side, out) };
        if pixels.dimensions() == (side, side) {
            return shift_and_flip(pixels.as_raw(), side, right, down, flip, out);
        }
        with_scratch(out.len(), |square| {
            self.square(pixels, side, square);
            shift_and_flip(square, side, right, down, flip, out);
        });
    }

    fn square(&self, pixels: &RgbImage, side: u32, out: &mut [u8]) {
        match self.crop {
            Some(crop) => {
                let (wide, high) =
                    (f64::from(pixels.width()) / f64::from(self.size.0), f64::from(pixels.height()) / f64::from(self.size.1));
                let crop = Crop { left: crop.left * wide, top: crop.top * high, width: crop.width * wide, height: crop.height * high };
                resize_crop_into(pixels, crop, side, side, out);
            }
            None => out.copy_from_slice(evaluation_view(pixels, side).as_raw()),
        }
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
fn shift_and_flip(from: &[u8], side: u32, right: i64, down: i64, flip: bool, out: &mut [u8]) {
    let side = side as usize;
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
        augment.draw(pixels.dimensions(), side, &mut Draws::new("augment", 1, &[key])).take(pixels, side, &mut out);
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
    fn a_reduced_picture_gives_nearly_the_same_view() {
        let smooth =
            |width: u32, height: u32| RgbImage::from_fn(width, height, |x, y| Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 60]));
        let (whole, half) = (smooth(200, 160), smooth(100, 80));
        for key in 0..20 {
            let look = Augment::Crop.draw((200, 160), 32, &mut Draws::new("augment", 1, &[key]));
            let (mut a, mut b) = (vec![0; 3 * 32 * 32], vec![0; 3 * 32 * 32]);
            look.take(&whole, 32, &mut a);
            look.take(&half, 32, &mut b);
            let worst = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(5), "{worst:?}");
        }
    }

    #[test]
    fn a_reduction_never_blows_up() {
        let reduction = |augment: Augment, size, side| augment.draw(size, side, &mut Draws::new("augment", 1, &[1])).reduction(side);
        assert_eq!(reduction(Augment::None, (448, 600), 224), 2);
        assert_eq!(reduction(Augment::None, (447, 600), 224), 1);
        assert_eq!(reduction(Augment::None, (4000, 3000), 224), 8);
        assert_eq!(reduction(Augment::Crop, (448, 448), 224), 1, "the crop is smaller than the picture");
        assert_eq!(reduction(Augment::Crop, (1000, 1000), 224), 4);
        assert_eq!(reduction(Augment::FlipShift, (1, 1), 224), 1);
    }

    #[test]
    fn shifts_mirror_the_edge() {
        let pixels = RgbImage::from_fn(4, 4, |x, y| Rgb([(10 * y + x) as u8, 0, 0]));
        let row = |right, down, flip, row: usize| {
            let mut out = vec![0; 48];
            shift_and_flip(pixels.as_raw(), 4, right, down, flip, &mut out);
            (0..4).map(|x| out[12 * row + 3 * x]).collect::<Vec<u8>>()
        };
        assert_eq!(row(1, 0, false, 0), [1, 0, 1, 2]);
        assert_eq!(row(-1, 2, false, 0), [21, 22, 23, 22]);
        assert_eq!(row(-1, 2, false, 2), [1, 2, 3, 2]);
        assert_eq!(row(0, 0, true, 0), [3, 2, 1, 0]);
    }
}
