//! Whole and reduced pictures beside those of the decoder that reads everything.

use crate::jpeg::{Jpeg, jpeg_size};
use crate::{Limits, decode, resize_exact};
use image::{ImageFormat, Rgb, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

const FACTORS: [SamplingFactor; 4] = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];

/// Waves and edges in all channels.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: f32, b: f32| (127.0 + 90.0 * (a * x as f32 / 9.0).sin() * (b * y as f32 / 11.0).cos()) as u8;
        Rgb([wave(1.0, 0.7), wave(0.6, 1.1), if (x / 40 + y / 56) % 2 == 0 { 220 } else { 40 }])
    })
}

fn encoder(bytes: &mut Vec<u8>, factor: SamplingFactor, restart: u16) -> Encoder<&mut Vec<u8>> {
    let mut encoder = Encoder::new(bytes, 92);
    encoder.set_sampling_factor(factor);
    if restart > 0 {
        encoder.set_restart_interval(restart);
    }
    encoder
}

fn encoded(pixels: &RgbImage, factor: SamplingFactor, restart: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width() as u16, pixels.height() as u16);
    encoder(&mut bytes, factor, restart).encode(pixels.as_raw(), width, height, ColorType::Rgb).expect("encoded");
    bytes
}

fn encoded_grey(pixels: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width() as u16, pixels.height() as u16);
    let luma = imageops::grayscale(pixels);
    encoder(&mut bytes, SamplingFactor::F_2_2, 0).encode(luma.as_raw(), width, height, ColorType::Luma).expect("encoded");
    bytes
}

fn ours(bytes: &[u8], by: u32) -> Option<RgbImage> {
    Jpeg::parse(bytes, &Limits::default())?.decode(by)
}

/// The picture as the decoder of the `image` crate reads it.
fn others(bytes: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).expect("decoded").into_rgb8()
}

/// Mean and worst distance of two pictures.
fn distance(a: &RgbImage, b: &RgbImage) -> (f64, u8) {
    assert_eq!(a.dimensions(), b.dimensions());
    let apart = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b));
    (apart.clone().map(f64::from).sum::<f64>() / a.as_raw().len() as f64, apart.max().unwrap_or(0))
}

#[test]
fn whole_pictures_are_those_of_another_decoder() {
    for (width, height) in [(320, 240), (101, 67), (16, 16), (17, 9), (8, 33), (1, 1), (1, 50), (50, 1), (2, 3)] {
        for (i, factor) in FACTORS.into_iter().enumerate() {
            for restart in [0, 1, 3] {
                let bytes = encoded(&picture(width, height), factor, restart);
                let pixels = ours(&bytes, 1).expect("of the kind");
                assert_eq!(jpeg_size(&bytes), Some((width, height)));
                let (mean, worst) = distance(&pixels, &others(&bytes));
                // Both round; where chroma is spread, in more than one step.
                assert!(mean < 0.7 && worst < 8, "{width} x {height} factor {i} restart {restart}: {mean} {worst}");
            }
        }
        let bytes = encoded_grey(&picture(width, height));
        let (mean, worst) = distance(&ours(&bytes, 1).expect("of the kind"), &others(&bytes));
        assert!(mean < 0.3 && worst < 3, "{width} x {height} grey: {mean} {worst}");
    }
}

#[test]
fn a_reduction_is_the_shrunk_picture() {
    // Sides of whole blocks, so that shrinking takes the same pixels together.
    for (width, height) in [(320, 240), (128, 64)] {
        let pictures = FACTORS.into_iter().flat_map(|factor| [0, 3].map(|restart| encoded(&picture(width, height), factor, restart)));
        for bytes in pictures.chain([encoded_grey(&picture(width, height))]) {
            let whole = others(&bytes);
            for by in [2, 4, 8] {
                // Taking means keeps a little more of the high frequencies than leaving them out.
                let (mean, _) = distance(&ours(&bytes, by).expect("decoded"), &resize_exact(&whole, width / by, height / by));
                assert!(mean < 9.0, "{width} x {height} by {by}: {mean}");
            }
        }
    }
}

