//! Packing samples into numbered WebDataset tars with a manifest: what `shuffle` and `import` have in common.

use crate::{Error, Format, Sample, TableWriter, TarWriter, store, write_atomic};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest picture file that is copied or decoded, in bytes; a longer one is damage or an attack.
pub(crate) const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// The file of a folder that holds the BLAKE3 of each of its large files by name, in hex.
pub const SUMS: &str = "sums.json";

/// When a tar is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardLimits {
    pub(crate) samples: usize,
    pub(crate) bytes: u64,
}

impl ShardLimits {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let positive = |option, n: u64| {
            if n > 0 { Ok(()) } else { Err(Error::Option { option, why: "must be at least 1".to_string() }) }
        };
        positive("samples_per_shard", self.samples as u64)?;
        positive("max_shard_bytes", self.bytes)
    }
}

/// Writes `NNNNN.tar` one after the other, the manifest and `sizes.json` into one folder.
pub(crate) struct Packer {
    folder: PathBuf,
    limits: ShardLimits,
    tar: Option<TarWriter>,
    /// Samples in the open tar.
    row: usize,
    /// Samples by tar name, as open_clip reads it.
    sizes: BTreeMap<String, usize>,
    /// BLAKE3 by tar name, in hex.
    sums: BTreeMap<String, String>,
    /// Where full tars are sent instead of staying here.
    address: Option<PathBuf>,
    manifest: TableWriter<Sample>,
}

impl Packer {
    pub(crate) fn create(folder: &Path, limits: ShardLimits) -> Result<Self, Error> {
        limits.check()?;
        let manifest = TableWriter::create(&folder.join("manifest.parquet"), &[])?;
        Ok(Packer {
            folder: folder.to_path_buf(),
            limits,
            tar: None,
            row: 0,
            sizes: BTreeMap::new(),
            sums: BTreeMap::new(),
            address: None,
            manifest,
        })
    }

    /// Sends each full tar to this address, so that no more than one lies here.
    pub(crate) fn with_address(mut self, address: Option<PathBuf>) -> Self {
        self.address = address;
        self
    }

    /// Adds a sample whose picture is `image`. Its key, tar and extents are set here; `extra` are further fields for the
    /// JSON member, which the sample's own override.
    pub(crate) fn push(&mut self, mut sample: Sample, image: &[u8], format: Format, extra: Map<String, Value>) -> Result<(), Error> {
        if self.tar.as_ref().is_some_and(|tar| self.row >= self.limits.samples || tar.size() + image.len() as u64 > self.limits.bytes) {
            self.close()?;
        }
        let number = self.sizes.len();
        let name = format!("{number:05}.tar");
        let tar = match &mut self.tar {
            Some(tar) => tar,
            None => self.tar.insert(TarWriter::create(&self.folder.join(&name))?),
        };
        // img2dataset's keys: shard and row, nine digits for 10,000 samples a shard.
        let digits = (self.limits.samples - 1).to_string().len().max(4);
        sample.sample_key = format!("{number:05}{:0digits$}", self.row);
        sample.shard = name;
        let key = &sample.sample_key;
        let text = sample.captions.first().map_or("", String::as_str);
        let json = serde_json::to_vec(&record(&sample, extra))
            .map_err(|error| Error::Json { path: self.folder.join(format!("{key}.json")), why: error.to_string() })?;
        let picture = tar.append(&format!("{key}.{}", format.suffix()), image)?;
        let text = tar.append(&format!("{key}.txt"), text.as_bytes())?;
        let json = tar.append(&format!("{key}.json"), &json)?;
        (sample.image_offset, sample.image_length) = (picture.offset, picture.length);
        (sample.text_offset, sample.text_length) = (text.offset, text.length);
        (sample.json_offset, sample.json_length) = (json.offset, json.length);
        self.row += 1;
        self.manifest.push(sample)
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(tar) = self.tar.take() {
            let name = format!("{:05}.tar", self.sizes.len());
            self.sums.insert(name.clone(), tar.finish_summed()?);
            if let Some(address) = &self.address {
                let here = self.folder.join(&name);
                store::send(&here, &address.join(&name))?;
                std::fs::remove_file(&here).map_err(Error::io("remove", &here))?;
            }
            self.sizes.insert(name, self.row);
        }
        self.row = 0;
        Ok(())
    }

    /// Closes the last tar, writes manifest, `sizes.json` and `sums.json`; returns the number of tars.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.close()?;
        self.manifest.finish()?;
        write_json(&self.folder.join("sizes.json"), &self.sizes)?;
        write_json(&self.folder.join(SUMS), &self.sums)?;
        Ok(self.sizes.len() as u64)
    }
}

/// Writes a value as indented JSON with a line end.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Error::Json { path: path.to_path_buf(), why: error.to_string() })?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// The JSON member: everything the manifest says of a sample but where it lies, so that a tar alone tells its story.
fn record(sample: &Sample, mut fields: Map<String, Value>) -> Value {
    fields.insert("key".into(), json!(sample.sample_key));
    fields.insert("caption".into(), json!(sample.captions.first().map_or("", String::as_str)));
    fields.insert("captions".into(), json!(sample.captions));
    fields.insert("image_id".into(), json!(sample.image_id.to_string()));
    fields.insert("pair_ids".into(), sample.pair_ids.iter().map(ToString::to_string).collect());
    fields.insert("url".into(), json!(sample.image_url));
    fields.insert("page_url".into(), json!(sample.page_url));
    fields.insert("width".into(), json!(sample.width));
    fields.insert("height".into(), json!(sample.height));
    fields.insert("split".into(), json!(sample.split));
    fields.insert("query_ids".into(), json!(sample.query_ids));
    fields.insert("weight".into(), json!(sample.weight));
    // As text: many readers of JSON hold numbers as doubles.
    fields.insert("group_id".into(), json!(sample.group_id.to_string()));
    if let Some(label) = sample.label {
        fields.insert("label".into(), json!(label));
    }
    Value::Object(fields)
}

/// The format that `bytes` begin like.
pub(crate) fn sniff(bytes: &[u8]) -> Option<Format> {
    match image::guess_format(bytes).ok()? {
        image::ImageFormat::Jpeg => Some(Format::Jpeg),
        image::ImageFormat::Png => Some(Format::Png),
        image::ImageFormat::WebP => Some(Format::WebP),
        image::ImageFormat::Gif => Some(Format::Gif),
        _ => None,
    }
}
