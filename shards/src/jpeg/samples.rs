//! A picture as a JPEG holds it: luma and chroma (YCbCr, JFIF), chroma perhaps of fewer samples.
//!
//! Measuring, shrinking and encoding these saves the way to RGB and back, and half of the numbers.

use super::colour::{Spread, convert};
use super::encode;
use super::pixels;
use crate::area::{Axis, shrink_plane};
use crate::simd;
use image::RgbImage;

/// The samples of a picture.
pub(crate) struct Samples {
    /// Sides in pixels, which are those of luma.
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) luma: Plane,
    /// Blue and red, of the same sides; empty when the picture is grey.
    pub(super) chroma: [Plane; 2],
    /// How many times fewer columns and rows chroma has, 1 or 2.
    pub(super) ratio: (usize, usize),
}

/// Samples row by row; rows, and their number, may go on beyond the picture, as blocks do.
#[derive(Default)]
pub(super) struct Plane {
    pub(super) samples: Vec<u8>,
    pub(super) stride: usize,
}

impl Drop for Samples {
    /// Leaves the memory to the next picture.
    fn drop(&mut self) {
        let [blue, red] = &mut self.chroma;
        pixels::recycle([&mut self.luma, blue, red].map(|plane| std::mem::take(&mut plane.samples)));
    }
}

impl Samples {
    /// Width and height in pixels.
    pub(crate) fn dimensions(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    /// Whether there is chroma.
    pub(crate) fn is_colour(&self) -> bool {
        self.chroma[0].stride > 0
    }

    /// The picture in RGB.
    pub(crate) fn rgb(&self) -> RgbImage {
        let mut out = vec![0; 3 * self.width * self.height];
        simd::widest(
            #[inline(always)]
            || {
                let mut spread = Default::default();
                out.chunks_exact_mut(3 * self.width).enumerate().for_each(|(y, row)| self.row(y, &mut spread, row));
            },
        );
        RgbImage::from_raw(self.width as u32, self.height as u32, out).unwrap_or_default()
    }

    /// Calls `each` with the RGB values of every `step`th row.
    pub(crate) fn rows(&self, step: usize, mut each: impl FnMut(&[u8])) {
        let mut row = vec![0; 3 * self.width];
        simd::widest(
            #[inline(always)]
            || {
                let mut spread = Default::default();
                for y in (0..self.height).step_by(step) {
                    self.row(y, &mut spread, &mut row);
                    each(&row);
                }
            },
        );
    }

    #[inline(always)]
    fn row(&self, y: usize, [spread_blue, spread_red]: &mut [Spread; 2], out: &mut [u8]) {
        let luma = &self.luma.samples[y * self.luma.stride..][..self.width];
        if !self.is_colour() {
            return out.as_chunks_mut::<3>().0.iter_mut().zip(luma).for_each(|(pixel, &grey)| *pixel = [grey; 3]);
        }
        let [blue, red] = &self.chroma;
        let sides = self.chroma_sides();
        let blue = spread_blue.row(&blue.samples, blue.stride, sides, self.ratio, y, self.width);
        let red = spread_red.row(&red.samples, red.stride, sides, self.ratio, y, self.width);
        convert(luma, blue, red, out);
    }

    /// Columns and rows of chroma that belong to the picture.
    fn chroma_sides(&self) -> (usize, usize) {
        (self.width.div_ceil(self.ratio.0), self.height.div_ceil(self.ratio.1))
    }

    /// The picture shrunk to `side` x `side` by averages of areas. Its shorter side must have twice as many pixels at least.
    pub(crate) fn square(&self, side: usize) -> RgbImage {
        let luma = shrink_plane(&self.luma.samples, self.luma.stride, &Axis::new(self.width, side), &Axis::new(self.height, side));
        let (columns, rows) = self.chroma_sides();
        let step = |length: usize, ratio: usize| length as f64 / ratio as f64 / side as f64;
        let stretches =
            |samples: usize, length: usize, ratio: usize| Axis::cut(samples, 0.0, step(length, ratio), side, length as f64 / ratio as f64);
        let (across, down) = (stretches(columns, self.width, self.ratio.0), stretches(rows, self.height, self.ratio.1));
        let chroma = |plane: &Plane| {
            if self.is_colour() { shrink_plane(&plane.samples, plane.stride, &across, &down) } else { vec![128; side * side] }
        };
        let mut out = vec![0; 3 * side * side];
        convert(&luma, &chroma(&self.chroma[0]), &chroma(&self.chroma[1]), &mut out);
        RgbImage::from_raw(side as u32, side as u32, out).unwrap_or_default()
    }

    /// The picture shrunk to `fitted` by averages of areas, of which a window of `sides` is kept that begins at `offset`. Chroma gets half
    /// as many columns and rows. `fitted` may not be larger than the picture on either axis, and there must be colour.
    pub(crate) fn shrink(&self, fitted: (usize, usize), offset: (usize, usize), sides: (usize, usize)) -> Samples {
        let (columns, rows) = self.chroma_sides();
        // One axis of luma and of chroma, whose samples each stand for two pixels.
        let axes = |length: usize, samples: usize, ratio: usize, fitted: usize, offset: usize, side: usize| {
            let (step, share) = (length as f64 / fitted as f64, 1.0 / ratio as f64);
            let (start, end) = (offset as f64 * step, (offset + side) as f64 * step);
            let luma = Axis::cut(length, start, step, side, end);
            // Of an odd side the last sample stands for one pixel: the next one is outside.
            (luma, Axis::cut(samples, start * share, 2.0 * step * share, side.div_ceil(2), end * share))
        };
        let across = axes(self.width, columns, self.ratio.0, fitted.0, offset.0, sides.0);
        let down = axes(self.height, rows, self.ratio.1, fitted.1, offset.1, sides.1);
        let reduced = |plane: &Plane, across: &Axis, down: &Axis, stride| Plane {
            samples: shrink_plane(&plane.samples, plane.stride, across, down),
            stride,
        };
        let (luma, chroma) = (&self.luma, self.chroma.each_ref());
        Samples {
            width: sides.0,
            height: sides.1,
            luma: reduced(luma, &across.0, &down.0, sides.0),
            chroma: chroma.map(|plane| reduced(plane, &across.1, &down.1, sides.0.div_ceil(2))),
            ratio: (2, 2),
        }
    }

    /// Whether [`Samples::encode`] can write it: with a chroma sample for each 2 x 2 pixels.
    pub(crate) fn is_encodable(&self) -> bool {
        self.ratio == (2, 2) && self.is_colour()
    }

    /// As baseline JPEG at `quality` (1 to 100).
    ///
    /// # Panics
    /// Unless it is encodable.
    pub(crate) fn encode(&self, quality: u8) -> Vec<u8> {
        assert!(self.is_encodable());
        encode::encode_samples(self, quality)
    }

    /// Adds all that makes the picture what it is: sides, proportions of chroma, whole blocks of samples.
    pub(crate) fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&(self.width as u32).to_le_bytes()).update(&(self.height as u32).to_le_bytes());
        hasher.update(&[self.ratio.0 as u8, self.ratio.1 as u8]);
        for plane in [&self.luma, &self.chroma[0], &self.chroma[1]] {
            hasher.update(&plane.samples);
        }
    }
}
