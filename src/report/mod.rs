//! `diptych report`, and the page that the demo ends with: one self-contained page about a corpus, a run, or both.
//!
//! `corpus` and `run` gather plain values from files, `page` lays them out, `plot` and `matrix` draw; the last three read no file.

mod corpus;
mod html;
mod matrix;
mod page;
mod pictures;
mod plot;
mod run;

pub use html::count;
pub use page::render;
pub use run::Classes;

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use std::path::{Path, PathBuf};

/// What a report shows. A section whose values are empty is left out.
#[derive(Clone, Debug, Default)]
pub struct ReportData {
    /// The page's title.
    pub title: String,
    /// One or two sentences under it.
    pub summary: String,
    /// The figures that matter most: what, and how much, already worded.
    pub headline: Vec<(String, String)>,
    /// Seconds of each stage, in order.
    pub stages: Vec<(String, f64)>,
    /// What was left after each step, from pages to samples.
    pub funnel: Vec<(String, u64)>,
    /// How often each reason refused a pair.
    pub refusals: Vec<(String, u64)>,
    /// The hosts that were refused most.
    pub hosts: Vec<HostTally>,
    /// Pairs per query before the cap, in any order.
    pub pairs_before: Vec<u64>,
    /// Pairs per query after it.
    pub pairs_after: Vec<u64>,
    /// The cap, drawn as a line.
    pub per_query: Option<u64>,
    /// The queries that were seen most: text, pairs before and after.
    pub top_queries: Vec<(String, u64, u64)>,
    /// What was logged during training.
    pub curves: Vec<Curve>,
    /// Accuracies on test pictures.
    pub accuracies: Vec<Accuracy>,
    /// Which classes, or which words of class names, were taken for which.
    pub confusions: Vec<Confusion>,
    /// The most frequent mistakes: what it was, what it was taken for, how often, of how many.
    pub mistakes: Vec<(String, String, u64, u64)>,
    /// Test pictures with what the model said, evenly spaced over the test set.
    pub predictions: Vec<Prediction>,
    /// Wrong answers that the model was surest of.
    pub surest_mistakes: Vec<Prediction>,
    /// Pictures that were found to be copies.
    pub duplicates: Vec<DuplicatePair>,
    /// Command lines, and what they make.
    pub commands: (String, Vec<String>),
    /// Device, versions, seed: name and value.
    pub facts: Vec<(String, String)>,
    /// What is not shown, and how it can be.
    pub missing: Vec<String>,
}

/// What became of the pairs of one host.
#[derive(Clone, Debug, Default)]
pub struct HostTally {
    /// The host's name.
    pub host: String,
    /// Pairs seen.
    pub seen: u64,
    /// Pairs refused by the crawl or the selection.
    pub refused: u64,
    /// How often for which reason, the most frequent first.
    pub reasons: Vec<(String, u64)>,
}

/// A value logged over training steps.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it is, such as `loss`.
    pub name: String,
    /// What it is counted in, such as `nats`.
    pub unit: String,
    /// Step and value; values that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// Right answers among test pictures.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// What was asked, such as `seen combinations, top-1`.
    pub name: String,
    /// Right answers.
    pub correct: u64,
    /// Test pictures.
    pub n: u64,
    /// What guessing would give, 0 to 1.
    pub chance: f64,
}

/// Which classes were taken for which.
#[derive(Clone, Debug)]
pub struct Confusion {
    /// What the classes are, such as `first word`.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// `counts[truth][answer]`, one row and one column per class.
    pub counts: Vec<Vec<u64>>,
}

/// A test picture with the classes the model finds most probable.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The picture's file, JPEG or PNG.
    pub image: Vec<u8>,
    /// What it shows.
    pub truth: String,
    /// Classes and probabilities (0 to 1), best first.
    pub top: Vec<(String, f64)>,
}

/// A picture of the pool, as a report shows it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// A small JPEG or PNG file.
    pub image: Vec<u8>,
    /// Its caption.
    pub caption: String,
    /// Where it came from.
    pub url: String,
}

/// Two pictures that were found to be copies.
#[derive(Clone, Debug)]
pub struct DuplicatePair {
    /// The picture kept.
    pub kept: Shown,
    /// The picture merged into it or refused.
    pub copy: Shown,
    /// How it was found, such as `near-duplicate`.
    pub reason: String,
}

