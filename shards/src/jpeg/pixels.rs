//! From the scan of a JPEG to its pixels: blocks into planes, planes into colours.

use super::bits::{Bits, Codes, Scan};
use super::colour::{Spread, convert};
use super::frame::{Component, Jpeg};
use super::transform::{self, PLACES, Transform};
use crate::simd;
use image::RgbImage;
use std::cell::RefCell;

/// Memory that a thread keeps for its next picture, in bytes.
const KEPT: usize = 16 << 20;

/// What decoding writes before there are pixels; recycled, as fresh memory costs more than what is done in it.
#[derive(Default)]
struct Work {
    scan: Scan,
    planes: [Vec<u8>; 3],
    spread: [Spread; 2],
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::new(Work::default());
}

/// How the blocks of a component become a plane.
struct Plane<'a> {
    component: Component,
    means: &'a Codes,
    values: &'a Codes,
    factors: [f32; 64],
    transform: Transform,
    /// Pixels of a block.
    sides: (usize, usize),
    /// How many times fewer columns and rows than the picture's it has.
    ratio: (usize, usize),
    stride: usize,
}

impl Jpeg<'_> {
    /// The picture with its sides divided by `by` (1, 2, 4 or 8) and rounded up; not turned. `None` when it is damaged or cut off.
    ///
    /// Reduced, a block is transformed from its lowest frequencies only, which is what shrinking it would have left; chroma of fewer samples is
    /// reduced that much less, so none is blown up.
    pub fn decode(&self, by: u32) -> Option<RgbImage> {
        let by = by as usize;
        if !matches!(by, 1 | 2 | 4 | 8) {
            return None;
        }
        WORK.with_borrow_mut(|work| {
            let pixels = simd::widest(
                #[inline(always)]
                || self.decode_in(work, by),
            );
            let held = work.scan.capacity() + work.planes.iter().map(Vec::capacity).sum::<usize>();
            if held > KEPT {
                *work = Work::default();
            }
            pixels
        })
    }

    #[inline(always)]
    fn decode_in(&self, work: &mut Work, by: usize) -> Option<RgbImage> {
        let (across, down) = (self.components[0].across, self.components[0].down);
        let (wide, high) = (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down));
        let planes: Vec<Plane> = self.components.iter().map(|component| self.plane(*component, by, wide)).collect::<Option<_>>()?;
        for (plane, pixels) in planes.iter().zip(&mut work.planes) {
            pixels.resize(plane.stride * high * plane.component.down * plane.sides.1, 0);
        }
        if !work.scan.read(self.scan) {
            return None;
        }
        self.blocks(&planes, &work.scan, wide, high, &mut work.planes)?;
        Some(self.colours(&planes, work, by))
    }

    fn plane(&self, component: Component, by: usize, wide: usize) -> Option<Plane<'_>> {
        let side = |most: usize, own: usize| {
            let wanted = 8 * most / own / by;
            (wanted.min(8), wanted.div_ceil(8))
        };
        let (width, across) = side(self.components[0].across, component.across);
        let (height, down) = side(self.components[0].down, component.down);
        Some(Plane {
            component,
            means: self.means.get(component.means)?.as_ref()?,
            values: self.values.get(component.values)?.as_ref()?,
            factors: transform::factors(self.steps.get(component.steps)?.as_ref()?, width, height),
            transform: transform::choose(width, height)?,
            sides: (width, height),
            ratio: (across, down),
            stride: wide * component.across * width,
        })
    }

    /// Reads all blocks of the scan; `None` where it is damaged or ends early.
    #[inline(always)]
    fn blocks(&self, planes: &[Plane], scan: &Scan, wide: usize, high: usize, out: &mut [Vec<u8>; 3]) -> Option<()> {
        let (mut before, mut segment) = ([0i16; 3], 0);
        let mut bits = scan.segment(segment)?;
        let mut left = if self.restart > 0 { self.restart } else { usize::MAX };
        for row in 0..high {
            for column in 0..wide {
                if left == 0 {
                    if !bits.is_within() {
                        return None;
                    }
                    segment += 1;
                    (bits, before, left) = (scan.segment(segment)?, [0; 3], self.restart);
                }
                left -= 1;
                for ((plane, pixels), before) in planes.iter().zip(out.iter_mut()).zip(&mut before) {
                    for down in 0..plane.component.down {
                        let y = (row * plane.component.down + down) * plane.sides.1;
                        for across in 0..plane.component.across {
                            let x = (column * plane.component.across + across) * plane.sides.0;
                            plane.block(&mut bits, before, &mut pixels[y * plane.stride + x..])?;
                        }
                    }
                }
            }
            if !bits.is_within() {
                return None;
            }
        }
        Some(())
    }

    #[inline(always)]
    fn colours(&self, planes: &[Plane], work: &mut Work, by: usize) -> RgbImage {
        let (width, height) = (self.width.div_ceil(by), self.height.div_ceil(by));
        let mut out = vec![0; 3 * width * height];
        let [luma, blue, red] = &work.planes;
        let [spread_blue, spread_red] = &mut work.spread;
        for (y, out) in out.chunks_exact_mut(3 * width).enumerate() {
            let luma = &luma[y * planes[0].stride..][..width];
            if let [_, plane, _] = planes {
                let samples = (width.div_ceil(plane.ratio.0), height.div_ceil(plane.ratio.1));
                let blue = spread_blue.row(blue, plane.stride, samples, plane.ratio, y, width);
                let red = spread_red.row(red, plane.stride, samples, plane.ratio, y, width);
                convert(luma, blue, red, out);
            } else {
                out.as_chunks_mut::<3>().0.iter_mut().zip(luma).for_each(|(pixel, &grey)| *pixel = [grey; 3]);
            }
        }
        RgbImage::from_raw(width as u32, height as u32, out).unwrap_or_default()
    }
}

impl Plane<'_> {
    /// Reads one block and puts its pixels where `out` begins.
    #[inline(always)]
    fn block(&self, bits: &mut Bits, before: &mut i16, out: &mut [u8]) -> Option<()> {
        let mut block = [0; 64];
        *before = before.wrapping_add(self.means.difference(bits)?);
        block[0] = *before;
        if self.values.values(bits, &PLACES, &mut block)? {
            (self.transform)(&block, &self.factors, out, self.stride);
        } else {
            transform::flat(block[0], self.factors[0], out, self.stride, self.sides);
        }
        Some(())
    }
}

#[cfg(test)]
#[path = "pixels_tests.rs"]
mod tests;
