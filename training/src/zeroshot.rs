//! Zero-shot classification: a picture belongs to the class whose description is nearest to it.
//!
//! As in the CLIP paper: every class name goes into every template, the texts' unit vectors are averaged and made unit
//! vectors again, and pictures are compared with these. Ensembling is done over vectors, not over probabilities.

use crate::pictures::Pictures;
use crate::{Clip, Error, Precision, Templates, Tokenizer};
use serde::{Deserialize, Serialize};
use shards::Meter;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Texts encoded at once.
const TEXT_BATCH: usize = 256;
/// The most classes for which the table of confusions is kept: a million numbers.
const MAX_CONFUSION: usize = 1000;
/// The most classes; ImageNet-21k has 21,841.
const MAX_CLASSES: usize = 1 << 20;
/// The largest `classes.json` read, in bytes.
const MAX_CLASSES_FILE: u64 = 1 << 26;
/// Classes that a prediction lists.
const TOP: i64 = 5;

/// What to classify, and with what.
#[derive(Clone, Debug)]
pub struct ZeroShotOptions {
    /// The checkpoint or run, see [`crate::find_checkpoint`].
    pub checkpoint: PathBuf,
    /// The manifest whose labelled samples are classified.
    pub manifest: PathBuf,
    /// The split; `all` for every row.
    pub split: String,
    /// Name or file of the templates, see [`Templates::find`].
    pub templates: String,
    /// The class names by label; without them, `classes.json` beside the manifest has them.
    pub classes: Option<Vec<String>>,
    /// Pictures that the model sees at once.
    pub batch_size: usize,
    /// Where the model computes.
    pub device: Device,
    /// What it computes in.
    pub precision: Precision,
    /// The tokenizer's merges file; without it, [`Tokenizer::default_path`].
    pub merges: Option<PathBuf>,
}

/// How well a model did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZeroShotResult {
    /// The model's name.
    pub model: String,
    /// The manifest, as an absolute path; empty in results of older versions.
    #[serde(default)]
    pub manifest: PathBuf,
    /// The split.
    pub split: String,
    /// The templates.
    pub templates: Vec<String>,
    /// Pictures classified.
    pub n: u64,
    /// Share of pictures whose label is the nearest class, 0 to 1.
    pub top1: f64,
    /// Share of pictures whose label is among the five nearest classes.
    pub top5: f64,
    /// `top1` of each class that has pictures, averaged.
    pub mean_per_class: f64,
    /// Every class, by label.
    pub per_class: Vec<ClassResult>,
    /// Pictures by label (row) and nearest class (column); empty above 1,000 classes.
    pub confusion: Vec<Vec<u64>>,
    /// Rows of the split that have no label and were left out.
    pub unlabelled: u64,
    /// Pictures that could not be decoded and were left out.
    pub damaged: u64,
    /// Every picture, in the manifest's order.
    pub predictions: Vec<Prediction>,
}

/// How well a model did on one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassResult {
    /// The class.
    pub name: String,
    /// Its pictures.
    pub n: u64,
    /// Those for which it was the nearest class.
    pub correct: u64,
}

/// What a model thinks of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The sample.
    pub sample_key: String,
    /// Its class by the manifest.
    pub label: u32,
    /// The (at most five) nearest classes with their probabilities, the nearest first.
    pub top: Vec<(u32, f32)>,
}

/// Classifies with the checkpoint that `options` name. `meter` counts rows of the manifest.
///
/// # Errors
/// As [`crate::find_checkpoint`], [`Clip::open`], [`Tokenizer::read`], [`Templates::find`] and [`zero_shot_with`].
pub fn zero_shot(options: &ZeroShotOptions, meter: &Meter) -> Result<ZeroShotResult, Error> {
    let checkpoint = crate::find_checkpoint(&options.checkpoint)?;
    let tokenizer = Tokenizer::read(&options.merges.clone().unwrap_or_else(|| Tokenizer::path_for(&checkpoint)))?;
    let model = Clip::open(&checkpoint, options.device)?.for_inference(options.precision);
    tokenizer.fits(model.config())?;
    zero_shot_with(&model, &tokenizer, options, meter)
}

