//! Running code with the vector instructions that this processor has.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Runs `work`, which should be inlined, compiled for AVX2 where the processor has it. Results are the same either way: nothing
/// here lets products and sums be fused.
#[inline(always)]
pub(crate) fn widest<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
        fn wide<T>(work: impl FnOnce() -> T) -> T {
            work()
        }
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt");
        if has {
            // Sound: the processor was just asked for each of the features.
            #[allow(unsafe_code)]
            return unsafe { wide(work) };
        }
    }
    work()
}

/// Rows of a square of 8 x 8 become columns: from the first slice, whose rows begin so far apart, to the second, likewise.
pub(crate) type Turn = fn(&[f32], usize, &mut [f32], usize);

/// How this processor turns a square.
pub(crate) fn turn() -> Turn {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // Sound: the processor was just asked for the feature.
        #[allow(unsafe_code)]
        return |from, apart, to, stride| unsafe { turn_wide(from, apart, to, stride) };
    }
    turn_plain
}

fn turn_plain(from: &[f32], apart: usize, to: &mut [f32], stride: usize) {
    for y in 0..8 {
        for x in 0..8 {
            to[x * stride + y] = from[y * apart + x];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn turn_wide(from: &[f32], apart: usize, to: &mut [f32], stride: usize) {
    let rows = std::array::from_fn(|y| row_of(&from[y * apart..]));
    for (x, column) in turned(rows).into_iter().enumerate() {
        let eight = &mut to[x * stride..][..8];
        // Sound: the slice has room for eight numbers, at any address.
        #[allow(unsafe_code)]
        unsafe {
            _mm256_storeu_ps(eight.as_mut_ptr(), column);
        }
    }
}

/// Eight numbers as one register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn row_of(values: &[f32]) -> __m256 {
    let v = &values[..8];
    _mm256_setr_ps(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])
}

/// Rows become columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn turned(r: [__m256; 8]) -> [__m256; 8] {
    let pairs = |i: usize| (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
    let ((a0, a1), (a2, a3), (a4, a5), (a6, a7)) = (pairs(0), pairs(2), pairs(4), pairs(6));
    let fours = |a, b| (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
    let ((b0, b1), (b2, b3), (b4, b5), (b6, b7)) = (fours(a0, a2), fours(a1, a3), fours(a4, a6), fours(a5, a7));
    let low = |a, b| _mm256_permute2f128_ps::<0x20>(a, b);
    let high = |a, b| _mm256_permute2f128_ps::<0x31>(a, b);
    [low(b0, b4), low(b1, b5), low(b2, b6), low(b3, b7), high(b0, b4), high(b1, b5), high(b2, b6), high(b3, b7)]
}
