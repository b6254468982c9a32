//! What a run says: curves, accuracies with the classes it saw apart, confusions, and pictures with what the model answered.

use super::pictures::small;
use super::{Accuracy, Confusion, Curve, Prediction, ReportData};
use crate::failure::Failure;
use shards::{Extent, Meta, TableReader, table_row};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use training::{Metrics, ZeroShotResult};

/// Pictures shown, and wrong answers shown besides.
const EXAMPLES: usize = 12;
const SUREST: usize = 6;
/// Classes listed under a picture.
const LISTED: usize = 3;
/// Classes up to which the whole confusion is drawn with names.
const MAX_DRAWN: usize = 16;
/// Mistakes listed.
const WORST: usize = 12;
/// Longest evaluation file read, in bytes.
const MAX_EVAL: u64 = 1 << 30;

/// Groups of classes whose accuracy is given apart: what the group is, and its class names.
pub type Classes = Vec<(String, Vec<String>)>;

table_row! {
    /// What is needed of a sample to tell what was seen and to show its picture.
    struct Row in "manifest" {
        /// The sample.
        sample_key: String,
        /// Its captions.
        captions: Vec<String>,
        /// Its split.
        split: String,
        /// Its class.
        label: Option<u32>,
        /// The tar.
        shard: String,
        /// Offset of the picture.
        image_offset: u64,
        /// Length of the picture.
        image_length: u64,
    }
}

/// Adds a run to a report.
///
/// # Errors
/// When a file that is there cannot be read.
pub(super) fn gather(data: &mut ReportData, run: &Path, manifests: &[PathBuf], classes: Option<&Classes>) -> Result<(), Failure> {
    let metrics = Metrics::read(run)?;
    data.curves = curves(&metrics);
    describe(data, run, &metrics)?;
    let evals = evals(run)?;
    let Some((file, eval)) = evals.last() else {
        data.missing.push("Accuracy: evaluate the run first with diptych eval zero-shot.".to_string());
        return Ok(());
    };
    let found = match classes {
        Some(classes) => classes.clone(),
        None => by_captions(eval, manifests)?,
    };
    for (name, result) in &evals {
        data.accuracies.push(accuracy(&format!("{name}, top-1"), result.top1, result, 1.0));
        // Among five classes or fewer every answer is right.
        if result.per_class.len() > 5 {
            data.accuracies.push(accuracy(&format!("{name}, top-5"), result.top5, result, 5.0));
        }
    }
    for (name, members) in found.iter().filter(|(_, members)| !members.is_empty() && members.len() < eval.per_class.len()) {
        let members: HashSet<&str> = members.iter().map(String::as_str).collect();
        let rows = eval.per_class.iter().filter(|row| members.contains(row.name.as_str()));
        let (correct, n) = rows.fold((0, 0), |(correct, n), row| (correct + row.correct, n + row.n));
        data.accuracies.push(Accuracy { name: format!("{file}, {name}"), correct, n, chance: chance(eval, 1.0) });
    }
    if let Some(first) = data.accuracies.first() {
        data.headline.push((
            format!("top-1 among {} classes", eval.per_class.len()),
            super::html::percent(first.correct as f64 / first.n.max(1) as f64),
        ));
    }
    confusions(data, eval);
    data.facts.push(("prompts".to_string(), eval.templates.join(" | ")));
    pictures(data, eval, manifests)
}

fn chance(eval: &ZeroShotResult, guesses: f64) -> f64 {
    (guesses / eval.per_class.len().max(1) as f64).min(1.0)
}

fn accuracy(name: &str, share: f64, eval: &ZeroShotResult, guesses: f64) -> Accuracy {
    Accuracy { name: name.to_string(), correct: (share * eval.n as f64).round() as u64, n: eval.n, chance: chance(eval, guesses) }
}

/// What was logged over training steps.
fn curves(metrics: &[Metrics]) -> Vec<Curve> {
    let curve = |name: &str, unit: &str, of: fn(&Metrics) -> f64| Curve {
        name: name.to_string(),
        unit: unit.to_string(),
        points: metrics.iter().map(|row| (row.step as f64, of(row))).collect(),
    };
    if metrics.is_empty() {
        return Vec::new();
    }
    vec![
        curve("Loss", "nats", |row| row.loss),
        curve("Logit scale", "factor on similarities", |row| row.scale),
        curve("Learning rate", "factor on the step", |row| row.lr),
        curve("Waiting for data", "% of time", |row| 100.0 * row.data_wait),
        curve("Speed", "samples per second", |row| row.samples_per_second),
        curve("Gradient", "length over all weights", |row| row.grad_norm),
    ]
}