/// Classifies with a model at hand; the checkpoint, device, precision and merges of `options` are not looked at.
///
/// # Errors
/// `Data` when no picture of the split has a label and can be decoded, or a label is no class; `Templates`; `Shards` when
/// the manifest, `classes.json` or an archive cannot be read.
pub fn zero_shot_with(model: &Clip, tokenizer: &Tokenizer, options: &ZeroShotOptions, meter: &Meter) -> Result<ZeroShotResult, Error> {
    let templates = Templates::find(&options.templates)?;
    let classes = match &options.classes {
        Some(classes) => classes.clone(),
        None => read_classes(&options.manifest.with_file_name("classes.json"))?,
    };
    if classes.is_empty() || classes.len() > MAX_CLASSES {
        return Err(Error::data(&options.manifest, format!("expected 1 to {MAX_CLASSES} classes, found {}", classes.len())));
    }
    let _no_gradients = tch::no_grad_guard();
    let columns = class_embeddings(model, tokenizer, &classes, &templates).tr();
    let scale = model.logit_scale().exp();
    let mut tally = Tally::new(classes.len());
    let pictures = Pictures {
        manifest: &options.manifest,
        split: &options.split,
        side: u32::try_from(model.config().vision.image_size()).unwrap_or(u32::MAX),
        batch_size: options.batch_size,
    };
    let left_out = pictures.for_each(meter, |batch| {
        if let Some((key, label)) = batch.keys.iter().zip(&batch.labels).find(|(_, label)| **label as usize >= classes.len()) {
            let why = format!("sample {key} has label {label}, there are {} classes", classes.len());
            return Err(Error::data(&options.manifest, why));
        }
        let logits = model.encode_image(&batch.images.to_device(model.device()), false).matmul(&columns) * &scale;
        tally.add(batch.keys, &batch.labels, &logits)
    })?;
    if tally.predictions.is_empty() {
        let why = format!(
            "split {:?} has no picture that can be classified ({} without a label, {} damaged); zero-shot needs labelled pictures, as `diptych import folder:` gives",
            options.split, left_out.unlabelled, left_out.damaged
        );
        return Err(Error::data(&options.manifest, why));
    }
    let mut result = tally.result(classes);
    result.model = model.config().name.clone();
    // The path as it is, where the current folder cannot be named.
    result.manifest = std::path::absolute(&options.manifest).unwrap_or_else(|_| options.manifest.clone());
    result.split = options.split.clone();
    result.templates = templates.sentences().to_vec();
    (result.unlabelled, result.damaged) = (left_out.unlabelled, left_out.damaged);
    Ok(result)
}

/// The unit vectors [classes, embed_dim] of classes described by templates, on the model's device.
pub fn class_embeddings(model: &Clip, tokenizer: &Tokenizer, classes: &[String], templates: &Templates) -> Tensor {
    let _no_gradients = tch::no_grad_guard();
    let context = model.config().text.context_length as usize;
    let count = templates.sentences().len();
    let texts: Vec<String> = classes.iter().flat_map(|class| templates.fill(class)).collect();
    // Long lists of templates are encoded in pieces; their mean needs all vectors of a class, not all of all classes.
    let per_piece = (TEXT_BATCH / count).max(1);
    let means: Vec<Tensor> = texts
        .chunks(per_piece * count)
        .map(|piece| {
            let batches = piece.chunks(TEXT_BATCH);
            let vectors: Vec<Tensor> =
                batches.map(|texts| model.encode_text(&tokenizer.batch(texts, context).to_device(model.device()))).collect();
            let vectors = Tensor::cat(&vectors, 0);
            vectors.view([-1, count as i64, vectors.size()[1]]).mean_dim([1i64].as_slice(), false, Kind::Float)
        })
        .collect();
    crate::clip::unit_rows(&Tensor::cat(&means, 0))
}

/// The class names by label: a JSON array of strings.
///
/// # Errors
/// `Data` when it is not one, `Shards` when the file cannot be read.
pub fn read_classes(path: &Path) -> Result<Vec<String>, Error> {
    let length = match std::fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let why = "there is no such file: zero-shot needs labelled pictures, as `diptych import folder:` gives";
            return Err(Error::data(path, why));
        }
        Err(error) => return Err(shards::Error::io("open", path)(error).into()),
    };
    if length > MAX_CLASSES_FILE {
        return Err(Error::data(path, format!("the file has {length} bytes, at most {MAX_CLASSES_FILE} are read")));
    }
    let text = std::fs::read(path).map_err(shards::Error::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| Error::data(path, format!("expected an array of class names: {error}")))
}

/// Counts while batches come in.
struct Tally {
    n: Vec<u64>,
    correct: Vec<u64>,
    in_top: u64,
    confusion: Vec<Vec<u64>>,
    predictions: Vec<Prediction>,
}

impl Tally {
    fn new(classes: usize) -> Self {
        let confusion = if classes <= MAX_CONFUSION { vec![vec![0; classes]; classes] } else { Vec::new() };
        Tally { n: vec![0; classes], correct: vec![0; classes], in_top: 0, confusion, predictions: Vec::new() }
    }

