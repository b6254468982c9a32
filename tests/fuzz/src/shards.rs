//! What anybody may hand in: pictures and archives. (Damaged tables are tried by the room's own tests.)

use crate::Target;
use ::shards::{Encoding, Limits, Received, ResizeMode, TarReader, TarWriter, encode_jpeg};
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Small enough that an input that claims the most is still read quickly.
const LIMITS: Limits = Limits { max_side: 2048, max_pixels: 1 << 20 };

pub(crate) fn targets() -> Vec<Target> {
    let pixels = RgbImage::from_fn(45, 37, |x, y| Rgb([(x * 5) as u8, (y * 6) as u8, (x * y) as u8]));
    let other = |format| {
        let mut bytes = Cursor::new(Vec::new());
        pixels.write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    };
    let mut samples = vec![encode_jpeg(&pixels, 90).expect("encoded")];
    samples.extend([ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP].map(other));
    let dir = tempfile::tempdir().expect("a folder");
    let tar = dir.path().join("a.tar");
    let mut archive = TarWriter::create(&tar).expect("begun");
    for (name, bytes) in [("a.jpg", &samples[0][..]), ("a.txt", b"words"), ("b.json", b"{}")] {
        archive.append(name, bytes).expect("appended");
    }
    archive.finish().expect("finished");
    vec![
        Target { name: "picture", samples, marks: PICTURE_MARKS, read: |bytes, _| picture(bytes) },
        Target {
            name: "tar",
            samples: vec![std::fs::read(tar).expect("read")],
            marks: &["ustar", "0000644", "00000000007", "\u{0}\u{0}\u{0}\u{0}", "L", "x", "77777777777", "././@LongLink"],
            read: |bytes, folder| {
                let path = folder.join("a.tar");
                std::fs::write(&path, bytes).expect("room for an input");
                let members = TarReader::open(&path).expect("opened").flatten();
                assert!(members.into_iter().all(|member| member.extent.offset + member.extent.length <= bytes.len() as u64));
            },
        },
    ]
}

const PICTURE_MARKS: &[&str] = &[
    "JFIF",
    "Exif\u{0}\u{0}",
    "Adobe",
    "IHDR",
    "IDAT",
    "IEND",
    "acTL",
    "GIF89a",
    "RIFF",
    "WEBPVP8 ",
    "VP8L",
    "ALPH",
    "\u{0}\u{0}",
    "\u{1}",
    "\u{7f}",
];

/// Does with a picture what a crawl does.
fn picture(bytes: &[u8]) {
    let Ok(received) = Received::decode(bytes, &LIMITS) else { return };
    let measures = received.measures();
    assert!((0.0..=1.0).contains(&measures.flatness) && measures.thumbnail.len() == 192);
    for mode in [ResizeMode::KeepRatio, ResizeMode::CenterCrop] {
        let Ok(again) = Received::decode(bytes, &LIMITS) else { panic!("read once and not again") };
        let stored = again.resize(mode, 17, true);
        let jpeg = stored.encode(Encoding::Jpeg(80)).expect("a picture of bearable size");
        assert_eq!(Received::decode(&jpeg, &LIMITS).map(|picture| picture.dimensions()).ok(), Some(stored.dimensions()));
    }
}