#[test]
fn odd_sides_are_rounded_up() {
    let bytes = encoded(&picture(101, 67), SamplingFactor::F_2_2, 0);
    for (by, sides) in [(2, (51, 34)), (4, (26, 17)), (8, (13, 9))] {
        assert_eq!(ours(&bytes, by).expect("decoded").dimensions(), sides);
    }
    assert!(ours(&bytes, 3).is_none());
}

#[test]
fn a_plain_colour_stays() {
    let bytes = encoded(&RgbImage::from_pixel(64, 64, Rgb([200, 100, 50])), SamplingFactor::F_2_2, 0);
    let plain = *others(&bytes).get_pixel(0, 0);
    for by in [1, 2, 4, 8] {
        let near = |pixel: &Rgb<u8>| pixel.0.iter().zip(plain.0).all(|(a, b)| a.abs_diff(b) <= 1);
        assert!(ours(&bytes, by).expect("decoded").pixels().all(near), "by {by}");
    }
}

#[test]
fn what_a_camera_noted_is_obeyed() {
    let bytes = encoded(&picture(64, 48), SamplingFactor::F_2_2, 0);
    // Held sideways.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let segment = [&[0xff, 0xe1, 0, exif.len() as u8 + 2][..], exif].concat();
    let noted = [&bytes[..2], &segment[..], &bytes[2..]].concat();
    assert_eq!(jpeg_size(&noted), None);
    let picture = decode(&noted, &Limits::default()).expect("decoded");
    assert!(picture.changed);
    assert_eq!(picture.pixels, imageops::rotate90(&decode(&bytes, &Limits::default()).expect("decoded").pixels));
}

#[test]
fn other_kinds_are_left_alone() {
    let limits = Limits::default();
    let pixels = picture(64, 64);
    let bytes = encoded(&pixels, SamplingFactor::F_2_2, 0);
    assert!(Jpeg::parse(&bytes, &Limits { max_side: 63, ..limits }).is_none());
    assert!(Jpeg::parse(&bytes, &Limits { max_pixels: 4095, ..limits }).is_none());
    let mut progressive = Vec::new();
    let mut encoder = encoder(&mut progressive, SamplingFactor::F_2_2, 0);
    encoder.set_progressive(true);
    encoder.encode(pixels.as_raw(), 64, 64, ColorType::Rgb).expect("encoded");
    assert!(Jpeg::parse(&progressive, &limits).is_none() && jpeg_size(&progressive).is_none());
    assert_eq!(decode(&progressive, &limits).expect("decoded").pixels.dimensions(), (64, 64));
    for cut in [bytes.len() - 2, bytes.len() / 2, 30, 0] {
        assert!(ours(&bytes[..cut], 1).is_none() && ours(&bytes[..cut], 2).is_none(), "cut at {cut}");
    }
    // Components called R, G and B, and no mark that says YCbCr.
    let mut named = bytes.clone();
    let head = named.windows(2).position(|mark| mark == [0xff, 0xe0]).expect("JFIF's mark");
    named.drain(head..head + 18);
    let frame = named.windows(2).position(|mark| mark == [0xff, 0xc0]).expect("a frame");
    let scan = named.windows(2).position(|mark| mark == [0xff, 0xda]).expect("a scan");
    assert!(Jpeg::parse(&named, &limits).is_some());
    for (i, &name) in b"RGB".iter().enumerate() {
        (named[frame + 10 + 3 * i], named[scan + 5 + 2 * i]) = (name, name);
    }
    assert!(Jpeg::parse(&named, &limits).is_none());
}

