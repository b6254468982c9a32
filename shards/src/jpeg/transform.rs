//! The inverse cosine transform of a block, whole or of its lowest frequencies only.
//!
//! Blocks lie transposed, a row for each horizontal frequency, so that one turn in the middle brings rows of pixels.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::{ZIGZAG, left_out};

/// Brings brightness from around zero to 0..255.
pub(super) const MIDDLE: f32 = 128.0;
// Constants of the transform of Arai, Agui and Nakajima (1988), turned round; the other factors are in `factors`.
pub(super) const SQRT2: f32 = std::f32::consts::SQRT_2;
pub(super) const C2: f32 = 1.847_759; // 2 cos(2 pi / 16)
pub(super) const C2_LESS_C6: f32 = 1.082_392_2; // 2 (cos(2 pi / 16) - cos(6 pi / 16))
pub(super) const C2_AND_C6: f32 = 2.613_126; // 2 (cos(2 pi / 16) + cos(6 pi / 16))

/// Where in a transposed block the coefficients lie, in the order of storage.
pub(super) const PLACES: [u8; 64] = {
    let (mut places, mut i) = ([0; 64], 0);
    while i < 64 {
        places[i] = ZIGZAG[i] % 8 * 8 + ZIGZAG[i] / 8;
        i += 1;
    }
    places
};

/// A transform: of a transposed block, each value times its factor, into rows of pixels that begin `stride` apart in a plane.
pub(super) type Transform = fn(&[i16; 64], &[f32; 64], &mut [u8], usize);

/// The factors of a transposed block for the transform to `across` x `down` pixels; `steps` are in the order of storage.
pub(super) fn factors(steps: &[u16; 64], across: usize, down: usize) -> [f32; 64] {
    let mut factors = [0.0; 64];
    for (&place, &step) in PLACES.iter().zip(steps) {
        let place = usize::from(place);
        let fast = if (across, down) == (8, 8) { left_out(place / 8) * left_out(place % 8) / 8.0 } else { 1.0 };
        factors[place] = (f64::from(step) * fast) as f32;
    }
    factors
}

/// The transform to `across` x `down` pixels (each 1, 2, 4 or 8, one at most twice the other); `None` for others.
pub(super) fn choose(across: usize, down: usize) -> Option<Transform> {
    Some(match (across, down) {
        (1, 1) => low::<1, 1>,
        (1, 2) => low::<1, 2>,
        (2, 1) => low::<2, 1>,
        (2, 2) => low::<2, 2>,
        (2, 4) => low::<2, 4>,
        (4, 2) => low::<4, 2>,
        (4, 4) => low::<4, 4>,
        (4, 8) => low::<4, 8>,
        (8, 4) => low::<8, 4>,
        (8, 8) => {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // Sound: the processor was just asked for the feature.
                #[allow(unsafe_code)]
                return Some(|block, factors, out, stride| unsafe { avx2::inverse(block, factors, out, stride) });
            }
            whole
        }
        _ => return None,
    })
}

/// The nearest of 0 to 255.
#[inline(always)]
fn byte(value: f32) -> u8 {
    // From 2^23 on a float has no fraction left, so its lowest byte is the rounded number.
    (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as u8
}

/// To pixels of the one brightness that a mean of the whole transform says.
#[inline(always)]
pub(super) fn flat(mean: i16, factor: f32, out: &mut [u8], stride: usize, (across, down): (usize, usize)) {
    let share = if (across, down) == (8, 8) { 1.0 } else { 0.125 };
    let value = byte(f32::from(mean) * factor * share + MIDDLE);
    (0..down).for_each(|y| out[y * stride..][..across].fill(value));
}

/// Eight numbers that are worked on side by side.
pub(super) type Row = [f32; 8];

pub(super) fn add(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] + b[i])
}

pub(super) fn sub(a: Row, b: Row) -> Row {
    std::array::from_fn(|i| a[i] - b[i])
}

pub(super) fn times(a: Row, by: f32) -> Row {
    a.map(|value| value * by)
}

/// Transforms eight columns back.
fn columns(x: [Row; 8]) -> [Row; 8] {
    let (s0, s1) = (add(x[0], x[4]), sub(x[0], x[4]));
    let s3 = add(x[2], x[6]);
    let s2 = sub(times(sub(x[2], x[6]), SQRT2), s3);
    let [e0, e3, e1, e2] = [add(s0, s3), sub(s0, s3), add(s1, s2), sub(s1, s2)];
    let (z13, z10, z11, z12) = (add(x[5], x[3]), sub(x[5], x[3]), add(x[1], x[7]), sub(x[1], x[7]));
    let o7 = add(z11, z13);
    let z5 = times(add(z10, z12), C2);
    let o6 = sub(sub(z5, times(z10, C2_AND_C6)), o7);
    let o5 = sub(times(sub(z11, z13), SQRT2), o6);
    let o4 = sub(sub(z5, times(z12, C2_LESS_C6)), o5);
    [add(e0, o7), add(e1, o6), add(e2, o5), add(e3, o4), sub(e3, o4), sub(e2, o5), sub(e1, o6), sub(e0, o7)]
}

/// To all 8 x 8 pixels, on any processor.
fn whole(block: &[i16; 64], factors: &[f32; 64], out: &mut [u8], stride: usize) {
    let turned = |block: [Row; 8]| std::array::from_fn(|x| std::array::from_fn(|y| block[y][x]));
    let rows = std::array::from_fn(|u| std::array::from_fn(|v| f32::from(block[u * 8 + v]) * factors[u * 8 + v]));
    for (y, row) in columns(turned(columns(rows))).iter().enumerate() {
        out[y * stride..][..8].copy_from_slice(&row.map(|value| byte(value + MIDDLE)));
    }
}

