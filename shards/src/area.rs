//! Shrinking pictures by the exact average of the area that each new pixel covers, as OpenCV's INTER_AREA does.

use crate::simd::{self, Pairs};

/// One axis: for each new pixel the first old one that it covers, and the weights of that and those after it, which add up to 1.
pub(crate) struct Axis {
    first: Vec<usize>,
    /// `taps` for each new pixel, zeros where it covers fewer.
    weights: Vec<f32>,
    taps: usize,
}

impl Axis {
    /// Cuts `from` pixels into `to` even stretches; `to` is at most `from`.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        Axis::cut(from, 0.0, from as f64 / to as f64, to, from as f64)
    }

    /// Cuts `count` stretches of `step` (at least 1) pixels out of `from` ones, from `start` on. The last is cut off at `end`.
    pub(crate) fn cut(from: usize, start: f64, step: f64, count: usize, end: f64) -> Self {
        debug_assert!(step >= 1.0 && start < end && end <= from as f64 + 0.001);
        let edge = end.min(from as f64);
        let is_even = start.fract() == 0.0 && step.fract() == 0.0;
        // A stretch that begins within a pixel touches one more than it is long.
        let taps = (step.ceil() as usize + usize::from(!is_even)).min(from);
        let (mut first, mut weights) = (Vec::with_capacity(count), vec![0.0; taps * count]);
        for (i, weights) in weights.chunks_exact_mut(taps).enumerate() {
            let begin = (start + i as f64 * step).min(edge - 0.001);
            let end = (start + (i + 1) as f64 * step).min(edge);
            // Moved back where the zeros would lie beyond the edge.
            let at = (begin as usize).min(from - taps);
            for (at, weight) in (at..).zip(weights) {
                let covered = end.min((at + 1) as f64) - begin.max(at as f64);
                *weight = (covered.max(0.0) / (end - begin)) as f32;
            }
            first.push(at);
        }
        Axis { first, weights, taps }
    }

    /// Number of new pixels.
    fn count(&self) -> usize {
        self.first.len()
    }
}

/// Places behind the point of a value that waits between the two directions, in 16 bits.
const BETWEEN: u32 = 7;
/// Places behind the point of a weight.
const WEIGHT: u32 = 15;
/// Taps up to which rows are added up in 16 bits: each may cost half of the last place.
const FEW: usize = 12;

/// Shrinks one plane whose rows begin `stride` apart. Numbers of 16 bits wait between the two directions, so a value may be rounded the other way
/// where its average lies within 1/10 of a half.
pub(crate) fn shrink_plane(plane: &[u8], stride: usize, across: &Axis, down: &Axis) -> Vec<u8> {
    let mut out = vec![0; across.count() * down.count()];
    let pairs = across.pairs();
    let work =
        Work { plane, stride, across, pairs: &pairs, down, turn: simd::turn(), add_rows: simd::add_rows(), add_pairs: simd::add_pairs() };
    simd::widest(
        #[inline(always)]
        || work.eights(&mut out),
    );
    out
}

impl Axis {
    /// Its weights by pairs of old pixels, at 15 places behind the point. Those of a new pixel add up to 1.
    fn pairs(&self) -> Pairs {
        // A stretch that begins with the second of a pair reaches one pair further.
        let taps = self.taps / 2 + 1;
        let mut pairs = Pairs { first: Vec::with_capacity(self.count()), weights: vec![0; taps * self.count()], taps };
        for ((&first, from), to) in self.first.iter().zip(self.weights.chunks_exact(self.taps)).zip(pairs.weights.chunks_exact_mut(taps)) {
            pairs.first.push(first / 2);
            let (mut sum, mut given) = (0.0, 0);
            for (at, weight) in (first % 2..).zip(from) {
                // The rounded sum so far, less what was given: so that what is lost here is made up for there.
                sum += weight;
                let share = (whole(sum) - given).min((1 << WEIGHT) - 1);
                to[at / 2] |= share << (16 * (at % 2));
                given += share;
            }
        }
        pairs
    }
}

/// A weight with [`WEIGHT`] places behind the point. All of the weight at one place needs one bit more than there is.
#[inline(always)]
fn whole(weight: f32) -> u32 {
    (weight * (1 << WEIGHT) as f32 + 0.5) as u32
}

/// A plane that is shrunk, and how this processor does it.
struct Work<'a> {
    plane: &'a [u8],
    stride: usize,
    across: &'a Axis,
    pairs: &'a Pairs,
    down: &'a Axis,
    turn: simd::Turn,
    add_rows: simd::AddRows,
    add_pairs: simd::AddPairs,
}

