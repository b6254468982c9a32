//! Both transforms with vector instructions said one by one: left to itself, the compiler takes the turn of a block apart into single
//! numbers. They give what the plain ones give ([`super::transform`], [`super::forward`]), operation by operation.

use super::forward::{self, Coefficients};
use super::transform::{C2, C2_AND_C6, C2_LESS_C6, MIDDLE, SQRT2};
use crate::simd::{row_of as row, turned};
use std::arch::x86_64::*;

#[target_feature(enable = "avx2")]
fn add(a: __m256, b: __m256) -> __m256 {
    _mm256_add_ps(a, b)
}

#[target_feature(enable = "avx2")]
fn sub(a: __m256, b: __m256) -> __m256 {
    _mm256_sub_ps(a, b)
}

#[target_feature(enable = "avx2")]
fn times(a: __m256, by: f32) -> __m256 {
    _mm256_mul_ps(a, _mm256_set1_ps(by))
}

/// Two rows of 32-bit numbers as one of 16 bits, in their order.
#[target_feature(enable = "avx2")]
fn narrow(a: __m256i, b: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b))
}

#[target_feature(enable = "avx2")]
fn inverse_columns(x: [__m256; 8]) -> [__m256; 8] {
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

/// See [`super::transform::Transform`].
#[target_feature(enable = "avx2")]
pub(super) fn inverse(block: &[i16; 64], factors: &[f32; 64], out: &mut [u8], stride: usize) {
    let rows: [__m256; 8] = std::array::from_fn(|u| {
        let b = &block[8 * u..][..8];
        let values = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_setr_epi16(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7])));
        _mm256_mul_ps(values, row(&factors[8 * u..]))
    });
    let pixels = inverse_columns(turned(inverse_columns(rows)));
    for (y, two) in pixels.as_chunks::<2>().0.iter().enumerate() {
        // Rounded to the nearest, cut off at both ends.
        let [a, b] = two.map(|row| _mm256_cvtps_epi32(_mm256_min_ps(add(row, _mm256_set1_ps(MIDDLE)), _mm256_set1_ps(255.0))));
        let words = narrow(a, b);
        let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        for (i, row) in [_mm_cvtsi128_si64(bytes), _mm_extract_epi64::<1>(bytes)].into_iter().enumerate() {
            out[(2 * y + i) * stride..][..8].copy_from_slice(&row.to_le_bytes());
        }
    }
}

#[target_feature(enable = "avx2")]
fn forward_columns(x: [__m256; 8]) -> [__m256; 8] {
    let [s0, s1, s2, s3] = [add(x[0], x[7]), add(x[1], x[6]), add(x[2], x[5]), add(x[3], x[4])];
    let [d0, d1, d2, d3] = [sub(x[0], x[7]), sub(x[1], x[6]), sub(x[2], x[5]), sub(x[3], x[4])];
    let (e0, e3, e1, e2) = (add(s0, s3), sub(s0, s3), add(s1, s2), sub(s1, s2));
    let z1 = times(add(e2, e3), forward::C4);
    let (o0, o1, o2) = (add(d3, d2), add(d2, d1), add(d1, d0));
    let z5 = times(sub(o0, o2), forward::C6);
    let (z2, z4, z3) = (add(times(o0, forward::C2_LESS_C6), z5), add(times(o2, forward::C2_AND_C6), z5), times(o1, forward::C4));
    let (z11, z13) = (add(d0, z3), sub(d0, z3));
    [add(e0, e1), add(z11, z4), add(e3, z1), sub(z13, z2), sub(e0, e1), add(z13, z2), sub(e3, z1), sub(z11, z4)]
}

/// See [`forward::Forward`].
#[target_feature(enable = "avx2")]
pub(super) fn forward(plane: &[f32], stride: usize, factors: &[f32; 64]) -> Coefficients {
    let rows = std::array::from_fn(|y| row(&plane[y * stride..]));
    let block = forward_columns(turned(forward_columns(rows)));
    let mut out = Coefficients { values: [0; 64], present: [0; 8] };
    let (values, _) = out.values.as_chunks_mut::<8>();
    for (i, two) in block.as_chunks::<2>().0.iter().enumerate() {
        let rounded = |j: usize| _mm256_cvtps_epi32(_mm256_mul_ps(two[j], row(&factors[(2 * i + j) * 8..])));
        let words = narrow(rounded(0), rounded(1));
        let zeros = _mm256_cmpeq_epi16(words, _mm256_setzero_si256());
        let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        let flags = _mm_packs_epi16(_mm256_castsi256_si128(zeros), _mm256_extracti128_si256::<1>(zeros));
        let present = !_mm_movemask_epi8(flags) as u32;
        (out.present[2 * i], out.present[2 * i + 1]) = (present as u8, (present >> 8) as u8);
        for (j, half) in [low, high].into_iter().enumerate() {
            let (a, b) = (_mm_cvtsi128_si64(half) as u64, _mm_extract_epi64::<1>(half) as u64);
            values[2 * i + j] = std::array::from_fn(|k| ((if k < 4 { a } else { b }) >> (k % 4 * 16)) as i16);
        }
    }
    out
}
