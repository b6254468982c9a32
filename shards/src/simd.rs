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

/// Rows of a square of 8 x 8 words become columns: from the first slice, whose rows begin so far apart, to the second, likewise.
pub(crate) type Turn = fn(&[u32], usize, &mut [u32], usize);

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

fn turn_plain(from: &[u32], apart: usize, to: &mut [u32], stride: usize) {
    for y in 0..8 {
        for x in 0..8 {
            to[x * stride + y] = from[y * apart + x];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn turn_wide(from: &[u32], apart: usize, to: &mut [u32], stride: usize) {
    let row = |y: usize| _mm256_castsi256_ps(words_of(&from[y * apart..]));
    let rows = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
    for (x, column) in turned(rows).into_iter().enumerate() {
        store(_mm256_castps_si256(column), &mut to[x * stride..]);
    }
}

/// For each of many sums: the first of `taps` words that it is made of, and a word of two weights, 16 bits each and signed, for each of these.
pub(crate) struct Pairs {
    pub(crate) first: Vec<usize>,
    pub(crate) weights: Vec<u32>,
    pub(crate) taps: usize,
}

/// Adds up eight columns of words at once: to `start` the products of the two numbers, signed, in each word with the two weights of its pair.
pub(crate) type AddPairs = fn(&Pairs, u32, &[[u32; 8]], &mut [[u32; 8]]);

/// How this processor does that.
pub(crate) fn add_pairs() -> AddPairs {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // Sound: the processor was just asked for the feature.
        #[allow(unsafe_code)]
        return |pairs, start, words, sums| unsafe { add_pairs_wide(pairs, start, words, sums) };
    }
    add_pairs_plain
}

fn add_pairs_plain(pairs: &Pairs, start: u32, words: &[[u32; 8]], sums: &mut [[u32; 8]]) {
    let half = |word: u32, at: u32| i32::from((word >> at) as i16);
    for ((sums, &first), weights) in sums.iter_mut().zip(&pairs.first).zip(pairs.weights.chunks_exact(pairs.taps)) {
        *sums = [start; 8];
        for (words, &weight) in words[first..].iter().zip(weights) {
            for (sum, &word) in sums.iter_mut().zip(words) {
                let product = half(word, 0) * half(weight, 0) + half(word, 16) * half(weight, 16);
                *sum = sum.wrapping_add(product as u32);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_pairs_wide(pairs: &Pairs, start: u32, words: &[[u32; 8]], sums: &mut [[u32; 8]]) {
    match pairs.taps {
        1 => add_some::<1>(pairs, start, words, sums),
        2 => add_some::<2>(pairs, start, words, sums),
        3 => add_some::<3>(pairs, start, words, sums),
        _ => {
            for ((sums, &first), weights) in sums.iter_mut().zip(&pairs.first).zip(pairs.weights.chunks_exact(pairs.taps)) {
                store(sum_of(start, words[first..].iter().zip(weights)), sums);
            }
        }
    }
}

/// As [`add_pairs_wide`], for a number of taps that the compiler knows.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn add_some<const TAPS: usize>(pairs: &Pairs, start: u32, words: &[[u32; 8]], sums: &mut [[u32; 8]]) {
    for ((sums, &first), weights) in sums.iter_mut().zip(&pairs.first).zip(pairs.weights.as_chunks::<TAPS>().0) {
        store(sum_of(start, words[first..][..TAPS].iter().zip(weights)), sums);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn sum_of<'a>(start: u32, terms: impl Iterator<Item = (&'a [u32; 8], &'a u32)>) -> __m256i {
    let mut sum = _mm256_set1_epi32(start as i32);
    for (words, &weight) in terms {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words_of(words), _mm256_set1_epi32(weight as i32)));
    }
    sum
}

/// Adds three weighted rows of bytes to a row of 16-bit numbers, two in each word: each byte times 128 and times its weight, which has 15 places
/// behind the point, rounded. The row of numbers is as long as that of bytes, rounded up to sixteen.
pub(crate) type AddRows = fn([&[u8]; 3], [i16; 3], &mut [u32]);

/// How this processor does that.
pub(crate) fn add_rows() -> AddRows {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // Sound: the processor was just asked for the feature.
        #[allow(unsafe_code)]
        return |rows, weights, words| unsafe { add_rows_wide(rows, weights, words) };
    }
    add_rows_plain
}

fn add_rows_plain(rows: [&[u8]; 3], weights: [i16; 3], words: &mut [u32]) {
    let part = |byte: u8, weight: i16| (((i32::from(byte) << 7) * i32::from(weight) + (1 << 14)) >> 15) as u32;
    let sum = |x: usize| rows.iter().zip(weights).map(|(row, weight)| row.get(x).map_or(0, |&byte| part(byte, weight))).sum::<u32>();
    let length = rows[0].len().div_ceil(2);
    for (i, word) in words[..length].iter_mut().enumerate() {
        // The sums of each half stay within it.
        *word += sum(2 * i) | sum(2 * i + 1) << 16;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_rows_wide([p, q, r]: [&[u8]; 3], weights: [i16; 3], words: &mut [u32]) {
    let [a, b, c] = weights.map(|weight| _mm256_set1_epi16(weight));
    let part = |bytes: &[u8; 16], weight| _mm256_mulhrs_epi16(_mm256_slli_epi16::<7>(sixteen(bytes)), weight);
    let add = |p: &[u8; 16], q: &[u8; 16], r: &[u8; 16], words: &mut [u32; 8]| {
        let sum = _mm256_add_epi16(_mm256_add_epi16(words_of(words), part(p, a)), _mm256_add_epi16(part(q, b), part(r, c)));
        store(sum, words);
    };
    let (p, q, r) = (p.as_chunks::<16>(), q.as_chunks::<16>(), r.as_chunks::<16>());
    let (whole, rest) = words.split_at_mut(8 * p.0.len());
    for (((words, p), q), r) in whole.as_chunks_mut::<8>().0.iter_mut().zip(p.0).zip(q.0).zip(r.0) {
        add(p, q, r, words);
    }
    if let (false, Some(words)) = (p.1.is_empty(), rest.first_chunk_mut()) {
        let mut last = [[0; 16]; 3];
        last.iter_mut().zip([p.1, q.1, r.1]).for_each(|(last, rest)| last[..rest.len()].copy_from_slice(rest));
        add(&last[0], &last[1], &last[2], words);
    }
}

/// Sixteen bytes as 16-bit numbers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn sixteen(bytes: &[u8; 16]) -> __m256i {
    // Sound: there are sixteen bytes to load, at any address.
    #[allow(unsafe_code)]
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_cvtepu8_epi16(bytes)
}

/// Eight words as one register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn words_of(words: &[u32]) -> __m256i {
    let eight = &words[..8];
    // Sound: the slice has eight words, at any address.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_loadu_si256(eight.as_ptr().cast())
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn store(words: __m256i, to: &mut [u32]) {
    let eight = &mut to[..8];
    // Sound: the slice has room for eight words, at any address.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_storeu_si256(eight.as_mut_ptr().cast(), words);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// On a processor without vector instructions there is nothing to compare.
        #[test]
        fn wide_and_plain_are_the_same(bytes in proptest::collection::vec(any::<u8>(), 3..400), weights in any::<[u16; 3]>(), words in any::<u64>()) {
            let length = bytes.len() / 3;
            let rows = [&bytes[..length], &bytes[length..2 * length], &bytes[2 * length..3 * length]];
            // Those of one sum add up to 1 at most.
            let weights = weights.map(|weight| (weight / 6) as i16);
            let (mut plain, mut wide) = (vec![7; length.next_multiple_of(16) / 2], vec![7; length.next_multiple_of(16) / 2]);
            add_rows_plain(rows, weights, &mut plain);
            add_rows()(rows, weights, &mut wide);
            prop_assert_eq!(&plain, &wide);

            let mut state = words | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 32) as u32
            };
            let columns: Vec<[u32; 8]> = (0..20).map(|_| std::array::from_fn(|_| next() & 0x7fff_7fff)).collect();
            for taps in 1..6 {
                let pairs = Pairs { first: vec![0, 3, 9, 14], weights: (0..4 * taps).map(|_| next() & 0x0fff_0fff).collect(), taps };
                let (mut plain, mut wide) = (vec![[0; 8]; 4], vec![[0; 8]; 4]);
                add_pairs_plain(&pairs, 5, &columns, &mut plain);
                add_pairs()(&pairs, 5, &columns, &mut wide);
                prop_assert_eq!(plain, wide);
            }

            let square: Vec<u32> = (0..9 * 8).map(|_| next()).collect();
            let (mut plain, mut wide) = (vec![0; 8 * 10], vec![0; 8 * 10]);
            turn_plain(&square, 9, &mut plain, 10);
            turn()(&square, 9, &mut wide, 10);
            prop_assert_eq!(plain, wide);
        }
    }
}