impl Work<'_> {
    /// Makes eight new rows at a time: turned, they are columns that are eight wide, and the same work is done on all of them. Two
    /// neighbours stand in one word.
    #[inline(always)]
    fn eights(&self, out: &mut [u8]) {
        let (from, to) = (self.across.first.last().map_or(0, |last| last + self.across.taps), self.across.count());
        // Words of a row; the last pair of a stretch may lie beyond it.
        let (wide, narrow) = ((from / 2 + 2).next_multiple_of(8), to.next_multiple_of(8));
        let (mut rows, mut columns, mut sums) = (vec![0u32; wide * 8], vec![[0u32; 8]; wide], vec![0f32; from]);
        let (mut made, mut turned) = (vec![[0u32; 8]; narrow], vec![0u32; narrow * 8]);
        // Half of the last place, so that cutting off rounds.
        let start = 1 << (WEIGHT + BETWEEN - 1);
        for (group, out) in out.chunks_mut(to * 8).enumerate() {
            for (row, words) in rows.chunks_exact_mut(wide).take(out.len() / to).enumerate() {
                let at = group * 8 + row;
                let (lines, weights) =
                    (&self.plane[self.down.first[at] * self.stride..], &self.down.weights[at * self.down.taps..][..self.down.taps]);
                if self.down.taps <= FEW {
                    self.few_rows(lines, from, weights, words);
                } else {
                    add_rows(lines, (from, self.stride), weights, &mut sums);
                    pack(&sums, words);
                }
            }
            for (x, eight) in columns.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                (self.turn)(&rows[x * 8..], wide, eight.as_flattened_mut(), 8);
            }
            (self.add_pairs)(self.pairs, start, &columns, &mut made);
            for (x, eight) in made.as_chunks::<8>().0.iter().enumerate() {
                (self.turn)(eight.as_flattened(), 8, &mut turned[x * 8..], narrow);
            }
            for (out, row) in out.chunks_exact_mut(to).zip(turned.chunks_exact(narrow)) {
                out.iter_mut().zip(row).for_each(|(byte, &sum)| *byte = (sum >> (WEIGHT + BETWEEN)) as u8);
            }
        }
    }

    /// Adds up a few weighted rows of `length` values into 16 bits each.
    #[inline(always)]
    fn few_rows(&self, rows: &[u8], length: usize, weights: &[f32], words: &mut [u32]) {
        words.fill(0);
        for (at, three) in weights.chunks(3).enumerate() {
            let row = |i: usize| &rows[(at * 3 + i.min(three.len() - 1)) * self.stride..][..length];
            let weight = |i: usize| whole(three.get(i).copied().unwrap_or(0.0)).min((1 << WEIGHT) - 1) as i16;
            (self.add_rows)([row(0), row(1), row(2)], [weight(0), weight(1), weight(2)], words);
        }
    }
}

/// Puts sums of 0 to 255 into 16 bits each.
#[inline(always)]
fn pack(sums: &[f32], words: &mut [u32]) {
    // From 2^23 on a float has no fraction left.
    let number = |sum: f32| u32::from((sum * f32::from(1u16 << BETWEEN) + 8_388_608.0).to_bits() as u16);
    let (two, odd) = sums.as_chunks::<2>();
    words.iter_mut().zip(two).for_each(|(word, two)| *word = number(two[0]) | number(two[1]) << 16);
    if let [last] = odd {
        words[two.len()] = number(*last);
    }
}

/// The nearest whole number of one from 0 to 255.
#[inline(always)]
fn rounded(sum: f32) -> u8 {
    // From 2^23 on a float has no fraction left.
    (sum + 8_388_608.0).to_bits() as u8
}

/// Shrinks interleaved RGB from `from` (width, height) to `to`, which is at least 1 and at most `from` on both axes.
pub(crate) fn shrink(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let mut out = vec![0; to.0 * to.1 * 3];
    simd::widest(
        #[inline(always)]
        || rows(rgb, from, to, &mut out),
    );
    out
}

/// Makes one new row after the other.
#[inline(always)]
fn rows(rgb: &[u8], from: (usize, usize), to: (usize, usize), out: &mut [u8]) {
    let (across, down) = (Axis::new(from.0, to.0), Axis::new(from.1, to.1));
    // One value more, so that each pixel can be read and written as four.
    let (mut tall, mut sums) = (vec![0f32; from.0 * 3 + 1], vec![0f32; to.0 * 3 + 1]);
    for ((&first, weights), row) in down.first.iter().zip(down.weights.chunks_exact(down.taps)).zip(out.chunks_exact_mut(to.0 * 3)) {
        add_rows(&rgb[first * from.0 * 3..], (from.0 * 3, from.0 * 3), weights, &mut tall);
        match across.taps {
            1 => add_columns::<1>(&tall, &across, &mut sums),
            2 => add_columns::<2>(&tall, &across, &mut sums),
            3 => add_columns::<3>(&tall, &across, &mut sums),
            4 => add_columns::<4>(&tall, &across, &mut sums),
            5 => add_columns::<5>(&tall, &across, &mut sums),
            _ => add_many_columns(&tall, &across, &mut sums),
        }
        row.iter_mut().zip(&sums).for_each(|(byte, &sum)| *byte = rounded(sum));
    }
}

