//! JPEG at a half, a quarter or an eighth of its sides, for views that show less than the picture has.
//!
//! A block of 8 x 8 pixels is transformed from its lowest frequencies to 4 x 4, 2 x 2 or one pixel, which is what shrinking
//! it would have left. Colours with fewer samples are reduced that much less, so none is blown up. Only what cameras and web
//! sites write is read here (ITU-T T.81: Huffman, sequential, 8 bits, one scan, grey or YCbCr); whatever is otherwise, or
//! damaged, is left to the decoder that reads everything.

use image::metadata::Orientation;
use image::{Rgb, RgbImage};
use shards::Limits;

/// Bits that are looked up at once; longer codes are rare.
const FAST: u32 = 9;
/// The places of coefficients in the order in which they are stored.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A picture of the kind that can be reduced, up to its pixels.
pub(crate) struct Jpeg<'a> {
    width: u32,
    height: u32,
    components: Vec<Component>,
    quantisation: [[f32; 64]; 4],
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    /// Units between two restart marks, 0 for none.
    restart: usize,
    scan: &'a [u8],
}

/// Width and height of a picture that may be of the kind that can be reduced; `None` for others, and for those that their
/// camera held sideways.
pub(crate) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    for (mark, body, _) in segments(bytes) {
        match (mark, body) {
            (0xc0 | 0xc1, &[8, h1, h2, w1, w2, ..]) => {
                return Some((u32::from(u16::from_be_bytes([w1, w2])), u32::from(u16::from_be_bytes([h1, h2]))));
            }
            (0xe1, body) => {
                let turned = body.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
                if turned.is_some_and(|orientation| orientation != Orientation::NoTransforms) {
                    return None;
                }
            }
            (0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe, _) => {}
            _ => return None,
        }
    }
    None
}

