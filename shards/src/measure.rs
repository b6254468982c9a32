//! What is measured of a picture once, at ingest, while its pixels are at hand.

use crate::jpeg::Samples;
use crate::{resize_exact, shrink};
use image::RgbImage;
use std::borrow::Cow;

/// Sides of the colour thumbnail in pixels.
pub const THUMBNAIL_SIDE: u32 = 8;
/// Sides of the grey picture whose cosine transform gives the perceptual hash.
const HASH_SIDE: usize = 32;

/// The measures of one decoded picture, before it is resized for storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// See [`pixel_hash`].
    pub pixel_hash: String,
    /// See [`perceptual_hash`].
    pub perceptual_hash: u64,
    /// See [`thumbnail`].
    pub thumbnail: Vec<u8>,
    /// See [`flatness`].
    pub flatness: f32,
}

impl Measures {
    /// Takes all measures.
    pub fn of(pixels: &RgbImage) -> Self {
        let near = reduced(pixels);
        Measures {
            pixel_hash: pixel_hash(pixels),
            perceptual_hash: hash_of(&near),
            thumbnail: thumbnail_of(&near),
            flatness: flatness(pixels),
        }
    }

    /// Takes all measures from a JPEG's samples: looks as those of its RGB pixels but for rounding, flatness the same.
    pub(crate) fn of_samples(samples: &Samples) -> Self {
        let (width, height) = samples.dimensions();
        let near = if width.min(height) < 2 * NEAR { samples.rgb() } else { samples.square(NEAR as usize) };
        let near = reduced(&near);
        let mut hasher = blake3::Hasher::new();
        samples.hash(&mut hasher);
        let mut colours = Colours::new();
        samples.rows(rows_between(width, height), |row| colours.count(row));
        Measures {
            pixel_hash: shortened(&hasher),
            perceptual_hash: hash_of(&near),
            thumbnail: thumbnail_of(&near),
            flatness: colours.flatness(),
        }
    }
}

/// First 16 bytes, in hex, of BLAKE3(width, height, RGB bytes): equal for copies that decode to the same pixels. Of a JPEG that is
/// taken by its samples these are hashed instead (`FORMAT.md`): equal for copies whose samples were coded or described otherwise. A copy
/// in another format is left to the look-alikes.
pub fn pixel_hash(pixels: &RgbImage) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&pixels.width().to_le_bytes()).update(&pixels.height().to_le_bytes()).update(pixels.as_raw());
    shortened(&hasher)
}

fn shortened(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..32].to_string()
}

/// Sides of the picture that looks are measured of.
const NEAR: u32 = 64;

/// The picture at 64 pixels a side, if it is at least twice as large: what the two measures of its looks are taken from, which
/// would otherwise each read every pixel. They shrink it further with a kernel that overlaps: with means of squares instead (32 x 32, and
/// 8 x 8 of these) 25 copies are found among CIFAR-10's training pictures, with this 62.
fn reduced(pixels: &RgbImage) -> Cow<'_, RgbImage> {
    if pixels.width().min(pixels.height()) < 2 * NEAR { Cow::Borrowed(pixels) } else { Cow::Owned(shrink(pixels, NEAR, NEAR)) }
}

/// How far above the median a coefficient must lie to count as 1, as a share of the mean magnitude. A drawn shape has many
/// coefficients of exactly 0, and without the margin noise decides their bits: of 800 copies of shapes half as wide as
/// the picture 659 stayed within 6 bits, with it 782; for photographs nothing changes.
const HASH_MARGIN: f32 = 0.05;

/// 64-bit perceptual hash: the signs, against just above their median, of the 8 x 8 lowest cosine frequencies of the grey picture
/// at 32 x 32. Copies re-encoded, resized or brightened differ in few bits; colour alone is not seen, which is why
/// [`thumbnail`] stands beside it.
pub fn perceptual_hash(pixels: &RgbImage) -> u64 {
    hash_of(&reduced(pixels))
}

fn hash_of(pixels: &RgbImage) -> u64 {
    let small = resize_exact(pixels, HASH_SIDE as u32, HASH_SIDE as u32);
    let grey: Vec<f32> = small.pixels().map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])).collect();
    // Frequencies 1 to 8 in both directions: the constant one carries brightness only.
    let wave: Vec<[f32; HASH_SIDE]> =
        (1..=8).map(|k| std::array::from_fn(|x| (std::f32::consts::PI * k as f32 * (x as f32 + 0.5) / HASH_SIDE as f32).cos())).collect();
    let rows: Vec<[f32; 8]> = grey
        .chunks_exact(HASH_SIDE)
        .map(|row| std::array::from_fn(|k| row.iter().zip(&wave[k]).map(|(value, wave)| value * wave).sum()))
        .collect();
    let mut coefficients = [0.0; 64];
    for (i, coefficient) in coefficients.iter_mut().enumerate() {
        *coefficient = rows.iter().zip(&wave[i / 8]).map(|(row, wave)| row[i % 8] * wave).sum::<f32>();
    }
    let mut sorted = coefficients;
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    let threshold = median + HASH_MARGIN * coefficients.iter().map(|value| value.abs()).sum::<f32>() / 64.0;
    coefficients.iter().enumerate().fold(0, |hash, (i, &coefficient)| hash | u64::from(coefficient > threshold) << i)
}

