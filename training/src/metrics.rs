//! `metrics.jsonl`: how a training went, one JSON object a line, for SQL and plots.

use crate::Error;
use serde::{Deserialize, Serialize};
use shards::write_atomic;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file's name in a run's folder.
const FILE: &str = "metrics.jsonl";

/// One row: what happened since the row before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Optimiser steps taken.
    pub step: u64,
    /// Passes over the corpus, with fractions.
    pub epoch: f64,
    /// Mean loss of the steps since the last row.
    pub loss: f64,
    /// The learning rate of this step.
    pub lr: f64,
    /// The factor on similarities, at most 100.
    pub scale: f64,
    /// Length of this step's gradient over all weights.
    pub grad_norm: f64,
    /// Samples a second since the last row.
    pub samples_per_second: f64,
    /// Share of the time since the last row that was spent waiting for data.
    pub data_wait: f64,
    /// Seconds of each step since the last row, on average, that the trainer waited for its batch.
    #[serde(default)]
    pub wait_seconds: f64,
    /// Seconds of each step that it computed.
    #[serde(default)]
    pub step_seconds: f64,
    /// Seconds, summed over the loader's threads, that were spent for each step on decoding and all that follows it.
    #[serde(default)]
    pub decode_seconds: f64,
    /// Seconds, likewise, that these threads waited for archives to be read.
    #[serde(default)]
    pub read_seconds: f64,
    /// Seconds of training so far, all sessions of a resumed run together.
    pub seconds: f64,
    /// Damaged samples replaced so far.
    pub damaged: u64,
}

/// Appends rows.
pub struct MetricsWriter {
    file: File,
    path: PathBuf,
}

impl MetricsWriter {
    /// Opens the file in `folder` to go on after `step`: rows of later steps and a half-written last line are dropped.
    ///
    /// # Errors
    /// `Shards` when the file cannot be read or written.
    pub fn resume(folder: &Path, step: u64) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let mut kept = String::new();
        for row in Metrics::read(folder)?.into_iter().filter(|row| row.step <= step) {
            kept += &row.line();
        }
        write_atomic(&path, kept.as_bytes())?;
        let file = File::options().append(true).open(&path).map_err(shards::Error::io("open", &path))?;
        Ok(MetricsWriter { file, path })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// `Shards` on a full disk.
    pub fn push(&mut self, row: &Metrics) -> Result<(), Error> {
        Ok(self.file.write_all(row.line().as_bytes()).map_err(shards::Error::io("write", &self.path))?)
    }
}

impl Metrics {
    /// All whole rows of the run in `folder`; none when the file is missing.
    ///
    /// # Errors
    /// `Shards` when the file cannot be read.
    pub fn read(folder: &Path) -> Result<Vec<Metrics>, Error> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(shards::Error::io("read", &path)(error).into()),
        }
    }

    fn line(&self) -> String {
        // Only maps with keys that are not strings could fail; this is a struct of numbers.
        serde_json::to_string(self).map(|line| line + "\n").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_older_runs_are_read() {
        let old = r#"{"step":10,"epoch":0.5,"loss":3.25,"lr":0.001,"scale":14.3,"grad_norm":1.0,"samples_per_second":800.0,"data_wait":0.01,"seconds":9.0,"damaged":0}"#;
        let row: Metrics = serde_json::from_str(old).expect("read");
        assert_eq!((row.step, row.step_seconds), (10, 0.0));
    }

    #[test]
    fn later_rows_and_half_lines_go_on_resume() {
        let dir = tempfile::tempdir().expect("a folder");
        let row = |step| Metrics {
            step,
            epoch: 0.5,
            loss: 3.25,
            lr: 1e-3,
            scale: 14.3,
            grad_norm: 1.0,
            samples_per_second: 800.0,
            data_wait: 0.01,
            wait_seconds: 0.001,
            step_seconds: 0.1,
            decode_seconds: 0.08,
            read_seconds: 0.0,
            seconds: 9.0,
            damaged: 0,
        };
        let mut metrics = MetricsWriter::resume(dir.path(), 0).expect("begun");
        (1..=5).for_each(|step| metrics.push(&row(10 * step)).expect("written"));
        metrics.file.write_all(b"{\"step\":60,\"epo").expect("written");
        let mut metrics = MetricsWriter::resume(dir.path(), 30).expect("resumed");
        metrics.push(&row(40)).expect("written");
        let steps: Vec<u64> = Metrics::read(dir.path()).expect("read").iter().map(|row| row.step).collect();
        assert_eq!(steps, [10, 20, 30, 40]);
        assert_eq!(Metrics::read(dir.path()).expect("read")[3], row(40));
    }
}