/// The run's settings, and how long it took.
fn describe(data: &mut ReportData, run: &Path, metrics: &[Metrics]) -> Result<(), Failure> {
    if let Some(meta) = Meta::read(run, "run")? {
        // What was not set is no fact.
        for (name, value) in meta.properties.iter().filter(|(_, value)| !value.is_null()) {
            // A model is an object; its name says enough here.
            let text = value.get("name").unwrap_or(value).to_string();
            data.facts.push((format!("run {}", name.replace('_', " ")), text.trim_matches('"').to_string()));
        }
    }
    if let Some(last) = metrics.last() {
        data.headline.push(("training steps".to_string(), super::html::count(last.step)));
        data.headline.push(("last loss".to_string(), super::html::number(last.loss)));
        data.facts.push(("training took".to_string(), super::html::seconds(last.seconds)));
        data.facts.push(("damaged samples replaced".to_string(), last.damaged.to_string()));
    }
    Ok(())
}

/// The zero-shot results in `evals/`, oldest first: the last is the one that is shown in full.
fn evals(run: &Path) -> Result<Vec<(String, ZeroShotResult)>, Failure> {
    let folder = run.join("evals");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let meta = entry.metadata()?;
        if path.extension().is_some_and(|end| end == "json") && meta.len() <= MAX_EVAL {
            files.push((meta.modified()?, path));
        }
    }
    files.sort();
    let mut found = Vec::new();
    for (_, path) in files {
        let text = std::fs::read(&path).map_err(shards::Error::io("read", &path))?;
        // Evaluations of other tasks have files of other shapes.
        if let Ok(result) = serde_json::from_slice::<ZeroShotResult>(&text) {
            found.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), result));
        }
    }
    Ok(found)
}

/// The words of a text in small letters.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Classes whose name stands in a training caption, word for word, and those whose does not.
fn by_captions(eval: &ZeroShotResult, manifests: &[PathBuf]) -> Result<Classes, Failure> {
    let names: Vec<(String, usize)> =
        eval.per_class.iter().map(|class| words(&class.name)).map(|words| (words.join(" "), words.len())).collect();
    let lengths: BTreeSet<usize> = names.iter().map(|(_, length)| *length).filter(|&length| length > 0).collect();
    let wanted: HashSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let mut seen: HashSet<String> = HashSet::new();
    let mut trained = false;
    for manifest in manifests {
        for batch in TableReader::<Row>::open(manifest)? {
            for row in batch?.into_iter().filter(|row| row.split == "train") {
                trained = true;
                for caption in &row.captions {
                    let words = words(caption);
                    let windows = lengths.iter().flat_map(|&length| words.windows(length)).map(|window| window.join(" "));
                    seen.extend(windows.filter(|window| wanted.contains(window.as_str())));
                }
            }
        }
    }
    if !trained {
        return Ok(Vec::new());
    }
    let of = |is_seen: bool| {
        let classes = eval.per_class.iter().zip(&names).filter(|(_, (name, _))| seen.contains(name) == is_seen);
        classes.map(|(class, _)| class.name.clone()).collect()
    };
    Ok(vec![("classes named in training captions".to_string(), of(true)), ("classes never named there".to_string(), of(false))])
}

/// The whole confusion for a few classes; for many, that of each word of their names where these are combinations.
fn confusions(data: &mut ReportData, eval: &ZeroShotResult) {
    let names: Vec<&str> = eval.per_class.iter().map(|class| class.name.as_str()).collect();
    if eval.confusion.len() != names.len() || names.is_empty() {
        return;
    }
    if names.len() <= MAX_DRAWN {
        let classes = names.iter().map(|name| name.to_string()).collect();
        data.confusions = vec![Confusion { title: "All classes".to_string(), classes, counts: eval.confusion.clone() }];
    } else {
        data.confusions = by_word(&names, &eval.confusion);
    }
    let mut mistakes = Vec::new();
    for (truth, row) in eval.confusion.iter().enumerate() {
        let total: u64 = row.iter().sum();
        let wrong = row.iter().enumerate().filter(|&(answer, &n)| answer != truth && n > 0 && answer < names.len());
        mistakes.extend(wrong.map(|(answer, &n)| (n, truth, answer, total)));
    }
    // The most frequent first, then in the order of the classes.
    mistakes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let name = |class: usize| names[class].to_string();
    data.mistakes = mistakes.iter().take(WORST).map(|&(n, truth, answer, total)| (name(truth), name(answer), n, total)).collect();
}