/// The lowest `W` x `H` frequencies to as many pixels, of the same brightness as the block.
fn low<const W: usize, const H: usize>(block: &[i16; 64], factors: &[f32; 64], out: &mut [u8], stride: usize) {
    let (wide, high) = (const { &waves::<W>() }, const { &waves::<H>() });
    // A row of pixels for each vertical frequency.
    let mut rows = [[0f32; W]; H];
    for (u, wave) in wide.iter().enumerate() {
        let values: [f32; H] = std::array::from_fn(|v| f32::from(block[u * 8 + v]) * factors[u * 8 + v]);
        for (row, value) in rows.iter_mut().zip(values) {
            (0..W).for_each(|x| row[x] += wave[x] * value);
        }
    }
    for y in 0..H {
        let mut line = [MIDDLE; W];
        for (wave, row) in high.iter().zip(&rows) {
            (0..W).for_each(|x| line[x] += wave[y] * row[x]);
        }
        out[y * stride..][..W].copy_from_slice(&line.map(byte));
    }
}

/// For each frequency its values at `N` pixels, scaled by sqrt(N / 8) so that means stay.
const fn waves<const N: usize>() -> [[f32; N]; N] {
    /// cos(k pi / 16) for k of 0 to 8.
    const COS: [f32; 9] =
        [1.0, 0.980_785_25, 0.923_879_5, 0.831_469_6, std::f32::consts::FRAC_1_SQRT_2, 0.555_570_24, 0.382_683_43, 0.195_090_32, 0.0];
    let mut waves = [[0.0; N]; N];
    let mut at = 0;
    while at < N * N {
        let (frequency, pixel) = (at / N, at % N);
        let angle = (2 * pixel + 1) * frequency * (8 / N) % 32;
        let cosine = match angle {
            0..=8 => COS[angle],
            9..=16 => -COS[16 - angle],
            17..=24 => -COS[angle - 16],
            _ => COS[32 - angle],
        };
        // sqrt(N / 8) sqrt(2 / N) is 1 / 2, and sqrt(1 / 2) of that for the mean.
        waves[frequency][pixel] = if frequency == 0 { std::f32::consts::FRAC_1_SQRT_2 / 2.0 } else { cosine / 2.0 };
        at += 1;
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block's pixels by the definition (T.81, A.3.3).
    fn slowly(values: &[f32; 64]) -> [[f64; 8]; 8] {
        let norm = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
        let wave = |k: usize, x: usize| ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let terms = (0..64).map(|i| {
                    let (u, v) = (i / 8, i % 8);
                    norm(u) * norm(v) * f64::from(values[i]) * wave(u, x) * wave(v, y) / 4.0
                });
                terms.sum::<f64>() + 128.0
            })
        })
    }

    #[test]
    fn pixels_are_those_of_the_definition() {
        let mut state = 1u32;
        for size in [3.0f32, 40.0, 400.0] {
            let mut random = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * size) as i16
            };
            let block: [i16; 64] = std::array::from_fn(|i| if i == 0 { random() * 3 } else { random() });
            let steps = std::array::from_fn(|i| 1 + i as u16 % 3);
            let mut plain = [0.0; 64];
            PLACES.iter().zip(steps).for_each(|(&at, step)| plain[usize::from(at)] = f32::from(block[usize::from(at)]) * f32::from(step));
            let expected = slowly(&plain);
            for transform in [whole, choose(8, 8).expect("known")] {
                let mut out = [0; 80];
                transform(&block, &factors(&steps, 8, 8), &mut out, 10);
                for (i, row) in expected.iter().enumerate() {
                    for (&pixel, exact) in out[10 * i..].iter().zip(row) {
                        assert!((f64::from(pixel) - exact.clamp(0.0, 255.0)).abs() < 0.51, "{i}: {pixel} for {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_processor_gives_the_same_pixels() {
        for value in [i16::MIN, -300, 0, 77, i16::MAX] {
            let block = std::array::from_fn(|i| if i % 5 == 0 { value } else { i as i16 - 20 });
            let factors = factors(&std::array::from_fn(|i| if i < 9 { u16::MAX } else { 3 }), 8, 8);
            let (mut one, mut other) = ([0; 64], [0; 64]);
            whole(&block, &factors, &mut one, 8);
            choose(8, 8).expect("known")(&block, &factors, &mut other, 8);
            assert_eq!(one, other, "{value}");
        }
    }

    #[test]
    fn a_mean_is_a_mean_at_any_size() {
        let mut block = [0; 64];
        block[0] = 8 * 26;
        for (across, down) in [(1, 1), (2, 1), (2, 2), (4, 2), (4, 8), (8, 4), (8, 8)] {
            let factors = factors(&[2; 64], across, down);
            let (mut out, mut plain) = ([0; 64], [0; 64]);
            choose(across, down).expect("known")(&block, &factors, &mut out, 8);
            flat(block[0], factors[0], &mut plain, 8, (across, down));
            assert_eq!(out, plain);
            for (i, &pixel) in out.iter().enumerate() {
                assert_eq!(pixel, if i % 8 < across && i / 8 < down { 180 } else { 0 }, "{across} x {down} at {i}");
            }
        }
        assert!(choose(8, 2).is_none());
    }
}
