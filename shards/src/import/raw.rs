//! `cifar:DIR` and `mnist:DIR`: labelled pictures as rows of bytes, packed as PNG into tars of our own.

use super::{Decoded, ImportOptions, ImportSummary, sample};
use crate::pack::{Packer, ShardLimits};
use crate::{Error, Format, ImageId, Meter, clean_caption, png_bytes};
use flate2::read::GzDecoder;
use image::{Rgb, RgbImage};
use serde_json::Map;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Side of CIFAR's pictures in pixels.
const SIDE: u32 = 32;
/// Largest side believed of a picture in an IDX file.
const MAX_SIDE: u32 = 4096;
/// Magic numbers of IDX files: bytes in three dimensions and in one.
const PICTURES: u32 = 0x803;
const LABELS: u32 = 0x801;

/// Where pictures go.
struct Sink<'a> {
    packer: Packer,
    classes: Vec<String>,
    split: Option<&'a str>,
    summary: &'a mut ImportSummary,
    meter: &'a Meter,
}

impl<'a> Sink<'a> {
    fn new(
        out: &Path,
        classes: Vec<String>,
        options: &'a ImportOptions,
        limits: ShardLimits,
        summary: &'a mut ImportSummary,
        meter: &'a Meter,
    ) -> Result<Self, Error> {
        Ok(Sink { packer: Packer::create(out, limits)?, classes, split: options.split.as_deref(), summary, meter })
    }

    fn push(&mut self, pixels: &RgbImage, label: u32, split: &str, name: impl Fn() -> String) -> Result<(), Error> {
        let Some(class) = self.classes.get(label as usize) else {
            self.summary.leave_out("bad-class", name(), format!("it has class {label}, there are {}", self.classes.len()));
            return Ok(());
        };
        let bytes = png_bytes(pixels).map_err(|error| Error::Unusable { path: PathBuf::from(name()), why: error.to_string() })?;
        let (width, height) = pixels.dimensions();
        let picture = Decoded { id: ImageId::of(&bytes), format: Format::Png, bytes, width, height };
        let sample = sample(&picture, vec![class.clone()], Some(label), self.split.unwrap_or(split));
        self.summary.count(&sample);
        self.meter.add(1);
        self.packer.push(sample, &picture.bytes, picture.format, Map::new())
    }

    fn finish(self) -> Result<Vec<String>, Error> {
        self.packer.finish()?;
        Ok(self.classes)
    }
}

fn unusable(path: &Path, why: impl Into<String>) -> Error {
    Error::Unusable { path: path.to_path_buf(), why: why.into() }
}

/// The class names of a file with one in each line.
fn names(path: &Path) -> Result<Vec<String>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    Ok(text.lines().map(|line| clean_caption(&line.replace('_', " "))).filter(|name| !name.is_empty()).collect())
}

/// `cifar:`: the binary version of CIFAR-10 or CIFAR-100 (fine labels), in the folder or the one of the archive in it.
pub(super) fn cifar(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    limits: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let folders = ["", "cifar-10-batches-bin", "cifar-100-binary"].map(|name| place.join(name));
    let has = |name: &str| folders.iter().find(|folder| folder.join(name).is_file());
    let (folder, classes, labels, files) = if let Some(folder) = has("batches.meta.txt") {
        let train = (1..=5).map(|n| (format!("data_batch_{n}.bin"), "train"));
        (folder, names(&folder.join("batches.meta.txt"))?, 1, train.chain([("test_batch.bin".to_string(), "test")]).collect::<Vec<_>>())
    } else if let Some(folder) = has("fine_label_names.txt") {
        let files = [("train.bin", "train"), ("test.bin", "test")].map(|(name, split)| (name.to_string(), split));
        // The coarse label comes first.
        (folder, names(&folder.join("fine_label_names.txt"))?, 2, files.to_vec())
    } else {
        return Err(unusable(
            place,
            "it has neither batches.meta.txt (CIFAR-10) nor fine_label_names.txt (CIFAR-100), as the binary versions do",
        ));
    };
    let mut sink = Sink::new(out, classes, options, limits, summary, meter)?;
    let area = (SIDE * SIDE) as usize;
    for (name, split) in files {
        let path = folder.join(&name);
        let length = std::fs::metadata(&path).map_err(Error::io("open", &path))?.len();
        let record = labels + 3 * area;
        if length == 0 || !length.is_multiple_of(record as u64) {
            return Err(unusable(&path, format!("{length} bytes are not whole records of {record}")));
        }
        let mut file = BufReader::new(File::open(&path).map_err(Error::io("open", &path))?);
        let mut bytes = vec![0; record];
        for row in 0..length / record as u64 {
            file.read_exact(&mut bytes).map_err(Error::io("read", &path))?;
            let planes = &bytes[labels..];
            let pixels = RgbImage::from_fn(SIDE, SIDE, |x, y| {
                let at = (y * SIDE + x) as usize;
                Rgb([planes[at], planes[area + at], planes[2 * area + at]])
            });
            sink.push(&pixels, u32::from(bytes[labels - 1]), split, || format!("{name}: {row}"))?;
        }
    }
    sink.finish()
}

