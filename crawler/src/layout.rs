//! The names of a corpus folder's files, and the inputs of recorded jobs. All numbers are job numbers.

use crate::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shards::{Job, PageLink};
use std::path::{Path, PathBuf};

/// Names the files of a corpus folder by job.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    corpus: PathBuf,
}

impl Layout {
    pub(crate) fn new(corpus: &Path) -> Self {
        Layout { corpus: corpus.to_path_buf() }
    }

    pub(crate) fn corpus(&self) -> &Path {
        &self.corpus
    }

    /// A folder of the corpus: `pool`, `candidates` or `plans`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.corpus.join(name)
    }

    /// The images and captions of a segment.
    pub(crate) fn tar(&self, job: u64) -> PathBuf {
        self.corpus.join(format!("pool/{job:05}.tar"))
    }

    /// The rows of a segment's tar.
    pub(crate) fn pool(&self, job: u64) -> PathBuf {
        self.corpus.join(format!("pool/{job:05}.parquet"))
    }

    /// Every pair that the job decided.
    pub(crate) fn candidates(&self, job: u64) -> PathBuf {
        self.corpus.join(format!("candidates/{job:05}.parquet"))
    }

    /// Pairs that the job leaves to a later one.
    pub(crate) fn plan(&self, job: u64) -> PathBuf {
        self.corpus.join(format!("plans/{job:05}.parquet"))
    }

    /// The file whose lock says that a crawl is at work.
    pub(crate) fn lock(&self) -> PathBuf {
        self.corpus.join("crawl.lock")
    }
}

/// The job number in a file name such as `00007.parquet`.
pub(crate) fn job_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// A sample's key: segment and row.
pub(crate) fn sample_key(job: u64, row: usize) -> String {
    format!("{job:05}{row:04}")
}

/// Input of a `Fetch` job: the number of the job whose plan file it fetches.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FetchPayload {
    pub(crate) plan: u64,
}

/// Input of a `Pages` job that took over the rest of another, as earlier versions recorded them: URL and depth of each page.
#[derive(Deserialize)]
struct PagesPayload {
    pages: Vec<(String, u32)>,
}

/// Writes a job's input.
pub(crate) fn payload(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Worker(format!("cannot write a job's input: {error}")))
}

/// Reads a job's input.
pub(crate) fn read_payload<T: DeserializeOwned>(job: &Job) -> Result<T, Error> {
    serde_json::from_str(&job.payload).map_err(|error| Error::Payload { job: job.id, why: error.to_string() })
}

/// The pages of a `Pages` job.
pub(crate) fn pages_of(job: &Job) -> Result<Vec<PageLink>, Error> {
    if !job.pages.is_empty() || job.payload.is_empty() {
        return Ok(job.pages.clone());
    }
    let PagesPayload { pages } = read_payload(job)?;
    Ok(pages.into_iter().map(|(url, depth)| PageLink { url, depth }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_job() {
        let layout = Layout::new(Path::new("/c"));
        assert_eq!(layout.tar(7), Path::new("/c/pool/00007.tar"));
        assert_eq!(job_of(&layout.candidates(123_456)), Some(123_456));
        assert_eq!(job_of(Path::new("x.parquet")), None);
        assert_eq!(sample_key(7, 12), "000070012");
    }
}
