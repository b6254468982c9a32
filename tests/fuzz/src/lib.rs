//! Feeds damaged input to readers of foreign bytes, for as long as one likes: `make fuzz`. Not here yet: tables, which have property tests
//! in their rooms.
//!
//! A [`Target`] has whole samples and a function that reads bytes as the program does. The [`Fuzzer`] damages samples by a seeded draw
//! ([`Mutator`]) and looks for inputs that make the function panic or run away; what the function answers does not matter. There is no
//! feedback from coverage, which needs a nightly compiler; instead a target names the marks of its format, and they are planted,
//! repeated and torn apart.
//!
//! To add a target: write a function and samples in a file named after the room, and list them in [`targets`].

mod crawler;
mod curation;
mod fuzzer;
mod mutator;
mod shards;

pub use fuzzer::{Failed, Fuzzer};
pub use mutator::Mutator;

use std::io::Write;
use std::path::Path;

/// A reader of foreign bytes.
pub struct Target {
    /// What it is called on the command line and in the names of kept inputs.
    pub name: &'static str,
    /// Whole inputs to begin with.
    pub samples: Vec<Vec<u8>>,
    /// Marks of the format.
    pub marks: &'static [&'static str],
    /// Reads an input as the program does; the folder is its own, and empty at first. A panic is a finding, an error is none.
    pub read: fn(&[u8], &Path),
}

/// All targets of all rooms.
pub fn targets() -> Vec<Target> {
    [curation::targets(), crawler::targets(), shards::targets()].into_iter().flatten().collect()
}

/// Bytes as one gzip member, for samples.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory is written to")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Inputs for each target: enough to meet each kind of damage many times, and a second or two.
    const INPUTS: u64 = 300;

    #[test]
    fn readers_survive_the_first_inputs() {
        let folder = tempfile::tempdir().expect("a folder");
        for target in targets() {
            let mut fuzzer = Fuzzer::new(&target, 1, folder.path().to_path_buf()).expect("a folder");
            (0..INPUTS).for_each(|_| fuzzer.next().unwrap_or_else(|failed| panic!("{failed}")));
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0, "no input is kept");
    }

    #[test]
    fn a_panic_is_found_and_its_input_kept() {
        let read = |bytes: &[u8], _: &Path| assert!(!bytes.windows(3).any(|three| three == b"<x>"));
        let target = Target { name: "fragile", samples: vec![b"<a>text</a>".to_vec()], marks: &["<x>"], read };
        let folder = tempfile::tempdir().expect("a folder");
        let mut fuzzer = Fuzzer::new(&target, 1, folder.path().to_path_buf()).expect("a folder");
        let failed = (0..10_000).find_map(|_| fuzzer.next().err()).expect("found");
        let kept = std::fs::read(&failed.input).expect("kept");
        assert!(kept.windows(3).any(|three| three == b"<x>"), "{failed}");
        assert!(Fuzzer::replay(&target, &kept).is_err());
    }

    #[test]
    fn an_input_that_takes_too_long_is_found() {
        let read = |_: &[u8], _: &Path| std::thread::sleep(Duration::from_millis(20));
        let target = Target { name: "slow", samples: vec![b"text".to_vec()], marks: &[], read };
        let folder = tempfile::tempdir().expect("a folder");
        let mut fuzzer = Fuzzer::new(&target, 1, folder.path().to_path_buf()).expect("a folder");
        fuzzer.patience = Duration::from_millis(5);
        assert!(fuzzer.next().expect_err("slow").why.contains("took"));
    }
}