    /// Adds a batch; `logits` [batch, classes].
    fn add(&mut self, keys: Vec<String>, labels: &[u32], logits: &Tensor) -> Result<(), Error> {
        let (shares, nearest) = logits.softmax(-1, Kind::Float).topk(TOP.min(logits.size()[1]), -1, true, true);
        let read = Error::torch("read predictions");
        let (shares, nearest) = Vec::<Vec<f32>>::try_from(shares.to_device(Device::Cpu))
            .and_then(|shares| Ok((shares, Vec::<Vec<i64>>::try_from(nearest.to_device(Device::Cpu))?)))
            .map_err(read)?;
        for (((sample_key, &label), shares), nearest) in keys.into_iter().zip(labels).zip(shares).zip(nearest) {
            let top: Vec<(u32, f32)> = nearest.into_iter().map(|class| class as u32).zip(shares).collect();
            let (own, first) = (label as usize, top[0].0 as usize);
            self.n[own] += 1;
            self.correct[own] += u64::from(first == own);
            self.in_top += u64::from(top.iter().any(|(class, _)| *class == label));
            if let Some(row) = self.confusion.get_mut(own) {
                row[first] += 1;
            }
            self.predictions.push(Prediction { sample_key, label, top });
        }
        Ok(())
    }

    fn result(self, classes: Vec<String>) -> ZeroShotResult {
        let n = self.predictions.len() as u64;
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let per_class: Vec<ClassResult> = classes
            .into_iter()
            .zip(self.n.iter().zip(&self.correct))
            .map(|(name, (&n, &correct))| ClassResult { name, n, correct })
            .collect();
        let seen: Vec<f64> = per_class.iter().filter(|class| class.n > 0).map(|class| share(class.correct, class.n)).collect();
        ZeroShotResult {
            model: String::new(),
            manifest: PathBuf::new(),
            split: String::new(),
            templates: Vec::new(),
            n,
            top1: share(self.correct.iter().sum(), n),
            top5: share(self.in_top, n),
            mean_per_class: seen.iter().sum::<f64>() / seen.len().max(1) as f64,
            per_class,
            confusion: self.confusion,
            unlabelled: 0,
            damaged: 0,
            predictions: self.predictions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;
    use image::{Rgb, RgbImage};
    use shards::{ImageId, Sample, TableWriter, TarWriter, png_bytes};

    #[test]
    fn counts_are_right() {
        let mut tally = Tally::new(7);
        // Labels 0, 0, 1; nearest 0, 6, 2. Class 0 is last of seven in the second row, class 1 fourth in the third.
        let logits = Tensor::from_slice2(&[
            [9f32, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [0.0, 4.0, 9.0, 8.0, 7.0, 1.0, 2.0],
        ]);
        tally.add(["a", "b", "c"].map(str::to_string).to_vec(), &[0, 0, 1], &logits).expect("added");
        let result = tally.result((0..7).map(|n| n.to_string()).collect());
        assert_eq!((result.n, result.top1, result.top5), (3, 1.0 / 3.0, 2.0 / 3.0));
        assert_eq!(result.mean_per_class, 0.25);
        assert_eq!(result.confusion[0], [1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(result.per_class[0], ClassResult { name: "0".to_string(), n: 2, correct: 1 });
        let classes: Vec<u32> = result.predictions[2].top.iter().map(|(class, _)| *class).collect();
        assert_eq!(classes, [2, 3, 4, 1, 6]);
        let softmax = 9f32.exp() / [0f32, 4.0, 9.0, 8.0, 7.0, 1.0, 2.0].iter().map(|x| x.exp()).sum::<f32>();
        assert!((result.predictions[2].top[0].1 - softmax).abs() < 1e-6);
    }

    fn sample(key: &str, label: Option<u32>, split: &str, extent: shards::Extent) -> Sample {
        Sample {
            sample_key: key.to_string(),
            image_id: ImageId::of(key.as_bytes()),
            pair_ids: vec![],
            captions: vec!["a picture".to_string()],
            query_ids: vec![],
            image_url: String::new(),
            page_url: String::new(),
            split: split.to_string(),
            label,
            weight: 1.0,
            group_id: 0,
            shard: "00000.tar".to_string(),
            image_offset: extent.offset,
            image_length: extent.length,
            text_offset: 0,
            text_length: 0,
            json_offset: 0,
            json_length: 0,
            width: 40,
            height: 50,
        }
    }

    /// Twelve pictures, the seventh damaged, the eighth without a label, the last two of another split.
    fn manifest(folder: &Path) -> PathBuf {
        let mut tar = TarWriter::create(&folder.join("00000.tar")).expect("created");
        let rows: Vec<Sample> = (0..12u32)
            .map(|n| {
                let pixels = RgbImage::from_fn(40, 50, |x, y| Rgb([(x * n) as u8, (y * 5) as u8, 20 * n as u8]));
                let bytes = if n == 6 { b"no picture".to_vec() } else { png_bytes(&pixels).expect("encoded") };
                let extent = tar.append(&format!("{n:09}.png"), &bytes).expect("appended");
                sample(&format!("{n:09}"), (n != 7).then_some(n % 3), if n < 10 { "val" } else { "train" }, extent)
            })
            .collect();
        tar.finish().expect("finished");
        let path = folder.join("manifest.parquet");
        TableWriter::write_all(&path, &[], rows).expect("written");
        std::fs::write(folder.join("classes.json"), r#"["cat", "dog", "horse"]"#).expect("written");
        path
    }

    fn options(folder: &Path) -> ZeroShotOptions {
        ZeroShotOptions {
            checkpoint: folder.join("model"),
            manifest: manifest(folder),
            split: "val".to_string(),
            templates: "cifar".to_string(),
            classes: None,
            batch_size: 3,
            device: Device::Cpu,
            precision: Precision::Fp32,
            merges: None,
        }
    }

    #[test]
    fn a_manifest_is_classified() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = options(dir.path());
        let config = ModelConfig::find("small-resnet").expect("a model");
        let model = Clip::new(&config, Device::Cpu, 3).expect("built");
        model.save_folder(&options.checkpoint).expect("saved");
        let meter = Meter::default();
        let result = zero_shot(&options, &meter).expect("classified");
        assert_eq!((result.n, result.damaged, result.unlabelled, meter.done()), (8, 1, 1, 12));
        let keys: Vec<&str> = result.predictions.iter().map(|one| one.sample_key.as_str()).collect();
        assert_eq!(keys, [0, 1, 2, 3, 4, 5, 8, 9].map(|n| format!("{n:09}")));
        assert!(result.predictions.iter().all(|one| one.top.len() == 3 && (one.top.iter().map(|t| t.1).sum::<f32>() - 1.0).abs() < 1e-5));
        assert_eq!(result.top5, 1.0, "three classes are all among the first five");
        // Batches are an implementation matter.
        let again = zero_shot(&ZeroShotOptions { batch_size: 100, ..options.clone() }, &Meter::default()).expect("classified");
        for (a, b) in result.predictions.iter().zip(&again.predictions) {
            assert!(a.top.iter().zip(&b.top).all(|(a, b)| (a.1 - b.1).abs() < 1e-4));
        }
        let json = serde_json::to_string(&result).expect("written");
        assert_eq!(serde_json::from_str::<ZeroShotResult>(&json).expect("read"), result);
    }

    #[test]
    fn ensembles_are_means_of_unit_vectors() {
        let config = ModelConfig::find("small-resnet").expect("a model");
        let model = Clip::new(&config, Device::Cpu, 3).expect("built");
        let tokenizer = Tokenizer::new().expect("the merges file that make setup fetches");
        let templates = Templates::find("cifar").expect("a list");
        let classes: Vec<String> = (0..40).map(|n| format!("thing {n}")).collect();
        let all = class_embeddings(&model, &tokenizer, &classes, &templates);
        assert_eq!(all.size(), [40, 128]);
        let texts: Vec<String> = templates.fill("thing 39").collect();
        let mean = tch::no_grad(|| model.encode_text(&tokenizer.batch(&texts, 77)).mean_dim([0i64].as_slice(), true, Kind::Float));
        let expected = crate::clip::unit_rows(&mean).squeeze();
        assert!(all.get(39).allclose(&expected, 1e-4, 1e-5, false));
    }

    #[test]
    fn impossible_labels_and_empty_splits_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let options = options(dir.path());
        let model = Clip::new(&ModelConfig::find("small-resnet").expect("a model"), Device::Cpu, 3).expect("built");
        let tokenizer = Tokenizer::new().expect("the merges file that make setup fetches");
        let message =
            |options: &ZeroShotOptions| zero_shot_with(&model, &tokenizer, options, &Meter::default()).expect_err("refused").to_string();
        let two = message(&ZeroShotOptions { classes: Some(vec!["a".to_string(), "b".to_string()]), ..options.clone() });
        assert!(two.contains("sample 000000002 has label 2, there are 2 classes"), "{two}");
        let none = message(&ZeroShotOptions { split: "test".to_string(), ..options.clone() });
        assert!(none.contains("\"test\""), "{none}");
        std::fs::write(dir.path().join("classes.json"), "{}").expect("written");
        assert!(message(&options).contains("array of class names"));
    }
}
