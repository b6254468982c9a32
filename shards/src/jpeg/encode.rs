//! Writing JPEG: baseline, 4:2:0, the Huffman tables of ITU-T T.81, annex K. As fast as libjpeg-turbo on processors with AVX2.

use super::forward::{self, Coefficients};
use super::samples::Samples;
use super::transform::PLACES as ORDER;
use super::{ZIGZAG, left_out};
use crate::simd;

/// Sides of a block.
const SIDE: usize = 8;
/// Pixels a side of an MCU: four blocks of luma and one of each chroma.
const MCU: usize = 16;

/// Quantisation at quality 50 in natural order (T.81, tables K.1 and K.2).
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22,
    37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Number of codes of each length from 1 to 16, then the symbols (T.81, tables K.3 to K.6).
type CodeList = ([u8; 16], &'static [u8]);
const LUMA_DC: CodeList = ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const CHROMA_DC: CodeList = ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const LUMA_AC: CodeList = (
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
    b"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0\
      \x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\
      \x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89\
      \x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\
      \xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\
      \xf9\xfa",
);
const CHROMA_AC: CodeList = (
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
    b"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0\
      \x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\
      \x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87\
      \x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\
      \xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\
      \xf9\xfa",
);

/// Encodes interleaved 8-bit RGB of `width` x `height` at `quality` (1 to 100).
///
/// # Panics
/// When `rgb` has another length than width x height x 3, or a side is 0 or above 65,535.
pub(crate) fn encode(rgb: &[u8], width: usize, height: usize, quality: u8) -> Vec<u8> {
    assert_eq!(rgb.len(), width * height * 3);
    write(Source::Rgb(rgb), width, height, quality)
}

/// Encodes samples with a chroma sample for each 2 x 2 pixels, as [`encode`] does.
pub(super) fn encode_samples(samples: &Samples, quality: u8) -> Vec<u8> {
    write(Source::Samples(samples), samples.width, samples.height, quality)
}

/// Where rows come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Rgb(&'a [u8]),
    Samples(&'a Samples),
}

fn write(source: Source, width: usize, height: usize, quality: u8) -> Vec<u8> {
    assert!((1..=0xffff).contains(&width) && (1..=0xffff).contains(&height));
    let tables = [LUMA, CHROMA].map(|base| quantisation(&base, quality));
    let mut out = Vec::with_capacity(width * height * 3 / 4 + 1024);
    head(&mut out, width as u16, height as u16, &tables);
    simd::widest(
        #[inline(always)]
        || scan(source, width, height, &tables, &mut out),
    );
    out.extend([0xff, 0xd9]);
    out
}

/// The table at a quality, scaled as libjpeg does.
fn quantisation(base: &[u16; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    base.map(|step| ((u32::from(step) * scale + 50) / 100).clamp(1, 255) as u8)
}

/// Writes everything before the entropy-coded data.
fn head(out: &mut Vec<u8>, width: u16, height: u16, tables: &[[u8; 64]; 2]) {
    out.extend(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00");
    for (number, table) in tables.iter().enumerate() {
        out.extend([0xff, 0xdb, 0, 67, number as u8]);
        out.extend(ZIGZAG.map(|at| table[usize::from(at)]));
    }
    let ([h0, h1], [w0, w1]) = (height.to_be_bytes(), width.to_be_bytes());
    out.extend([0xff, 0xc0, 0, 17, 8, h0, h1, w0, w1, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    for (class, (lengths, symbols)) in [(0x00, LUMA_DC), (0x10, LUMA_AC), (0x01, CHROMA_DC), (0x11, CHROMA_AC)] {
        out.extend([0xff, 0xc4, 0, (19 + symbols.len()) as u8, class]);
        out.extend(lengths);
        out.extend(symbols);
    }
    out.extend([0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
}

/// Bits and length of the code of each symbol.
type Codes = [(u32, u32); 256];

fn codes((lengths, symbols): CodeList) -> Codes {
    let (mut codes, mut code, mut symbols) = ([(0, 0); 256], 0, symbols.iter());
    for (length, &count) in (1..).zip(&lengths) {
        for &symbol in symbols.by_ref().take(usize::from(count)) {
            codes[usize::from(symbol)] = (code, length);
            code += 1;
        }
        code <<= 1;
    }
    codes
}

/// One kind of component: how its coefficients are divided and coded.
struct Kind {
    /// What a coefficient is multiplied with, transposed as the transform leaves them.
    factors: [f32; 64],
    dc: Codes,
    ac: Codes,
}

impl Kind {
    fn new(table: &[u8; 64], dc: CodeList, ac: CodeList) -> Self {
        let factors = std::array::from_fn(|i| {
            let (u, v) = (i / SIDE, i % SIDE);
            (1.0 / (f64::from(table[v * SIDE + u]) * left_out(u) * left_out(v) * 8.0)) as f32
        });
        Kind { factors, dc: codes(dc), ac: codes(ac) }
    }
}

/// Writes the entropy-coded data.
#[inline(always)]
fn scan(source: Source, width: usize, height: usize, tables: &[[u8; 64]; 2], out: &mut Vec<u8>) {
    let luma = Kind::new(&tables[0], LUMA_DC, LUMA_AC);
    let chroma = Kind::new(&tables[1], CHROMA_DC, CHROMA_AC);
    let wide = width.next_multiple_of(MCU);
    let mut planes = Planes::new(wide);
    let mut bits = Bits { out, held: 0, free: 64 };
    let (mut before, transform) = ([0i32; 3], forward::choose());
    for top in (0..height).step_by(MCU) {
        match source {
            Source::Rgb(rgb) => planes.fill(rgb, width, height, top),
            Source::Samples(samples) => planes.fill_from(samples, top),
        }
        for left in (0..wide).step_by(MCU) {
            for (dy, dx) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
                let block = transform(&planes.luma[dy * wide + left + dx..], wide, &luma.factors);
                bits.block(&block, &mut before[0], &luma);
            }
            for (plane, before) in planes.chroma.iter().zip(&mut before[1..]) {
                let block = transform(&plane[left / 2..], wide / 2, &chroma.factors);
                bits.block(&block, before, &chroma);
            }
        }
    }
    bits.finish();
}

/// A row of MCUs as planes, around zero. Edges are repeated to fill it.
struct Planes {
    wide: usize,
    luma: Vec<f32>,
    chroma: [Vec<f32>; 2],
    /// Both chromas of two rows at full width.
    rows: [[Vec<f32>; 2]; 2],
}

impl Planes {
    fn new(wide: usize) -> Self {
        let plane = |n| vec![0.0; n];
        Planes {
            wide,
            luma: plane(wide * MCU),
            chroma: [plane(wide / 2 * SIDE), plane(wide / 2 * SIDE)],
            rows: [[plane(wide), plane(wide)], [plane(wide), plane(wide)]],
        }
    }

    #[inline(always)]
    fn fill_from(&mut self, samples: &Samples, top: usize) {
        let wide = self.wide;
        for y in 0..MCU {
            let from = (top + y).min(samples.height - 1) * samples.luma.stride;
            centre(&samples.luma.samples[from..][..samples.width], &mut self.luma[y * wide..][..wide]);
        }
        let (width, height) = (samples.width.div_ceil(2), samples.height.div_ceil(2));
        for (plane, rows) in samples.chroma.iter().zip(&mut self.chroma) {
            for y in 0..SIDE {
                let from = (top / 2 + y).min(height - 1) * plane.stride;
                centre(&plane.samples[from..][..width], &mut rows[y * (wide / 2)..][..wide / 2]);
            }
        }
    }

    #[inline(always)]
    fn fill(&mut self, rgb: &[u8], width: usize, height: usize, top: usize) {
        let wide = self.wide;
        for y in 0..MCU {
            let from = (top + y).min(height - 1) * width * 3;
            let [cb, cr] = &mut self.rows[y % 2];
            let luma = &mut self.luma[y * wide..][..wide];
            convert(&rgb[from..from + width * 3], luma, cb, cr);
            if y % 2 == 1 {
                let [[above_b, above_r], [below_b, below_r]] = &self.rows;
                let at = y / 2 * (wide / 2);
                halve(above_b, below_b, &mut self.chroma[0][at..][..wide / 2]);
                halve(above_r, below_r, &mut self.chroma[1][at..][..wide / 2]);
            }
        }
    }
}

/// A row of samples around zero, its last one repeated.
#[inline(always)]
fn centre(samples: &[u8], row: &mut [f32]) {
    row.iter_mut().zip(samples).for_each(|(to, &from)| *to = f32::from(from) - 128.0);
    let last = row[samples.len() - 1];
    row[samples.len()..].fill(last);
}

/// A row of RGB as luma and chroma (JFIF), all around zero; what is wider than the row repeats its last pixel.
#[inline(always)]
fn convert(rgb: &[u8], luma: &mut [f32], cb: &mut [f32], cr: &mut [f32]) {
    let width = rgb.len() / 3;
    for (((pixel, y), b), r) in rgb.chunks_exact(3).zip(luma.iter_mut()).zip(cb.iter_mut()).zip(cr.iter_mut()) {
        let [red, green, blue] = [f32::from(pixel[0]), f32::from(pixel[1]), f32::from(pixel[2])];
        let light = 0.299 * red + 0.587 * green + 0.114 * blue;
        *y = light - 128.0;
        *b = (blue - light) * (0.5 / (1.0 - 0.114));
        *r = (red - light) * (0.5 / (1.0 - 0.299));
    }
    for row in [luma, cb, cr] {
        let last = row[width - 1];
        row[width..].fill(last);
    }
}

/// Averages squares of two by two.
#[inline(always)]
fn halve(above: &[f32], below: &[f32], out: &mut [f32]) {
    for ((a, b), to) in above.chunks_exact(2).zip(below.chunks_exact(2)).zip(out) {
        *to = (a[0] + a[1] + b[0] + b[1]) * 0.25;
    }
}

/// Writes bits, with a zero byte after each 0xff as the format asks.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Bits not yet written, in the low `64 - free` places.
    held: u64,
    free: u32,
}

/// For each row of a transposed block and each set of its values, their places in zigzag order as bits.
static PLACES: [[u64; 256]; 8] = {
    let (mut places, mut at) = ([[0; 256]; 8], 0);
    while at < 64 {
        let (row, column) = (ORDER[at] as usize / 8, ORDER[at] as usize % 8);
        let mut set = 0;
        while set < 256 {
            if set >> column & 1 == 1 {
                places[row][set] |= 1 << at;
            }
            set += 1;
        }
        at += 1;
    }
    places
};

impl Bits<'_> {
    /// Appends the low `length` bits of `bits`, at most 32.
    #[inline(always)]
    fn put(&mut self, bits: u64, length: u32) {
        if length > self.free {
            let over = length - self.free;
            // `free` is below 32 here, so that the shift is.
            self.held = self.held << self.free | bits >> over;
            self.flush();
            self.held = bits;
            self.free = 64 - over;
        } else {
            self.held = self.held << length | bits;
            self.free -= length;
        }
    }

    /// Writes the 64 bits held.
    #[inline(always)]
    fn flush(&mut self) {
        let held = self.held;
        // Whether a byte is 0xff: the usual test for a zero byte, of the complement.
        let flipped = !held;
        if flipped.wrapping_sub(0x0101_0101_0101_0101) & held & 0x8080_8080_8080_8080 == 0 {
            self.out.extend_from_slice(&held.to_be_bytes());
        } else {
            for byte in held.to_be_bytes() {
                self.out.push(byte);
                if byte == 0xff {
                    self.out.push(0);
                }
            }
        }
    }

    /// Codes a block.
    #[inline(always)]
    fn block(&mut self, block: &Coefficients, before: &mut i32, kind: &Kind) {
        let dc = i32::from(block.values[0]);
        self.value(dc - *before, 0, &kind.dc);
        *before = dc;
        // One bit for each value that is not zero, in zigzag order, but the first.
        let mut present = block.present.iter().zip(&PLACES).fold(0, |bits, (&row, places)| bits | places[usize::from(row)]);
        present &= !1;
        let mut last = 0;
        while present != 0 {
            let at = present.trailing_zeros();
            present &= present - 1;
            let mut zeros = at - last - 1;
            while zeros > 15 {
                let (code, length) = kind.ac[0xf0];
                self.put(u64::from(code), length);
                zeros -= 16;
            }
            self.value(i32::from(block.values[usize::from(ORDER[at as usize & 63] & 63)]), zeros, &kind.ac);
            last = at;
        }
        if last < 63 {
            let (code, length) = kind.ac[0];
            self.put(u64::from(code), length);
        }
    }

    /// Codes a value after `zeros` zeros: the code of its size, then its bits.
    #[inline(always)]
    fn value(&mut self, value: i32, zeros: u32, codes: &Codes) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let (code, length) = codes[(zeros << 4 | size) as usize & 255];
        let bits = (value + (value >> 31)) as u32 & ((1 << size) - 1);
        self.put(u64::from(code) << size | u64::from(bits), length + size);
    }

    /// Fills the last byte with ones.
    fn finish(mut self) {
        let fill = self.free % 8;
        self.put((1 << fill) - 1, fill);
        let bytes = self.held << (self.free % 64);
        for byte in bytes.to_be_bytes().into_iter().take((64 - self.free) as usize / 8) {
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decode};
    use proptest::prelude::*;

    /// Worst and mean difference of any value after encoding and decoding.
    fn loss(rgb: &[u8], width: usize, height: usize, quality: u8) -> (u8, f64) {
        let bytes = encode(rgb, width, height, quality);
        let picture = decode(&bytes, &Limits::default()).expect("decoded").pixels;
        assert_eq!(picture.dimensions(), (width as u32, height as u32));
        let differences: Vec<u8> = picture.as_raw().iter().zip(rgb).map(|(a, b)| a.abs_diff(*b)).collect();
        let mean = differences.iter().map(|&value| f64::from(value)).sum::<f64>() / differences.len() as f64;
        (differences.into_iter().max().unwrap_or(0), mean)
    }

    #[test]
    fn smooth_pictures_come_back_at_any_size() {
        for (width, height) in [(1, 1), (1, 40), (40, 1), (7, 9), (8, 8), (15, 17), (16, 16), (33, 31), (257, 129)] {
            let rgb: Vec<u8> =
                (0..width * height).flat_map(|i| [(i % width * 200 / width) as u8, (i / width * 200 / height) as u8, 90]).collect();
            let (worst, mean) = loss(&rgb, width, height, 95);
            // Small ones are steep, and their chroma is halved.
            assert!(mean < 6.0 && worst < 60, "{width} x {height}: {worst} {mean}");
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let checks: Vec<u8> = (0..64 * 64).flat_map(|i| [if (i % 64 + i / 64) % 2 == 0 { 255 } else { 0 }; 3]).collect();
        for quality in [1, 50, 95, 100] {
            let (_, mean) = loss(&checks, 64, 64, quality);
            assert!(quality < 95 || mean < 3.0, "{quality}: {mean}");
        }
        for value in [0, 255] {
            assert!(loss(&[value; 48 * 3], 12, 4, 95).0 < 3);
        }
    }

    proptest! {
        #[test]
        fn grey_noise_comes_back(seed in any::<u64>(), width in 1usize..40, height in 1usize..40) {
            let mut state = seed | 1;
            let rgb: Vec<u8> = (0..width * height).flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                [(state >> 56) as u8; 3]
            }).collect();
            let (worst, mean) = loss(&rgb, width, height, 100);
            prop_assert!(worst < 16 && mean < 3.0, "{} {}", worst, mean);
        }
    }
}