/// Adds up weighted rows of `length` values that begin `stride` apart, three at a time.
#[inline(always)]
fn add_rows(rows: &[u8], (length, stride): (usize, usize), weights: &[f32], sums: &mut [f32]) {
    let row = |y: usize| &rows[y * stride..][..length];
    let sums = &mut sums[..length];
    for (at, three) in weights.chunks(3).enumerate() {
        let y = at * 3;
        let weight = |i: usize| three.get(i).copied().unwrap_or(0.0);
        let (a, b, c) = (weight(0), weight(1), weight(2));
        let (p, q, r) = (row(y), row(if three.len() > 1 { y + 1 } else { y }), row(if three.len() > 2 { y + 2 } else { y }));
        if at == 0 {
            for (((sum, &p), &q), &r) in sums.iter_mut().zip(p).zip(q).zip(r) {
                *sum = a * f32::from(p) + b * f32::from(q) + c * f32::from(r);
            }
        } else {
            for (((sum, &p), &q), &r) in sums.iter_mut().zip(p).zip(q).zip(r) {
                *sum += a * f32::from(p) + b * f32::from(q) + c * f32::from(r);
            }
        }
    }
}

/// Adds up the weighted pixels of a row for each new pixel.
#[inline(always)]
fn add_columns<const TAPS: usize>(row: &[f32], across: &Axis, out: &mut [f32]) {
    for (i, (&first, weights)) in across.first.iter().zip(across.weights.as_chunks::<TAPS>().0).enumerate() {
        // A value beyond the last pixel is read, and written, but never used.
        let from = &row[first * 3..][..TAPS * 3 + 1];
        let mut pixel = [0f32; 4];
        for (tap, weight) in weights.iter().enumerate() {
            for c in 0..4 {
                pixel[c] += weight * from[tap * 3 + c];
            }
        }
        out[i * 3..][..4].copy_from_slice(&pixel);
    }
}

/// As [`add_columns`], for any number of taps.
#[inline(always)]
fn add_many_columns(row: &[f32], across: &Axis, out: &mut [f32]) {
    for (i, (&first, weights)) in across.first.iter().zip(across.weights.chunks_exact(across.taps)).enumerate() {
        let mut pixel = [0f32; 4];
        for (from, weight) in row[first * 3..].windows(4).step_by(3).zip(weights) {
            for c in 0..4 {
                pixel[c] += weight * from[c];
            }
        }
        out[i * 3..][..4].copy_from_slice(&pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The average over the area of each new pixel, by the definition.
    fn slowly(rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<f64> {
        let covered = |i: usize, at: usize, from: usize, to: usize| {
            let scale = from as f64 / to as f64;
            (((i + 1) as f64 * scale).min((at + 1) as f64) - (i as f64 * scale).max(at as f64)).max(0.0) / scale
        };
        let mut out = Vec::new();
        for (y, x, c) in (0..to.1).flat_map(|y| (0..to.0).flat_map(move |x| (0..3).map(move |c| (y, x, c)))) {
            let mut sum = 0.0;
            for (v, u) in (0..from.1).flat_map(|v| (0..from.0).map(move |u| (v, u))) {
                sum += f64::from(rgb[(v * from.0 + u) * 3 + c]) * covered(y, v, from.1, to.1) * covered(x, u, from.0, to.0);
            }
            out.push(sum);
        }
        out
    }

    #[test]
    fn stretches_may_begin_and_end_within() {
        // Of 5 samples: 1.5 to 3, 3 to 4.5, 4.5 to 5; and cut off at 4.2.
        let shrunk = |count, end| shrink_plane(&[0, 30, 60, 90, 240], 5, &Axis::cut(5, 1.5, 1.5, count, end), &Axis::new(1, 1));
        assert_eq!(shrunk(3, 5.0), [50, 140, 240]);
        assert_eq!(shrunk(2, 4.2), [50, 115]);
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            (from, to) in (1usize..40, 1usize..40).prop_flat_map(|from| (Just(from), (1..=from.0, 1..=from.1))),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let rgb: Vec<u8> = (0..from.0 * from.1 * 3).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            }).collect();
            let exact = slowly(&rgb, from, to);
            for (ours, exact) in shrink(&rgb, from, to).into_iter().zip(&exact) {
                prop_assert!((f64::from(ours) - exact).abs() < 0.51, "{} for {}", ours, exact);
            }
            // A plane of its own for one channel, with rows further apart than they are long.
            let stride = from.0 + 3;
            let plane: Vec<u8> = rgb.chunks_exact(from.0 * 3).flat_map(|row| row.iter().step_by(3).copied().chain([99; 3])).collect();
            let ours = shrink_plane(&plane, stride, &Axis::new(from.0, to.0), &Axis::new(from.1, to.1));
            prop_assert_eq!(ours.len(), to.0 * to.1);
            for (ours, exact) in ours.into_iter().zip(exact.iter().step_by(3)) {
                // Between the directions values have seven places behind the point, and weights fifteen.
                prop_assert!((f64::from(ours) - exact).abs() < 0.6, "{} for {}", ours, exact);
            }
        }
    }
}
