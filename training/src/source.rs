//! A manifest to train on and how much of it: what `--manifest FILE:WEIGHT` says.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A manifest and the factor on its samples' weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The manifest.
    pub manifest: PathBuf,
    /// How often each of its samples comes in an epoch, on average, times the sample's own weight.
    pub weight: f64,
}

impl From<PathBuf> for Source {
    fn from(manifest: PathBuf) -> Self {
        Source { manifest, weight: 1.0 }
    }
}

impl FromStr for Source {
    type Err = String;

    /// `FILE` or `FILE:WEIGHT`. A file whose whole name ends like a weight is taken as a file if it is there.
    fn from_str(text: &str) -> Result<Self, String> {
        let whole = PathBuf::from(text);
        let Some((file, weight)) = text.rsplit_once(':').filter(|(file, _)| !file.is_empty() && !Path::new(text).exists()) else {
            return Ok(whole.into());
        };
        match weight.parse::<f64>() {
            Ok(weight) if weight > 0.0 && weight <= crate::samples::MAX_WEIGHT => Ok(Source { manifest: file.into(), weight }),
            Ok(_) => Err(format!("the weight {weight} is not above 0 and at most {}", crate::samples::MAX_WEIGHT)),
            Err(_) => Ok(whole.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_stands_after_the_last_colon() {
        let source = |text: &str| text.parse::<Source>();
        assert_eq!(source("a/m.parquet"), Ok(PathBuf::from("a/m.parquet").into()));
        assert_eq!(source("a/m.parquet:0.25"), Ok(Source { manifest: "a/m.parquet".into(), weight: 0.25 }));
        assert_eq!(source("s3://a/m.parquet:3"), Ok(Source { manifest: "s3://a/m.parquet".into(), weight: 3.0 }));
        assert_eq!(source("s3://a/m.parquet"), Ok(PathBuf::from("s3://a/m.parquet").into()));
        for bad in ["m.parquet:0", "m.parquet:-1", "m.parquet:nan", "m.parquet:1e9"] {
            assert!(source(bad).is_err(), "{bad}");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let odd = dir.path().join("m:2");
        std::fs::write(&odd, b"").expect("written");
        assert_eq!(source(odd.to_str().expect("text")), Ok(odd.into()));
    }
}