/// 8 x 8 RGB average colours, row by row, 192 bytes.
pub fn thumbnail(pixels: &RgbImage) -> Vec<u8> {
    thumbnail_of(&reduced(pixels))
}

fn thumbnail_of(pixels: &RgbImage) -> Vec<u8> {
    resize_exact(pixels, THUMBNAIL_SIDE, THUMBNAIL_SIDE).into_raw()
}

/// Share of pixels (0 to 1) whose colour, at 4 bits a channel, is the most frequent one: 1 for a blank picture. Of pictures of
/// 256 and more pixels a side every fourth row is looked at.
pub fn flatness(pixels: &RgbImage) -> f32 {
    let (width, height) = pixels.dimensions();
    let mut colours = Colours::new();
    let rows = pixels.as_raw().chunks_exact(width.max(1) as usize * 3);
    rows.step_by(rows_between(width, height)).for_each(|row| colours.count(row));
    colours.flatness()
}

/// From one row to the next that is looked at for flatness.
fn rows_between(width: u32, height: u32) -> usize {
    if width.min(height) < 256 { 1 } else { 4 }
}

/// How often each colour was seen, at 4 bits a channel.
struct Colours {
    /// Two counts of each, so that neighbours of one colour do not wait for each other.
    counts: Vec<[u32; 2]>,
    seen: usize,
}

impl Colours {
    fn new() -> Self {
        Colours { counts: vec![[0; 2]; 1 << 12], seen: 0 }
    }

    #[inline(always)]
    fn count(&mut self, row: &[u8]) {
        let colour = |pixel: &[u8]| usize::from(pixel[0] >> 4) << 8 | usize::from(pixel[1] >> 4) << 4 | usize::from(pixel[2] >> 4);
        let pairs = row.chunks_exact(6);
        let odd = pairs.remainder();
        for pair in pairs {
            self.counts[colour(pair)][0] += 1;
            self.counts[colour(&pair[3..])][1] += 1;
        }
        if !odd.is_empty() {
            self.counts[colour(odd)][0] += 1;
        }
        self.seen += row.len() / 3;
    }

    fn flatness(&self) -> f32 {
        let most = self.counts.iter().map(|count| count[0] + count[1]).max().unwrap_or(0);
        most as f32 / self.seen.max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decode, encode_jpeg};
    use image::Rgb;

    /// A picture of soft blobs, different for each seed.
    fn blobs(seed: u32, side: u32) -> RgbImage {
        let seed = seed as f32;
        RgbImage::from_fn(side, side, |x, y| {
            let (x, y) = (x as f32 / side as f32, y as f32 / side as f32);
            let wave = |a: f32, b: f32| (127.0 + 120.0 * ((x * a + seed * 1.7).sin() * (y * b + seed * 2.3).cos())) as u8;
            Rgb([wave(9.0 + seed, 7.0), wave(5.0, 11.0 - seed), wave(8.0, 6.0 + seed)])
        })
    }

    #[test]
    fn copies_stay_near_and_others_far() {
        let original = blobs(1, 256);
        let hash = perceptual_hash(&original);
        let distance = |other: &RgbImage| (perceptual_hash(other) ^ hash).count_ones();
        let again = decode(&encode_jpeg(&original, 60).expect("encoded"), &Limits::default()).expect("decoded").pixels;
        assert!(distance(&again) <= 4);
        assert!(distance(&resize_exact(&original, 140, 140)) <= 4);
        let mut bright = original.clone();
        bright.as_mut().iter_mut().for_each(|value| *value = value.saturating_add(15));
        assert!(distance(&bright) <= 6);
        for seed in 2..8 {
            assert!(distance(&blobs(seed, 256)) > 10, "seed {seed}");
        }
        assert_ne!(pixel_hash(&original), pixel_hash(&again));
        assert_eq!(pixel_hash(&original), pixel_hash(&original.clone()));
    }

    #[test]
    fn flatness_runs_from_noise_to_blank() {
        assert_eq!(flatness(&RgbImage::new(20, 20)), 1.0);
        assert!(flatness(&blobs(1, 64)) < 0.2);
        assert_eq!(thumbnail(&blobs(1, 64)).len(), 192);
    }
}
