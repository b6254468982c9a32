//! Makes picture files that are told apart or recognised as copies by design: renders, encodes, alters.

use crate::draw::{draw, draw_nothing};
use crate::rng::Rng;
use crate::words::Motif;
use image::RgbImage;
use shards::{Limits, Measures, decode, encode_jpeg, png_bytes};
use std::f32::consts::PI;

/// Two drawings pass for copies when their perceptual hashes differ in at most this many bits...
pub(crate) const ALIKE_BITS: u32 = 8;
/// ... or in this many and their thumbnails by less than this mean difference (0 to 255). Wider than any duplicate rule needs
/// (published ones take 4 to 10 bits), so that what the plan calls different is different.
const SIMILAR_BITS: u32 = 12;
const SIMILAR_SHADE: f32 = 12.0;
/// A drawing with more pixels of one colour would pass for blank.
const MAX_FLATNESS: f32 = 0.85;

/// What is drawn: a motif, or nothing in particular.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub motif: Option<Motif>,
    /// Names the random stream.
    pub number: usize,
}

/// A drawing as a file, with what is needed to tell it from others.
pub(crate) struct Drawing {
    pub file: File,
    measures: Measures,
}

impl Drawing {
    fn new(seed: u64, order: Order, attempt: usize) -> Self {
        let mut rng = Rng::new(seed, &format!("picture {} {attempt}", order.number));
        let pixels = match order.motif {
            Some(motif) => draw(motif, &mut rng),
            None => draw_nothing(&mut rng),
        };
        Drawing { measures: Measures::of(&pixels), file: File::encode(&pixels, &mut rng) }
    }

    /// Whether the two might pass for copies.
    fn alike(&self, other: &Drawing) -> bool {
        let bits = (self.measures.perceptual_hash ^ other.measures.perceptual_hash).count_ones();
        if bits > SIMILAR_BITS || bits <= ALIKE_BITS {
            return bits <= ALIKE_BITS;
        }
        let (a, b) = (&self.measures.thumbnail, &other.measures.thumbnail);
        let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        (apart as f32) < SIMILAR_SHADE * a.len() as f32
    }

    /// Whether it may stand on the web beside the `earlier` ones.
    fn fits(&self, earlier: &[Drawing]) -> bool {
        self.measures.flatness <= MAX_FLATNESS && !earlier.iter().any(|other| other.alike(self))
    }
}

/// Draws all orders on all processors; drawings that are nearly blank or resemble an earlier
/// one too much are drawn anew.
pub(crate) fn draw_orders(seed: u64, orders: &[Order]) -> Vec<Drawing> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let part = orders.len().div_ceil(threads).max(1);
    let mut drawings: Vec<Drawing> = std::thread::scope(|scope| {
        let draw_part = |part: &[Order]| part.iter().map(|&order| Drawing::new(seed, order, 0)).collect::<Vec<_>>();
        let workers: Vec<_> = orders.chunks(part).map(|part| scope.spawn(move || draw_part(part))).collect();
        // A panic of a worker is a bug of the drawing code and goes on here.
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    for (at, &order) in orders.iter().enumerate() {
        // With thousands of drawings a few are drawn twice, hardly one three times.
        for attempt in 1..50 {
            let (earlier, rest) = drawings.split_at_mut(at);
            if rest[0].fits(earlier) {
                break;
            }
            rest[0] = Drawing::new(seed, order, attempt);
        }
    }
    drawings
}

/// A picture file.
#[derive(Clone)]
pub(crate) struct File {
    pub bytes: Vec<u8>,
    pub suffix: &'static str,
}

impl File {
    /// Most pictures of the web are JPEG; one in eight here is a PNG.
    pub fn encode(pixels: &RgbImage, rng: &mut Rng) -> File {
        if rng.chance(0.125) { File::png(pixels) } else { File::jpeg(pixels, 85 + rng.below(10) as u8) }
    }

    pub fn jpeg(pixels: &RgbImage, quality: u8) -> File {
        let bytes = encode_jpeg(pixels, quality).expect("drawings have sides far below JPEG's limit");
        File { bytes, suffix: "jpg" }
    }

    pub fn png(pixels: &RgbImage) -> File {
        File { bytes: png_bytes(pixels).expect("drawings have pixels"), suffix: "png" }
    }

    pub fn pixels(&self) -> RgbImage {
        decode(&self.bytes, &Limits::default()).expect("files are decoded as they were encoded").pixels
    }
}

/// A picture of nothing: soft waves, unlike any other by far, and small as a file.
pub(crate) fn waves(rng: &mut Rng) -> RgbImage {
    let (width, height) = (72 + 4 * rng.below(6) as u32, 72 + 4 * rng.below(6) as u32);
    let mut wave = || (rng.range(0.5, 4.5), rng.range(0.5, 4.5), rng.range(0.0, 6.3), rng.range(14.0, 34.0), rng.below(3));
    let waves: Vec<(f32, f32, f32, f32, usize)> = (0..12).map(|_| wave()).collect();
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32 * PI, y as f32 / height as f32 * PI);
        let mut colour = [128.0f32; 3];
        for (across, down, phase, strength, channel) in &waves {
            let value = strength * (x * across + phase).cos() * (y * down + phase).cos();
            colour.iter_mut().for_each(|shade| *shade += value / 2.0);
            colour[*channel] += value;
        }
        image::Rgb(colour.map(|shade| shade.clamp(0.0, 255.0) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Class;

    fn orders() -> Vec<Order> {
        let mut rng = Rng::new(1, "orders");
        let motif = |number, rng: &mut Rng| Order { motif: Some(Motif::random(Class::all()[0], rng)), number };
        (0..60).map(|number| motif(number, &mut rng)).chain((60..80).map(|number| Order { motif: None, number })).collect()
    }

    #[test]
    fn drawings_are_told_apart() {
        let drawings = draw_orders(1, &orders());
        for (at, drawing) in drawings.iter().enumerate() {
            assert!(drawing.fits(&drawings[..at]), "drawing {at}");
        }
    }
}
