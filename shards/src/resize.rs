//! Resizing as img2dataset names it: what the stored picture's sides become.

use crate::area;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

/// Something across and something down.
type Pair = (usize, usize);

/// How a picture is brought to the corpus' image size `n`. Names are img2dataset's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Kept as it is.
    No,
    /// The shorter side becomes `n`.
    KeepRatio,
    /// The longer side becomes `n`.
    KeepRatioLargest,
    /// The shorter side becomes `n`, then the middle `n` x `n` is cut out; under "only if bigger" one whose shorter side is not larger than
    /// `n` is left whole.
    CenterCrop,
    /// The longer side becomes `n`, then white bars fill it up to `n` x `n`; under "only if bigger" one whose longer side is not larger than
    /// `n` gets none.
    Border,
}

impl std::str::FromStr for ResizeMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        serde_json::from_value(name.into())
            .map_err(|_| format!("{name:?} is not one of no, keep_ratio, keep_ratio_largest, center_crop, border"))
    }
}

impl std::fmt::Display for ResizeMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ResizeMode::No => "no",
            ResizeMode::KeepRatio => "keep_ratio",
            ResizeMode::KeepRatioLargest => "keep_ratio_largest",
            ResizeMode::CenterCrop => "center_crop",
            ResizeMode::Border => "border",
        })
    }
}

impl ResizeMode {
    /// Whether [`ResizeMode::apply`] leaves a picture of these sides as it is.
    pub(crate) fn leaves(self, (width, height): (u32, u32), n: u32, only_if_bigger: bool) -> bool {
        let stays = |side: u32| side == n || (side < n && only_if_bigger);
        match self {
            ResizeMode::No => true,
            ResizeMode::KeepRatio => stays(width.min(height)),
            ResizeMode::KeepRatioLargest => stays(width.max(height)),
            // As in img2dataset, one that need not shrink is neither cut nor framed.
            ResizeMode::CenterCrop => (only_if_bigger && width.min(height) <= n) || (width, height) == (n, n),
            ResizeMode::Border => (only_if_bigger && width.max(height) <= n) || (width, height) == (n, n),
        }
    }

    /// What [`ResizeMode::apply`] does with a picture of these sides, if it only shrinks it and cuts something out: the sides it is shrunk to,
    /// and offset and sides of the window.
    pub(crate) fn window(self, (width, height): (u32, u32), n: u32) -> Option<(Pair, Pair, Pair)> {
        let side = match self {
            ResizeMode::KeepRatio | ResizeMode::CenterCrop => width.min(height),
            ResizeMode::KeepRatioLargest => width.max(height),
            ResizeMode::No | ResizeMode::Border => return None,
        };
        if side <= n || n == 0 {
            return None;
        }
        let pair = |(width, height): (u32, u32)| (width as usize, height as usize);
        let fitted = (scaled(width, n, side), scaled(height, n, side));
        let sides = if self == ResizeMode::CenterCrop { (fitted.0.min(n), fitted.1.min(n)) } else { fitted };
        Some((pair(fitted), pair(((fitted.0 - sides.0) / 2, (fitted.1 - sides.1) / 2)), pair(sides)))
    }

    /// The sides that [`ResizeMode::apply`] brings a picture of these sides to, on the way there as at its end: a crop is cut out of more.
    pub fn sides(self, (width, height): (u32, u32), n: u32, only_if_bigger: bool) -> (u32, u32) {
        if self.leaves((width, height), n, only_if_bigger) {
            return (width, height);
        }
        let fitted = |side: u32| (scaled(width, n, side), scaled(height, n, side));
        match self {
            ResizeMode::No => (width, height),
            ResizeMode::KeepRatio | ResizeMode::CenterCrop => fitted(width.min(height)),
            ResizeMode::KeepRatioLargest => fitted(width.max(height)),
            ResizeMode::Border => (n, n),
        }
    }

    /// Brings `pixels` to size `n`. With `only_if_bigger` a picture whose side in question is not larger than `n` stays as it is: it is
    /// neither blown up, nor cut by [`ResizeMode::CenterCrop`], nor framed by [`ResizeMode::Border`].
    pub fn apply(self, pixels: RgbImage, n: u32, only_if_bigger: bool) -> RgbImage {
        let (width, height) = pixels.dimensions();
        if self.leaves((width, height), n, only_if_bigger) {
            return pixels;
        }
        let fitted = |side: u32| shrink(&pixels, scaled(width, n, side), scaled(height, n, side));
        match self {
            ResizeMode::No => pixels,
            ResizeMode::KeepRatio => fitted(width.min(height)),
            ResizeMode::KeepRatioLargest => fitted(width.max(height)),
            ResizeMode::CenterCrop => {
                let fitted = fitted(width.min(height));
                let (width, height) = (fitted.width().min(n), fitted.height().min(n));
                image::imageops::crop_imm(&fitted, (fitted.width() - width) / 2, (fitted.height() - height) / 2, width, height).to_image()
            }
            ResizeMode::Border => {
                let fitted = fitted(width.max(height));
                let mut out = RgbImage::from_pixel(n, n, Rgb([255; 3]));
                image::imageops::replace(&mut out, &fitted, i64::from((n - fitted.width()) / 2), i64::from((n - fitted.height()) / 2));
                out
            }
        }
    }
}

