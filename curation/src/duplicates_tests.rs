//! Duplicates among drawn pictures: copies are found, other colours and shapes are not.

use super::*;
use crate::pool::Facts;
use image::{Rgb, RgbImage};
use shards::{ImageId, Limits, Measures, PairId, decode, encode_jpeg, resize_exact, thumbnail};

/// A shape on a plain background.
fn drawn(kind: u8, colour: [u8; 3], background: [u8; 3], side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (x as f32 / side as f32 - 0.45, y as f32 / side as f32 - 0.55);
        let inside = match kind {
            0 => x * x + y * y < 0.0625,
            // Half the picture wide: its cosine transform is 0 in many places.
            1 => x.abs() < 0.25 && y.abs() < 0.25,
            _ => y > -0.25 && y < 0.25 && x.abs() < (y + 0.25) / 2.0,
        };
        Rgb(if inside { colour } else { background })
    })
}

fn add(pool: &mut Pool, thumbnails: &mut FxHashMap<u32, Vec<u8>>, picture: &RgbImage, caption: &str) -> u32 {
    let index = pool.len() as u32;
    let measures = Measures::of(picture);
    let mut pair = [0; 16];
    pair[0] = index as u8;
    pool.push(&Facts {
        caption: caption.to_string(),
        original_width: picture.width(),
        original_height: picture.height(),
        pair_id: PairId(pair),
        image_id: ImageId::of(&index.to_le_bytes()),
        pixel_hash: measures.pixel_hash,
        perceptual_hash: measures.perceptual_hash,
        flatness: measures.flatness,
    });
    thumbnails.insert(index, measures.thumbnail);
    index
}

fn again(picture: &RgbImage, quality: u8) -> RgbImage {
    decode(&encode_jpeg(picture, quality).expect("encoded"), &Limits::default()).expect("decoded").pixels
}

#[test]
fn copies_are_found_and_other_colours_and_shapes_are_not() {
    const COLOURS: [[u8; 3]; 6] = [[220, 30, 30], [30, 160, 60], [40, 70, 220], [240, 210, 40], [140, 50, 170], [240, 130, 30]];
    let mut pool = Pool::default();
    let mut thumbnails = FxHashMap::default();
    let mut expected = Vec::new();
    for kind in 0..3 {
        for colour in COLOURS {
            let picture = drawn(kind, colour, [235; 3], 224);
            let original = add(&mut pool, &mut thumbnails, &picture, "a");
            let small = resize_exact(&picture, 112, 112);
            let mut bright = again(&picture, 60);
            bright.as_mut().iter_mut().for_each(|value| *value = value.saturating_add(12));
            for copy in [again(&picture, 50), small, bright] {
                expected.push((add(&mut pool, &mut thumbnails, &copy, "b"), original));
            }
        }
    }
    let groups = exact_groups(&pool);
    assert!(groups.iter().enumerate().all(|(index, &group)| index as u32 == group), "no two have the same pixels");
    let search = NearSearch::new(&pool, &groups);
    assert_eq!(search.left_out, 0);
    let mut found = search.decide(&pool, &thumbnails);
    found.sort_unstable();
    assert_eq!(found, expected);
    // Without a thumbnail nothing is confirmed.
    assert!(search.decide(&pool, &FxHashMap::default()).is_empty());
}

#[test]
fn same_bytes_or_same_pixels_join_and_repeated_captions_name_the_better_pair() {
    let mut pool = Pool::default();
    let mut thumbnails = FxHashMap::default();
    let red = drawn(0, [220, 30, 30], [235; 3], 64);
    let blue = drawn(0, [40, 70, 220], [235; 3], 64);
    for (picture, caption) in [(&blue, "c"), (&red, "a"), (&red, "b"), (&red, "a"), (&blue, "c")] {
        add(&mut pool, &mut thumbnails, picture, caption);
    }
    let groups = exact_groups(&pool);
    assert_eq!(groups, [0, 1, 1, 1, 0]);
    assert_eq!(repeated_captions(&pool, &groups), [(3, 1), (4, 0)]);
    // The same bytes join even if the pixel hashes say otherwise.
    pool.images[0] = pool.images[2];
    assert_eq!(exact_groups(&pool), [0; 5]);
    // A larger original is the better pair.
    pool.areas[3] = 1 << 20;
    assert_eq!(exact_groups(&pool), [3; 5]);
    // What a filter refused takes no part.
    pool.refuse(3, crate::filters::Rule::Flat, 0);
    assert_eq!(exact_groups(&pool), [0, 0, 0, 3, 0]);
}

#[test]
fn blank_pictures_of_different_tint_differ() {
    let flat = |colour: [u8; 3]| thumbnail(&drawn(0, colour, colour, 64));
    assert!(look_alike(&flat([200; 3]), &flat([210; 3])));
    assert!(!look_alike(&flat([200, 0, 0]), &flat([0, 0, 200])));
    assert!(!look_alike(&[], &[]));
}