/// The segments up to the first scan: mark, body, and what follows. Ends where the bytes are no segment.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8]).unwrap_or_default();
    std::iter::from_fn(move || {
        while rest.starts_with(&[0xff, 0xff]) {
            rest = &rest[1..];
        }
        let &[0xff, mark, high, low, ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(4..2 + length)?;
        rest = &rest[2 + length..];
        Some((mark, body, rest))
    })
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    /// Blocks in a unit, side by side and one below the other.
    across: usize,
    down: usize,
    quantisation: usize,
    dc: usize,
    ac: usize,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers; `None` for anything that is not read here.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Option<Self> {
        let mut jpeg = Jpeg {
            width: 0,
            height: 0,
            components: Vec::new(),
            quantisation: [[0.0; 64]; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            restart: 0,
            scan: &[],
        };
        for (mark, body, rest) in segments(bytes) {
            match mark {
                0xc0 | 0xc1 => jpeg.frame(body, limits)?,
                0xc4 => jpeg.codes(body)?,
                0xdb => jpeg.quantisations(body)?,
                0xdd => jpeg.restart = usize::from(u16::from_be_bytes(body.try_into().ok()?)),
                0xda => {
                    jpeg.scan_header(body)?;
                    jpeg.scan = rest;
                    return Some(jpeg);
                }
                // Adobe's mark says of three components whether they are YCbCr.
                0xee if body.starts_with(b"Adobe") && body.get(11) != Some(&1) => return None,
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
        None
    }

    fn frame(&mut self, body: &[u8], limits: &Limits) -> Option<()> {
        let &[8, h1, h2, w1, w2, count, ref components @ ..] = body else { return None };
        (self.width, self.height) = (u32::from(u16::from_be_bytes([w1, w2])), u32::from(u16::from_be_bytes([h1, h2])));
        let fits = self.width.max(self.height) <= limits.max_side && u64::from(self.width) * u64::from(self.height) <= limits.max_pixels;
        if !fits || self.width == 0 || self.height == 0 || components.len() != 3 * usize::from(count) || !self.components.is_empty() {
            return None;
        }
        for component in components.chunks_exact(3) {
            let (across, down) = (usize::from(component[1] >> 4), usize::from(component[1] & 15));
            let quantisation = usize::from(component[2]);
            self.components.push(Component { id: component[0], across, down, quantisation, dc: 0, ac: 0 });
        }
        let full = |component: &Component| matches!(component.across, 1 | 2) && matches!(component.down, 1 | 2);
        let single = |component: &Component| component.across == 1 && component.down == 1;
        match &mut self.components[..] {
            // A lone component is not interleaved, whatever its factors.
            [grey] => (grey.across, grey.down) = (1, 1),
            [first, second, third] if full(first) && single(second) && single(third) => {}
            _ => return None,
        }
        self.components.iter().all(|component| component.quantisation < 4).then_some(())
    }

    fn quantisations(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let table = self.quantisation.get_mut(usize::from(kind & 15))?;
            let wide = kind >> 4 == 1;
            let (values, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
            for (i, &place) in ZIGZAG.iter().enumerate() {
                let value = if wide { u16::from_be_bytes([values[2 * i], values[2 * i + 1]]) } else { u16::from(values[i]) };
                table[usize::from(place)] = f32::from(value);
            }
            body = rest;
        }
        Some(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(counts, symbols)?);
            body = rest;
        }
        Some(())
    }

    fn scan_header(&mut self, body: &[u8]) -> Option<()> {
        let (&count, rest) = body.split_first()?;
        let (pairs, rest) = rest.split_at_checked(2 * usize::from(count))?;
        if usize::from(count) != self.components.len() || rest != [0, 63, 0] {
            return None;
        }
        for (component, pair) in self.components.iter_mut().zip(pairs.chunks_exact(2)) {
            (component.dc, component.ac) = (usize::from(pair[1] >> 4), usize::from(pair[1] & 15));
            let known = self.dc.get(component.dc)?.is_some() && self.ac.get(component.ac)?.is_some();
            if component.id != pair[0] || !known {
                return None;
            }
        }
        Some(())
    }

    /// The picture with its sides divided by `by` (2, 4 or 8) and rounded up; `None` when it is damaged.
    pub fn decode(&self, by: u32) -> Option<RgbImage> {
        let pixels = 8 / by as usize;
        let (most_across, most_down) = (self.components[0].across, self.components[0].down);
        let units = |side: u32, blocks: usize| (side as usize).div_ceil(8 * blocks);
        let (wide, high) = (units(self.width, most_across), units(self.height, most_down));
        let stride = wide * most_across * pixels;
        let mut planes: Vec<Plane> = self
            .components
            .iter()
            .map(|component| {
                Plane::new(stride, high * most_down * pixels, pixels * most_across / component.across, pixels * most_down / component.down)
            })
            .collect::<Option<_>>()?;
        let mut bits = Bits { data: self.scan, at: 0, bits: 0, count: 0, missing: 0 };
        let mut before = [0i32; 3];
        for unit in 0..wide * high {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart) {
                bits.restart()?;
                before = [0; 3];
            }
            for ((component, plane), before) in self.components.iter().zip(&mut planes).zip(&mut before) {
                for block in 0..component.across * component.down {
                    let across = unit % wide * component.across + block % component.across;
                    let down = unit / wide * component.down + block / component.across;
                    let mut values = [0.0; 64];
                    let flat = self.block(component, &mut bits, before, &mut values)?;
                    plane.put(across, down, &values, flat);
                }
            }
        }
        // Zeros are read behind the end; a whole picture's last unit needs none.
        if bits.missing * 8 > bits.count {
            return None;
        }
        Some(self.colours(&planes, stride, self.width.div_ceil(by), self.height.div_ceil(by)))
    }

    /// Reads one block; returns whether only its mean is there.
    #[inline]
    fn block(&self, component: &Component, bits: &mut Bits, before: &mut i32, values: &mut [f32; 64]) -> Option<bool> {
        let (dc, ac) = (self.dc[component.dc].as_ref()?, self.ac[component.ac].as_ref()?);
        let quantisation = &self.quantisation[component.quantisation];
        let size = dc.next(bits)?;
        *before = before.wrapping_add(bits.value(size)?);
        values[0] = *before as f32 * quantisation[0];
        let mut at = 1;
        let mut flat = true;
        while at < 64 {
            let symbol = ac.next(bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 {
                if zeros != 15 {
                    break;
                }
                at += 16;
                continue;
            }
            at += zeros;
            let place = usize::from(*ZIGZAG.get(at)?);
            values[place] = bits.value(size)? as f32 * quantisation[place];
            flat = false;
            at += 1;
        }
        Some(flat)
    }

    fn colours(&self, planes: &[Plane], stride: usize, width: u32, height: u32) -> RgbImage {
        let mut out = RgbImage::new(width, height);
        let row = |plane: usize, y: usize| &planes[plane].pixels[y * stride..][..width as usize];
        for (y, line) in out.as_mut().chunks_exact_mut(3 * width as usize).enumerate() {
            let line = line.as_chunks_mut::<3>().0;
            if planes.len() == 1 {
                line.iter_mut().zip(row(0, y)).for_each(|(to, &grey)| *to = Rgb([grey; 3]).0);
                continue;
            }
            for (((to, &luma), &blue), &red) in line.iter_mut().zip(row(0, y)).zip(row(1, y)).zip(row(2, y)) {
                *to = rgb(luma, blue, red);
            }
        }
        out
    }
}

/// YCbCr as JFIF has it, in 16 bits behind the point.
#[inline]
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let (luma, blue, red) = ((i32::from(luma) << 16) + (1 << 15), i32::from(blue) - 128, i32::from(red) - 128);
    let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
    [byte(luma + 91_881 * red), byte(luma - 22_554 * blue - 46_802 * red), byte(luma + 116_130 * blue)]
}

/// The pixels of one component, and how blocks become some of them.
struct Plane {
    pixels: Vec<u8>,
    stride: usize,
    across: usize,
    down: usize,
    transform: fn(&[f32; 64], &mut [u8], usize),
}

impl Plane {
    fn new(stride: usize, height: usize, across: usize, down: usize) -> Option<Self> {
        let transform = match (across, down) {
            (1, 1) => transform::<1, 1>,
            (1, 2) => transform::<1, 2>,
            (2, 1) => transform::<2, 1>,
            (2, 2) => transform::<2, 2>,
            (2, 4) => transform::<2, 4>,
            (4, 2) => transform::<4, 2>,
            (4, 4) => transform::<4, 4>,
            (4, 8) => transform::<4, 8>,
            (8, 4) => transform::<8, 4>,
            (8, 8) => transform::<8, 8>,
            _ => return None,
        };
        Some(Plane { pixels: vec![0; stride * height], stride, across, down, transform })
    }

    fn put(&mut self, across: usize, down: usize, values: &[f32; 64], flat: bool) {
        let out = &mut self.pixels[down * self.down * self.stride + across * self.across..];
        if flat {
            let mean = byte(values[0] / 8.0);
            out.chunks_mut(self.stride).take(self.down).for_each(|row| row[..self.across].fill(mean));
        } else {
            (self.transform)(values, out, self.stride);
        }
    }
}

#[inline]
fn byte(value: f32) -> u8 {
    // Conversion cuts off what is outside, and NaN gives 0.
    (value + 128.5) as u8
}

/// The inverse cosine transform of the lowest `W` x `H` frequencies to as many pixels, of the same brightness as the block.
fn transform<const W: usize, const H: usize>(values: &[f32; 64], out: &mut [u8], stride: usize) {
    let (wide, high) = (const { &waves::<W>() }, const { &waves::<H>() });
    let mut rows = [[0f32; W]; H];
    for (row, values) in rows.iter_mut().zip(values.chunks_exact(8)) {
        for (wave, &value) in wide.iter().zip(values) {
            (0..W).for_each(|x| row[x] += wave[x] * value);
        }
    }
    for (y, out) in out.chunks_mut(stride).take(H).enumerate() {
        let mut line = [128.5f32; W];
        for (wave, row) in high.iter().zip(&rows) {
            (0..W).for_each(|x| line[x] += wave[y] * row[x]);
        }
        (0..W).for_each(|x| out[x] = line[x] as u8);
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

/// Huffman codes of one table.
struct Codes {
    /// For each beginning of [`FAST`] bits the length of the code and the symbol; length 0 where it is longer.
    fast: Vec<(u8, u8)>,
    /// For each length the first code that is beyond it, at the top of 16 bits.
    beyond: [u32; 17],
    /// For each length what is added to a code for the number of its symbol.
    shift: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Codes { fast: vec![(0, 0); 1 << FAST], beyond: [0; 17], shift: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut number) = (0u32, 0usize);
        for length in 1..=16u32 {
            codes.shift[length as usize] = number as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    codes.fast[first..first + (1 << (FAST - length))].fill((length as u8, symbols[number]));
                }
                (code, number) = (code + 1, number + 1);
            }
            codes.beyond[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(codes)
    }

    /// The next symbol.
    #[inline]
    fn next(&self, bits: &mut Bits) -> Option<u8> {
        bits.fill();
        let (length, symbol) = self.fast[bits.peek(FAST) as usize];
        if length > 0 {
            bits.skip(u32::from(length));
            return Some(symbol);
        }
        let ahead = bits.peek(16);
        let length = (FAST + 1..=16).find(|&length| ahead < self.beyond[length as usize])?;
        bits.skip(length);
        let number = (ahead >> (16 - length)) as i32 + self.shift[length as usize];
        self.symbols.get(usize::try_from(number).ok()?).copied()
    }
}

/// The bits of a scan, first bit first, without stuffed zeros.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, at the top.
    bits: u64,
    /// How many of them are filled.
    count: u32,
    /// Zero bytes that were filled in at a mark or at the end.
    missing: u32,
}

impl Bits<'_> {
    /// Makes at least 32 bits available: enough for a code and its value.
    #[inline]
    fn fill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(next) = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<4>).filter(|next| !next.contains(&0xff)) {
            self.bits |= u64::from(u32::from_be_bytes(*next)) << (32 - self.count);
            (self.at, self.count) = (self.at + 4, self.count + 32);
            return;
        }
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(&byte), _) if byte != 0xff => {
                    self.at += 1;
                    byte
                }
                _ => {
                    self.missing = self.missing.saturating_add(1);
                    0
                }
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn peek(&self, length: u32) -> u32 {
        (self.bits >> (64 - length)) as u32
    }

    #[inline]
    fn skip(&mut self, length: u32) {
        self.bits <<= length;
        self.count = self.count.saturating_sub(length);
    }

    /// A number of `size` bits as JPEG writes it: the lower half of the values stands for negative ones.
    #[inline]
    fn value(&mut self, size: u8) -> Option<i32> {
        if size == 0 {
            return Some(0);
        }
        let size = u32::from(size);
        if size > 15 {
            return None;
        }
        let value = self.peek(size) as i32;
        self.skip(size);
        Some(if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
    }

    /// Goes on behind the next restart mark.
    fn restart(&mut self) -> Option<()> {
        if self.missing * 8 > self.count {
            return None;
        }
        let ahead = self.data.get(self.at..)?;
        let mark = ahead.windows(2).position(|pair| pair[0] == 0xff && (0xd0..=0xd7).contains(&pair[1]))?;
        *self = Bits { data: self.data, at: self.at + mark + 2, bits: 0, count: 0, missing: 0 };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops;
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    use proptest::prelude::*;

    /// Waves and edges in all channels.
    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let wave = |a: f32, b: f32| (127.0 + 90.0 * (a * x as f32 / 9.0).sin() * (b * y as f32 / 11.0).cos()) as u8;
            Rgb([wave(1.0, 0.7), wave(0.6, 1.1), if (x / 40 + y / 56) % 2 == 0 { 220 } else { 40 }])
        })
    }

    fn encoded(pixels: &RgbImage, factor: SamplingFactor, restart: u16, grey: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 92);
        encoder.set_sampling_factor(factor);
        if restart > 0 {
            encoder.set_restart_interval(restart);
        }
        let (width, height) = (pixels.width() as u16, pixels.height() as u16);
        if grey {
            let luma = imageops::grayscale(pixels);
            encoder.encode(luma.as_raw(), width, height, ColorType::Luma).expect("encoded");
        } else {
            encoder.encode(pixels.as_raw(), width, height, ColorType::Rgb).expect("encoded");
        }
        bytes
    }

    /// Mean distance of two pictures.
    fn distance(a: &RgbImage, b: &RgbImage) -> f64 {
        assert_eq!(a.dimensions(), b.dimensions());
        a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.as_raw().len() as f64
    }

    #[test]
    fn a_reduction_is_the_shrunk_picture() {
        let factors = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
        // Sides of whole blocks, so that shrinking takes the same pixels together.
        for (width, height) in [(320, 240), (128, 64)] {
            for (i, factor) in factors.into_iter().enumerate() {
                for (restart, grey) in [(0, false), (3, false), (0, true)] {
                    let bytes = encoded(&picture(width, height), factor, restart, grey);
                    let whole = crate::decode::whole(&bytes).expect("decoded");
                    let jpeg = Jpeg::parse(&bytes, &Limits::default()).expect("of the kind");
                    assert_eq!(size(&bytes), Some((width, height)));
                    for by in [2, 4, 8] {
                        let reduced = jpeg.decode(by).expect("decoded");
                        // Taking means keeps a little more of the high frequencies than leaving them out.
                        let expected = shards::resize_exact(&whole, width / by, height / by);
                        let apart = distance(&reduced, &expected);
                        assert!(apart < 9.0, "{width} x {height} factor {i} restart {restart} grey {grey} by {by}: {apart}");
                    }
                }
            }
        }
    }

    #[test]
    fn odd_sides_are_rounded_up() {
        let bytes = encoded(&picture(101, 67), SamplingFactor::F_2_2, 0, false);
        let jpeg = Jpeg::parse(&bytes, &Limits::default()).expect("of the kind");
        for (by, sides) in [(2, (51, 34)), (4, (26, 17)), (8, (13, 9))] {
            assert_eq!(jpeg.decode(by).expect("decoded").dimensions(), sides);
        }
    }

    #[test]
    fn a_plain_colour_stays() {
        let bytes = encoded(&RgbImage::from_pixel(64, 64, Rgb([200, 100, 50])), SamplingFactor::F_2_2, 0, false);
        let whole = crate::decode::whole(&bytes).expect("decoded");
        for by in [2, 4, 8] {
            let reduced = Jpeg::parse(&bytes, &Limits::default()).and_then(|jpeg| jpeg.decode(by)).expect("decoded");
            let near = |a: &Rgb<u8>, b: &Rgb<u8>| a.0.iter().zip(b.0).all(|(a, b)| a.abs_diff(b) <= 1);
            assert!(reduced.pixels().all(|pixel| near(pixel, whole.get_pixel(0, 0))), "{:?}", reduced.get_pixel(0, 0));
        }
    }

    #[test]
    fn others_are_left_alone() {
        let limits = Limits::default();
        let bytes = encoded(&picture(64, 64), SamplingFactor::F_2_2, 0, false);
        assert!(Jpeg::parse(&bytes, &Limits { max_side: 63, ..limits }).is_none());
        let mut progressive = Vec::new();
        let mut encoder = Encoder::new(&mut progressive, 90);
        encoder.set_progressive(true);
        encoder.encode(picture(64, 64).as_raw(), 64, 64, ColorType::Rgb).expect("encoded");
        assert!(Jpeg::parse(&progressive, &limits).is_none() && size(&progressive).is_none());
        assert!(Jpeg::parse(&bytes[..bytes.len() / 2], &limits).is_none_or(|jpeg| jpeg.decode(2).is_none()), "cut");
        // A camera's note that it was held sideways.
        let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let segment = [&[0xff, 0xe1, 0, exif.len() as u8 + 2][..], exif].concat();
        assert_eq!(size(&[&bytes[..2], &segment[..], &bytes[2..]].concat()), None);
    }

    proptest! {
        #[test]
        fn damage_never_panics(cuts in prop::collection::vec((0usize..4000, any::<u8>()), 0..12), keep in 0usize..8000, by in 1u32..4) {
            let mut bytes = encoded(&picture(96, 80), SamplingFactor::F_2_2, 2, false);
            for (at, value) in cuts {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            bytes.truncate(keep.max(20));
            size(&bytes);
            if let Some(jpeg) = Jpeg::parse(&bytes, &Limits { max_side: 4000, max_pixels: 1 << 20 }) {
                jpeg.decode(1 << by);
            }
        }
    }
}