impl Accuracy {
    /// The share of right answers with its 95 % interval (Wilson 1927, z = 1.96): low, share, high. Without pictures
    /// nothing is known: 0, 0, 1.
    pub fn interval(&self) -> (f64, f64, f64) {
        const Z: f64 = 1.96;
        if self.n == 0 {
            return (0.0, 0.0, 1.0);
        }
        let n = self.n as f64;
        let share = (self.correct as f64 / n).min(1.0);
        let denominator = 1.0 + Z * Z / n;
        let centre = (share + Z * Z / (2.0 * n)) / denominator;
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
        ((centre - half).max(0.0), share, (centre + half).min(1.0))
    }
}

/// What a report is about.
pub struct Subject<'a> {
    /// The corpus and its selection's name.
    pub corpus: Option<(&'a Path, &'a str)>,
    /// The run.
    pub run: Option<&'a Path>,
    /// Manifests that the run was trained and evaluated on.
    pub manifests: &'a [PathBuf],
    /// How classes fall into groups whose accuracy is given apart; without it, by whether training captions hold them.
    pub classes: Option<Classes>,
}

/// Gathers all that files say about a subject.
///
/// # Errors
/// When a file that is there cannot be read.
pub fn gather(subject: &Subject) -> Result<ReportData, Failure> {
    let mut data = ReportData::default();
    if let Some((folder, selection)) = subject.corpus {
        corpus::gather(&mut data, folder, selection)?;
    }
    if let Some(folder) = subject.run {
        run::gather(&mut data, folder, subject.manifests, subject.classes.as_ref())?;
    }
    data.facts.insert(0, ("program".to_string(), format!("diptych {}", env!("CARGO_PKG_VERSION"))));
    Ok(data)
}

/// Writes the page and prints where it is.
///
/// # Errors
/// Usage when there is nothing to report on; otherwise what reading or writing met.
pub fn run(flags: &cli::Report) -> Result<(), Failure> {
    let usual = PathBuf::from("corpus");
    let corpus = flags.corpus.clone().or_else(|| (flags.run.is_none() && usual.is_dir()).then_some(usual));
    for (folder, what) in [(&corpus, "--corpus"), (&flags.run, "--run")] {
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Failure::Usage(format!("{what} {} is no folder", folder.display())));
        }
    }
    // A page about a folder that is no corpus would be empty.
    if let Some(folder) = &corpus {
        crate::corpus::Properties::read(folder)?;
    }
    let Some(home) = flags.run.as_ref().or(corpus.as_ref()) else {
        return Err(Failure::Usage("there is no corpus here: give --corpus DIR, --run DIR or both".to_string()));
    };
    let out = flags.out.clone().unwrap_or_else(|| home.join("report.html"));
    let progress = Progress::start("report", Unit::Things("parts"));
    let corpus = corpus.as_deref().map(|corpus| (corpus, flags.selection.as_str()));
    let subject = Subject { corpus, run: flags.run.as_deref(), manifests: &flags.manifest, classes: None };
    let mut data = gather(&subject)?;
    drop(progress);
    data.title = flags.title.clone().unwrap_or_else(|| title(subject.corpus.map(|(path, _)| path), subject.run));
    data.commands = ("what writes this page anew".to_string(), vec![std::env::args().map(quoted).collect::<Vec<_>>().join(" ")]);
    shards::write_atomic(&out, render(&data).as_bytes())?;
    println!("{}", out.display());
    Ok(())
}

fn title(corpus: Option<&Path>, run: Option<&Path>) -> String {
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let parts: Vec<String> = [corpus, run].into_iter().flatten().map(name).collect();
    format!("diptych: {}", parts.join(" and "))
}

/// A word as a shell would need it.
fn quoted(word: String) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c));
    if plain { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_agree_with_the_textbook() {
        let of = |correct, n| Accuracy { name: String::new(), correct, n, chance: 0.0 }.interval();
        // R: prop.test(81, 100, correct = FALSE) gives 0.7222 to 0.8749.
        let (low, share, high) = of(81, 100);
        assert!((low - 0.7222).abs() < 5e-4 && share == 0.81 && (high - 0.8749).abs() < 5e-4, "{low} {high}");
        let (low, _, high) = of(0, 10);
        assert!(low == 0.0 && (high - 0.2775).abs() < 5e-4, "{high}");
        assert_eq!(of(0, 0), (0.0, 0.0, 1.0));
    }

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("--out=a/b.html".into()), "--out=a/b.html");
        assert_eq!(quoted("it's $x".into()), "'it'\\''s $x'");
    }
}
