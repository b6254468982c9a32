//! From the scan of a JPEG to its samples, block by block.

use super::bits::{Bits, Codes, Scan};
use super::frame::{Component, Jpeg};
use super::samples::{self, Samples};
use super::transform::{self, PLACES, Transform};
use crate::simd;
use image::RgbImage;
use std::cell::RefCell;

/// Memory that a thread keeps for its next picture, in bytes.
const KEPT: usize = 16 << 20;

/// What decoding writes; recycled, as fresh memory costs more than what is done in it.
#[derive(Default)]
struct Work {
    scan: Scan,
    planes: [Vec<u8>; 3],
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

/// Keeps the memory of samples that nobody needs any more, if it is more than what is kept already.
pub(super) fn recycle(planes: [Vec<u8>; 3]) {
    let size = |planes: &[Vec<u8>; 3]| planes.iter().map(Vec::capacity).sum::<usize>();
    // There is nowhere to keep it when the thread ends.
    let _ = WORK.try_with(|work| {
        if let Ok(mut work) = work.try_borrow_mut()
            && (size(&work.planes)..=KEPT).contains(&size(&planes))
        {
            work.planes = planes;
        }
    });
}

impl Jpeg<'_> {
    /// The picture with its sides divided by `by` (1, 2, 4 or 8) and rounded up; not turned. `None` when it is damaged or cut off.
    ///
    /// Reduced, a block is transformed from its lowest frequencies only, which is what shrinking it would have left; chroma of fewer samples is
    /// reduced that much less, so none is blown up.
    pub fn decode(&self, by: u32) -> Option<RgbImage> {
        self.samples(by).map(|samples| samples.rgb())
    }

    /// The picture as [`Jpeg::decode`] gives it, as samples.
    pub(crate) fn samples(&self, by: u32) -> Option<Samples> {
        let by = by as usize;
        if !matches!(by, 1 | 2 | 4 | 8) {
            return None;
        }
        WORK.with_borrow_mut(|work| {
            let samples = simd::widest(
                #[inline(always)]
                || self.samples_in(work, by),
            );
            // Planes are here only of a picture that turned out to be damaged.
            if work.scan.capacity() + work.planes.iter().map(Vec::capacity).sum::<usize>() > KEPT {
                *work = Work::default();
            }
            samples
        })
    }

    #[inline(always)]
    fn samples_in(&self, work: &mut Work, by: usize) -> Option<Samples> {
        if !work.scan.read(self.scan) {
            return None;
        }
        let (across, down) = (self.components[0].across, self.components[0].down);
        let (wide, high) = (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down));
        let planes: Vec<Plane> = self.components.iter().map(|component| self.plane(*component, by, wide)).collect::<Option<_>>()?;
        for (plane, pixels) in planes.iter().zip(&mut work.planes) {
            pixels.resize(plane.stride * high * plane.component.down * plane.sides.1, 0);
        }
        self.blocks(&planes, &work.scan, wide, high, &mut work.planes)?;
        let mut rows = planes
            .iter()
            .zip(&mut work.planes)
            .map(|(plane, pixels)| samples::Plane { samples: std::mem::take(pixels), stride: plane.stride });
        Some(Samples {
            width: self.width.div_ceil(by),
            height: self.height.div_ceil(by),
            luma: rows.next()?,
            chroma: [rows.next().unwrap_or_default(), rows.next().unwrap_or_default()],
            ratio: planes.get(1).map_or((1, 1), |plane| plane.ratio),
        })
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
