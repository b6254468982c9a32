//! Runs one target on one input after the other and keeps those that fail.

use crate::{Mutator, Target};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An input may take so long: readers are linear, and inputs short.
const PATIENCE: Duration = Duration::from_secs(10);

/// A target under test.
pub struct Fuzzer<'t> {
    target: &'t Target,
    mutator: Mutator<'t>,
    kept: PathBuf,
    work: tempfile::TempDir,
    /// What takes longer has run away.
    pub patience: Duration,
}

/// An input that a target did not survive.
#[derive(Debug)]
pub struct Failed {
    /// Where the input is kept.
    pub input: PathBuf,
    /// What happened.
    pub why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the input is {}", self.why, self.input.display())
    }
}

impl<'t> Fuzzer<'t> {
    /// Keeps failing inputs in `kept`.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn new(target: &'t Target, seed: u64, kept: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&kept)?;
        let mutator = Mutator::new(&target.samples, target.marks, seed);
        Ok(Fuzzer { target, mutator, kept, work: tempfile::tempdir()?, patience: PATIENCE })
    }

    /// Tries the next input.
    ///
    /// # Errors
    /// When the target panicked, took too long, or the input cannot be kept.
    // No iterator: an error does not end it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<(), Failed> {
        let input = self.mutator.input();
        // Written first: an input that ends the whole process is still there afterwards.
        let running = self.kept.join(format!("{}.running", self.target.name));
        let lost = |error: std::io::Error| Failed { input: running.clone(), why: format!("cannot be written: {error}") };
        std::fs::write(&running, &input).map_err(lost)?;
        let begin = Instant::now();
        let result = read(self.target, &input, self.work.path());
        let why = match result {
            Err(why) => why,
            Ok(()) if begin.elapsed() > self.patience => format!("{} took {:.1} s", self.target.name, begin.elapsed().as_secs_f64()),
            Ok(()) => return std::fs::remove_file(&running).map_err(lost),
        };
        let hash = blake3::hash(&input).to_hex();
        let path = self.kept.join(format!("{}-{}", self.target.name, &hash[..16]));
        std::fs::rename(&running, &path).map_err(lost)?;
        Err(Failed { input: path, why })
    }

    /// Tries one input again.
    ///
    /// # Errors
    /// What happened, when the target panicked.
    pub fn replay(target: &Target, input: &[u8]) -> Result<(), String> {
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        read(target, input, work.path())
    }
}

/// Reads an input; whatever the reader leaves in its folder is removed.
fn read(target: &Target, input: &[u8], work: &Path) -> Result<(), String> {
    let result = catch_unwind(AssertUnwindSafe(|| (target.read)(input, work)));
    for entry in std::fs::read_dir(work).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        format!("{} panicked: {}", target.name, text.unwrap_or_default())
    })
}