/// `length` of a picture whose side of `side` becomes `n`.
fn scaled(length: u32, n: u32, side: u32) -> u32 {
    ((u64::from(length) * u64::from(n) + u64::from(side) / 2) / u64::from(side)).clamp(1, u64::from(u32::MAX)) as u32
}

/// Shrinks to exactly `width` x `height` by the average of the area that each new pixel covers, as img2dataset does (OpenCV's
/// INTER_AREA); a picture that grows on either axis goes through [`resize_exact`].
pub fn shrink(pixels: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (from, to) = (pixels.dimensions(), (width.max(1), height.max(1)));
    if from == to || to.0 > from.0 || to.1 > from.1 {
        return resize_exact(pixels, width, height);
    }
    let sides = |(width, height): (u32, u32)| (width as usize, height as usize);
    let out = area::shrink(pixels.as_raw(), sides(from), sides(to));
    RgbImage::from_raw(to.0, to.1, out).unwrap_or_else(|| RgbImage::new(to.0, to.1))
}

/// Resizes to exactly `width` x `height`, antialiased: a linear kernel that widens with the scale.
pub fn resize_exact(pixels: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    if pixels.dimensions() == (width, height) || pixels.width() == 0 || pixels.height() == 0 {
        return pixels.clone();
    }
    let mut out = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let resized = ImageRef::new(pixels.width(), pixels.height(), pixels.as_raw(), PixelType::U8x3)
        .ok()
        .and_then(|from| Resizer::new().resize(&from, &mut out, &options).ok());
    debug_assert!(resized.is_some(), "sizes and pixel types agree by construction");
    RgbImage::from_raw(width, height, out.into_vec()).unwrap_or_else(|| RgbImage::new(width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_follow_the_mode() {
        let sides = |mode: ResizeMode, width, height| mode.apply(RgbImage::new(width, height), 100, true).dimensions();
        assert_eq!(sides(ResizeMode::No, 400, 300), (400, 300));
        assert_eq!(sides(ResizeMode::KeepRatio, 400, 300), (133, 100));
        assert_eq!(sides(ResizeMode::KeepRatioLargest, 400, 300), (100, 75));
        assert_eq!(sides(ResizeMode::CenterCrop, 400, 300), (100, 100));
        assert_eq!(sides(ResizeMode::Border, 400, 300), (100, 100));
        assert_eq!(sides(ResizeMode::KeepRatio, 40, 30), (40, 30));
        assert_eq!(sides(ResizeMode::KeepRatioLargest, 9000, 1), (100, 1));
        // What need not shrink is left whole, as img2dataset leaves it.
        for (width, height) in [(40, 30), (100, 30), (400, 30), (400, 100), (100, 100)] {
            assert_eq!(sides(ResizeMode::CenterCrop, width, height), (width, height));
        }
        for (width, height) in [(40, 30), (100, 30), (100, 100)] {
            assert_eq!(sides(ResizeMode::Border, width, height), (width, height));
        }
        assert_eq!(sides(ResizeMode::CenterCrop, 400, 101), (100, 100));
        assert_eq!(sides(ResizeMode::Border, 101, 30), (100, 100));
        for mode in [ResizeMode::CenterCrop, ResizeMode::Border] {
            for (width, height) in [(40, 30), (100, 30), (400, 100), (400, 300), (100, 100)] {
                assert_eq!(mode.apply(RgbImage::new(width, height), 100, false).dimensions(), (100, 100), "{mode} {width} x {height}");
            }
        }
        assert_eq!(ResizeMode::KeepRatio.apply(RgbImage::new(40, 30), 100, false).dimensions(), (133, 100));
    }

    #[test]
    fn names_go_there_and_back() {
        for name in ["no", "keep_ratio", "keep_ratio_largest", "center_crop", "border"] {
            assert_eq!(name.parse::<ResizeMode>().expect("a mode").to_string(), name);
        }
        assert!("squash".parse::<ResizeMode>().is_err());
    }
}
