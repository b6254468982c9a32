//! `report.html`: one self-contained page about a run.
//!
//! Plain values in, a string out: it reads no file and knows no stage. `page` lays the sections out, `plot` draws the figures.

mod html;
mod page;
mod plot;

pub use page::render;

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
    /// Pairs per query before the cap, in any order.
    pub pairs_before: Vec<u64>,
    /// Pairs per query after it.
    pub pairs_after: Vec<u64>,
    /// The cap, drawn as a line.
    pub per_query: Option<u64>,
    /// What was logged during training.
    pub curves: Vec<Curve>,
    /// Accuracies on test pictures.
    pub accuracies: Vec<Accuracy>,
    /// Which classes were taken for which.
    pub confusion: Option<Confusion>,
    /// Test pictures with what the model said.
    pub predictions: Vec<Prediction>,
    /// Pictures that were found to be copies.
    pub duplicates: Vec<DuplicatePair>,
    /// The command lines that make this run again.
    pub commands: Vec<String>,
    /// Device, versions, seed: name and value.
    pub facts: Vec<(String, String)>,
}

/// A value logged over training steps.
#[derive(Clone, Debug)]
pub struct Curve {
    /// What it is, such as `loss`.
    pub name: String,
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

/// Two pictures that were found to be copies.
#[derive(Clone, Debug)]
pub struct DuplicatePair {
    /// The picture kept: a JPEG or PNG file.
    pub kept: Vec<u8>,
    /// The picture merged into it or refused.
    pub copy: Vec<u8>,
    /// How it was found, such as `near-duplicate, 3 bits apart`.
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
}