/// The confusion of the first word, of the second, and so on, where all names have as many words and each place has few
/// different ones.
fn by_word(names: &[&str], counts: &[Vec<u64>]) -> Vec<Confusion> {
    const PLACES: [&str; 4] = ["First word of the class", "Second word", "Third word", "Fourth word"];
    let split: Vec<Vec<&str>> = names.iter().map(|name| name.split_whitespace().collect()).collect();
    let length = split[0].len();
    if !(2..=PLACES.len()).contains(&length) || split.iter().any(|words| words.len() != length) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (place, title) in PLACES.iter().enumerate().take(length) {
        let mut classes: Vec<&str> = split.iter().map(|words| words[place]).collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() > MAX_DRAWN {
            return Vec::new();
        }
        if classes.len() < 2 {
            continue;
        }
        let at = |class: usize| classes.binary_search(&split[class][place]).unwrap_or(0);
        let mut sums = vec![vec![0; classes.len()]; classes.len()];
        for (truth, row) in counts.iter().enumerate() {
            for (answer, &n) in row.iter().enumerate().filter(|&(answer, _)| answer < names.len()) {
                sums[at(truth)][at(answer)] += n;
            }
        }
        found.push(Confusion { title: title.to_string(), classes: classes.iter().map(|word| word.to_string()).collect(), counts: sums });
    }
    found
}

/// Pictures evenly spaced over the test set, and the wrong answers of highest probability.
fn pictures(data: &mut ReportData, eval: &ZeroShotResult, manifests: &[PathBuf]) -> Result<(), Failure> {
    let all = &eval.predictions;
    let step = (all.len() / EXAMPLES).max(1);
    let even: Vec<usize> = (0..all.len()).step_by(step).take(EXAMPLES).collect();
    let probability = |at: usize| all[at].top.first().map_or(0.0, |(_, share)| *share);
    let mut wrong: Vec<usize> =
        (0..all.len()).filter(|&at| all[at].top.first().is_some_and(|(class, _)| *class != all[at].label)).collect();
    wrong.sort_by(|&a, &b| probability(b).total_cmp(&probability(a)).then(a.cmp(&b)));
    wrong.truncate(SUREST);
    let wanted: HashMap<&str, u32> = even.iter().chain(&wrong).map(|&at| (all[at].sample_key.as_str(), all[at].label)).collect();
    let mut images: HashMap<String, Vec<u8>> = HashMap::new();
    // The manifest that was evaluated, where it still lies there, and those that the user named.
    let evaluated = (eval.manifest.exists() && !manifests.contains(&eval.manifest)).then_some(&eval.manifest);
    for manifest in manifests.iter().chain(evaluated) {
        let folder = manifest.parent().unwrap_or(Path::new(""));
        for batch in TableReader::<Row>::open(manifest)? {
            for row in batch?.into_iter().filter(|row| (eval.split == "all" || row.split == eval.split) && row.label.is_some()) {
                // Another manifest may have the same keys; its labels then differ.
                if wanted.get(row.sample_key.as_str()).copied() == row.label {
                    let place = Extent { offset: row.image_offset, length: row.image_length };
                    images.insert(row.sample_key, small(&folder.join(&row.shard), place));
                }
            }
        }
    }
    if images.is_empty() {
        data.missing.push("Pictures with predictions: add --manifest FILE, the manifest that the run was evaluated on.".to_string());
        return Ok(());
    }
    let name = |label: u32| eval.per_class.get(label as usize).map_or_else(|| label.to_string(), |class| class.name.clone());
    let show = |at: &usize| {
        let prediction = &all[*at];
        let image = images.get(&prediction.sample_key)?.clone();
        let top = prediction.top.iter().take(LISTED).map(|&(label, share)| (name(label), f64::from(share))).collect();
        Some(Prediction { image, truth: name(prediction.label), top })
    };
    data.predictions = even.iter().filter_map(show).collect();
    data.surest_mistakes = wrong.iter().filter_map(show).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_confused_word_by_word() {
        let names = ["red circle", "red square", "blue circle", "blue square"];
        let counts = vec![vec![5, 2, 1, 0], vec![0, 8, 0, 0], vec![0, 0, 8, 0], vec![0, 3, 0, 5]];
        let found = by_word(&names, &counts);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].classes.clone(), found[0].counts.clone()),
            (vec!["blue".into(), "red".into()], vec![vec![13, 3], vec![1, 15]])
        );
        assert_eq!(found[1].counts.iter().flatten().sum::<u64>(), 32);
        assert!(by_word(&["a b", "c"], &[vec![1, 0], vec![0, 1]]).is_empty());
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(words("A Red, striped-circle!"), ["a", "red", "striped", "circle"]);
    }
}