proptest! {
    #[test]
    fn damage_never_panics(cuts in prop::collection::vec((0usize..4000, any::<u8>()), 0..12), keep in 0usize..8000, by in 0u32..4) {
        let mut bytes = encoded(&picture(96, 80), SamplingFactor::F_2_2, 2);
        for (at, value) in cuts {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(keep.max(20));
        jpeg_size(&bytes);
        if let Some(jpeg) = Jpeg::parse(&bytes, &Limits { max_side: 4000, max_pixels: 1 << 20 }) {
            jpeg.decode(1 << by);
        }
    }

    #[test]
    fn noise_is_read_as_others_read_it(seed in any::<u64>(), width in 1u32..70, height in 1u32..50, factor in 0usize..4) {
        let mut state = seed | 1;
        let pixels = RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Rgb([(state >> 56) as u8, (state >> 48) as u8, (state >> 40) as u8])
        });
        let bytes = encoded(&pixels, FACTORS[factor], 0);
        // At the lower and right edges the other one spreads chroma towards samples beyond the picture, libjpeg and we do not.
        let inner = |pixels: RgbImage| {
            let edge = if factor == 0 { 0 } else { 2 };
            imageops::crop_imm(&pixels, 0, 0, (width - edge.min(width)).max(1), (height - edge.min(height)).max(1)).to_image()
        };
        let (mean, _) = distance(&inner(ours(&bytes, 1).expect("of the kind")), &inner(others(&bytes)));
        // Roundings of few pixels may all fall one way; a wrong neighbour makes tens.
        prop_assert!(mean < 2.5, "{}", mean);
    }
}

/// A JPEG with other factors of its components, and what stands behind its first mark.
fn altered(factors: [u8; 3], marks: &[u8]) -> Vec<u8> {
    let mut bytes = encoded(&picture(64, 48), SamplingFactor::F_1_1, 0);
    let at = bytes.windows(2).position(|two| two == [0xff, 0xc0]).expect("a frame");
    factors.iter().enumerate().for_each(|(i, factor)| bytes[at + 11 + 3 * i] = *factor);
    [&bytes[..2], marks, &bytes[2..]].concat()
}

#[test]
fn what_would_be_read_wrongly_is_refused() {
    let adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    // Its own JFIF mark says what the colours are, whatever Adobe's says.
    assert!(altered([0x11; 3], b"").windows(4).any(|four| four == b"JFIF"));
    let (plain, marked) = (altered([0x11; 3], b""), altered([0x11; 3], adobe));
    assert_eq!(ours(&marked, 1), ours(&plain, 1));
    let refused = |bytes: &[u8]| decode(bytes, &Limits::default()).expect_err("refused").to_string();
    for factors in [[0x11, 0x22, 0x22], [0x11, 0x21, 0x21], [0x12, 0x21, 0x21]] {
        assert!(refused(&altered(factors, b"")).contains("fewer samples"), "{factors:?}");
    }
}

#[test]
fn marks_that_contradict_and_missing_components_are_told() {
    let frame = |mark: u8| [&[0xff, mark, 0, 17, 8, 0, 8, 0, 8, 3][..], &[1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]].concat();
    let scan = |components: u8| vec![0xff, 0xda, 0, 8, components, 1, 0, 0, 63, 0];
    let jfif = b"\xff\xe0\x00\x07JFIF\0".to_vec();
    let adobe = |transform: u8| [b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00".as_slice(), &[transform]].concat();
    let check =
        |parts: &[Vec<u8>]| crate::jpeg::check(&[&[0xff, 0xd8][..], &parts.concat(), &[0xff, 0xd9]].concat()).err().unwrap_or_default();
    assert_eq!(check(&[jfif.clone(), adobe(1), frame(0xc2), scan(3)]), "");
    assert!(check(&[adobe(0), jfif, frame(0xc2), scan(3)]).contains("contradict"));
    assert_eq!(check(&[adobe(0), frame(0xc2), scan(3)]), "");
    assert!(check(&[frame(0xc0), scan(1)]).contains("missing"));
    assert!(check(&[frame(0xc0), scan(1), scan(1)]).contains("missing"));
    assert_eq!(check(&[frame(0xc0), scan(1), scan(1), scan(1)]), "");
    assert_eq!(check(&[frame(0xc2), scan(1)]), "", "progressive ones repeat components");
}
