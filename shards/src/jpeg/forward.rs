//! The cosine transform of a block of pixels, with quantisation.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::transform::{Row, add, sub, times};

// Constants of the transform of Arai, Agui and Nakajima (1988): five products, the other factors are left to quantisation.
pub(super) const C4: f32 = 0.707_106_77; // cos(4 pi / 16)
pub(super) const C6: f32 = 0.382_683_43; // cos(6 pi / 16)
pub(super) const C2_LESS_C6: f32 = 0.541_196_1;
pub(super) const C2_AND_C6: f32 = 1.306_563;

/// A quantised block. It lies transposed: a row for each horizontal frequency.
pub(super) struct Coefficients {
    pub(super) values: [i16; 64],
    /// For each row which of its values are not zero, the first in the lowest bit.
    pub(super) present: [u8; 8],
}

/// The transform of the block at the beginning of a plane around zero with rows of this stride, each result times its factor.
pub(super) type Forward = fn(&[f32], usize, &[f32; 64]) -> Coefficients;

/// The transform for this processor.
pub(super) fn choose() -> Forward {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // Sound: the processor was just asked for the feature.
        #[allow(unsafe_code)]
        return |plane, stride, factors| unsafe { avx2::forward(plane, stride, factors) };
    }
    plain
}

/// Transforms eight columns.
fn columns(x: [Row; 8]) -> [Row; 8] {
    let [s0, s1, s2, s3] = [add(x[0], x[7]), add(x[1], x[6]), add(x[2], x[5]), add(x[3], x[4])];
    let [d0, d1, d2, d3] = [sub(x[0], x[7]), sub(x[1], x[6]), sub(x[2], x[5]), sub(x[3], x[4])];
    let (e0, e3, e1, e2) = (add(s0, s3), sub(s0, s3), add(s1, s2), sub(s1, s2));
    let z1 = times(add(e2, e3), C4);
    let (o0, o1, o2) = (add(d3, d2), add(d2, d1), add(d1, d0));
    let z5 = times(sub(o0, o2), C6);
    let (z2, z4, z3) = (add(times(o0, C2_LESS_C6), z5), add(times(o2, C2_AND_C6), z5), times(o1, C4));
    let (z11, z13) = (add(d0, z3), sub(d0, z3));
    [add(e0, e1), add(z11, z4), add(e3, z1), sub(z13, z2), sub(e0, e1), add(z13, z2), sub(e3, z1), sub(z11, z4)]
}

/// On any processor.
fn plain(plane: &[f32], stride: usize, factors: &[f32; 64]) -> Coefficients {
    let rows: [Row; 8] = std::array::from_fn(|y| std::array::from_fn(|x| plane[y * stride + x]));
    let tall = columns(rows);
    let block = columns(std::array::from_fn(|x| std::array::from_fn(|y| tall[y][x])));
    let mut out = Coefficients { values: [0; 64], present: [0; 8] };
    for (i, value) in out.values.iter_mut().enumerate() {
        // Rounds to the nearest: above 2^23 a float has no fraction left.
        const MAGIC: f32 = 12_582_912.0;
        *value = ((block[i / 8][i % 8] * factors[i] + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32) as i16;
        out.present[i / 8] |= u8::from(*value != 0) << (i % 8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_gives_the_same_numbers() {
        let mut state = 7u32;
        for size in [0.0, 1.0, 30.0, 127.0] {
            let plane: [f32; 80] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
            });
            let factors = std::array::from_fn(|i| 0.9 / (1 + i % 7) as f32);
            let (one, other) = (plain(&plane, 10, &factors), choose()(&plane, 10, &factors));
            assert_eq!((one.values, one.present), (other.values, other.present));
            for (i, &value) in one.values.iter().enumerate() {
                assert_eq!(one.present[i / 8] >> (i % 8) & 1 == 1, value != 0);
            }
        }
    }
}