/// `mnist:`: pairs of IDX files of pictures and labels, gzipped or not, as MNIST, Fashion-MNIST and EMNIST name them. Classes are the
/// lines of `classnames.txt`, else the digits.
pub(super) fn mnist(
    place: &Path,
    out: &Path,
    options: &ImportOptions,
    limits: ShardLimits,
    summary: &mut ImportSummary,
    meter: &Meter,
) -> Result<Vec<String>, Error> {
    let named = place.join("classnames.txt");
    let classes = if named.is_file() { names(&named)? } else { (0..10).map(|digit| digit.to_string()).collect() };
    let mut files: Vec<PathBuf> = std::fs::read_dir(place).map_err(Error::io("list", place))?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.retain(|path| name(path).replace('.', "-").contains("images-idx3-ubyte"));
    // The same file packed and unpacked is one.
    files.dedup_by(|later, earlier| later.with_extension("") == *earlier);
    let mut sink = Sink::new(out, classes, options, limits, summary, meter)?;
    for path in &files {
        let labels = path.with_file_name(name(path).replace("images", "labels").replace("idx3", "idx1"));
        let split = if name(path).contains("train") { "train" } else { "test" };
        let (mut pictures, mut labels) = (Idx::open(path, PICTURES)?, Idx::open(&labels, LABELS)?);
        if pictures.count != labels.count {
            return Err(unusable(
                path,
                format!("it has {} pictures, {} has {} labels", pictures.count, labels.path.display(), labels.count),
            ));
        }
        let (mut grey, mut label) = (vec![0; (pictures.sides.0 * pictures.sides.1) as usize], [0]);
        for row in 0..pictures.count {
            pictures.read(&mut grey)?;
            labels.read(&mut label)?;
            let (width, height) = pictures.sides;
            let pixels = RgbImage::from_fn(width, height, |x, y| Rgb([grey[(y * width + x) as usize]; 3]));
            sink.push(&pixels, u32::from(label[0]), split, || format!("{}: {row}", name(path)))?;
        }
    }
    sink.finish()
}

/// An IDX file of bytes.
struct Idx {
    file: Box<dyn Read>,
    path: PathBuf,
    count: u32,
    /// Width and height of a picture.
    sides: (u32, u32),
}

impl Idx {
    fn open(path: &Path, magic: u32) -> Result<Self, Error> {
        let file = BufReader::new(File::open(path).map_err(Error::io("open", path))?);
        let packed = path.extension().is_some_and(|end| end == "gz");
        let file: Box<dyn Read> = if packed { Box::new(BufReader::new(GzDecoder::new(file))) } else { Box::new(file) };
        let mut idx = Idx { file, path: path.to_path_buf(), count: 0, sides: (1, 1) };
        let found = idx.number()?;
        if found != magic {
            return Err(unusable(path, format!("it begins with {found:#x}, expected {magic:#x}")));
        }
        idx.count = idx.number()?;
        if magic == PICTURES {
            let height = idx.number()?;
            idx.sides = (idx.number()?, height);
        }
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&idx.sides.0) || !sides.contains(&idx.sides.1) {
            return Err(unusable(path, format!("pictures of {} x {} pixels", idx.sides.0, idx.sides.1)));
        }
        Ok(idx)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact(bytes).map_err(|_| unusable(&self.path, "it is cut off or damaged"))
    }

    fn number(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.read(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }
}
