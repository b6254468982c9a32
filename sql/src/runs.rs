//! Tables over folders with a `meta.json`: runs with their metrics, and selections. Written to be read by any version, so lenient.

use crate::Error;
use crate::records::{Kind, Records, text};
use polars::prelude::{DataFrame, PolarsResult};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line or file of JSON believed, in bytes.
const MAX_JSON: u64 = 16 << 20;

/// One row per run: its name, and the properties and parents of its `meta.json` as columns (`parent_ROLE`).
pub(crate) fn runs(folder: &Path) -> Result<DataFrame, Error> {
    described("runs", "run", &[], folder)
}

/// One row per selection of a corpus: as [`runs`].
pub(crate) fn selections(corpus: Option<&Path>) -> Result<DataFrame, Error> {
    // No folder is never found, and so has no selections.
    let counts = [("pairs", Kind::Int), ("kept", Kind::Int), ("samples", Kind::Int), ("per_query", Kind::Int)];
    described("selections", "selection", &counts, &corpus.map(|corpus| corpus.join("selection")).unwrap_or_default())
}

/// One row per folder in `folder`, with what its `meta.json` says; the `known` properties are columns even without rows.
fn described(name: &'static str, column: &str, known: &[(&str, Kind)], folder: &Path) -> Result<DataFrame, Error> {
    let mut records = Records::new(&[&[(column, Kind::Text), ("version", Kind::Int), ("error", Kind::Text)], known].concat());
    for (name, path) in entries(folder, Path::is_dir)? {
        match description(&path) {
            Ok(Some(meta)) => {
                let mut row = meta.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                row.extend(meta.get("version").map(|version| ("version".to_string(), version.clone())));
                row.extend(meta.get("parents").map(|parents| ("parent".to_string(), parents.clone())));
                records.push(&[(column, &name)], &row);
            }
            Ok(None) => records.push(&[(column, &name)], &Map::new()),
            Err(why) => records.push(&[(column, &name), ("error", &why)], &Map::new()),
        }
    }
    table(name, folder, records.frame())
}

/// One row per run and property: what [`runs`] has, for those who do not know the names.
pub(crate) fn run_properties(folder: &Path) -> Result<DataFrame, Error> {
    let mut records = Records::new(&[("run", Kind::Text), ("property", Kind::Text), ("value", Kind::Text)]);
    for (name, run) in entries(folder, Path::is_dir)? {
        for (property, value) in properties(&run) {
            records.push(&[("run", &name), ("property", &property), ("value", &value)], &Map::new());
        }
    }
    table("run_properties", folder, records.frame())
}

/// One row per property of the corpus.
pub(crate) fn corpus(folder: Option<&Path>) -> Result<DataFrame, Error> {
    let mut records = Records::new(&[("property", Kind::Text), ("value", Kind::Text)]);
    for (property, value) in folder.map(properties).unwrap_or_default() {
        records.push(&[("property", &property), ("value", &value)], &Map::new());
    }
    table("corpus", folder.unwrap_or(Path::new("")), records.frame())
}

/// One row per line of `RUN/metrics.jsonl`. A line that is no JSON object is passed over: a killed run cuts its last one.
pub(crate) fn metrics(folder: &Path) -> Result<DataFrame, Error> {
    const FLOATS: [&str; 12] = [
        "epoch",
        "loss",
        "lr",
        "scale",
        "grad_norm",
        "samples_per_second",
        "data_wait",
        "wait_seconds",
        "step_seconds",
        "decode_seconds",
        "read_seconds",
        "seconds",
    ];
    let mut known = vec![("run", Kind::Text), ("step", Kind::Int)];
    known.extend(FLOATS.map(|name| (name, Kind::Float)));
    known.push(("damaged", Kind::Int));
    let mut records = Records::new(&known);
    for (name, run) in entries(folder, Path::is_dir)? {
        let path = run.join("metrics.jsonl");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line).map_err(Error::io("read", &path))? {
            if let Ok(Value::Object(row)) = serde_json::from_slice(&line) {
                records.push(&[("run", &name)], &row);
            }
        }
    }
    table("metrics", folder, records.frame())
}

pub(crate) fn table(table: &'static str, path: &Path, frame: PolarsResult<DataFrame>) -> Result<DataFrame, Error> {
    frame.map_err(|source| Error::Table { table, path: path.to_path_buf(), source })
}

/// Entries of a folder by name, in order; none when there is no folder.
pub(crate) fn entries(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<(String, PathBuf)>, Error> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("list", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if wanted(&path) {
            found.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The properties and parents of a folder's `meta.json`; `error` when it cannot be read.
fn properties(folder: &Path) -> Vec<(String, String)> {
    let meta = match description(folder) {
        Ok(meta) => meta.unwrap_or_default(),
        Err(why) => return vec![("error".to_string(), why)],
    };
    let of = |key: &str| meta.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let kept = of("properties").into_iter().map(|(name, value)| (name, text(&value)));
    kept.chain(of("parents").into_iter().map(|(role, hash)| (format!("parent_{role}"), text(&hash)))).collect()
}

fn description(folder: &Path) -> Result<Option<Map<String, Value>>, String> {
    let path = folder.join("meta.json");
    if !path.exists() {
        return Ok(None);
    }
    match json(&path)? {
        Value::Object(meta) => Ok(Some(meta)),
        _ => Err("meta.json is no JSON object".to_string()),
    }
}

fn json(path: &Path) -> Result<Value, String> {
    read_json(path, MAX_JSON)
}

/// The JSON value of a file; what lies beyond `most` bytes is not read.
pub(crate) fn read_json(path: &Path, most: u64) -> Result<Value, String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// Reads a line into `line`; false at the end. A line over the limit comes in pieces, none of which is JSON.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    reader.take(MAX_JSON).read_until(b'\n', line).map(|read| read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    #[test]
    fn no_runs_are_empty_tables() {
        let none = Path::new("/nowhere/runs");
        for frame in [runs(none), run_properties(none), metrics(none)] {
            let frame = frame.expect("empty");
            assert!(frame.height() == 0 && frame.width() >= 2);
        }
    }

    #[test]
    fn damaged_files_leave_the_rest_readable() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        write(
            &at("a/meta.json"),
            r#"{"kind": "run", "version": 1, "properties": {"model": "small", "lr": 0.1}, "parents": {"manifest": "f00"}}"#,
        );
        write(&at("b/meta.json"), "{ cut");
        write(&at("a/metrics.jsonl"), "{\"step\": 1, \"loss\": 2.5}\nnonsense\n{\"step\": 2, \"loss\": 2}\n{\"step\": 3, \"lo");
        write(&at("stray.txt"), "no run");

        let runs = runs(dir.path()).expect("read");
        assert_eq!(runs.height(), 2);
        assert_eq!(runs.column("model").expect("there").str().expect("text").get(0), Some("small"));
        assert_eq!(runs.column("parent_manifest").expect("there").str().expect("text").get(0), Some("f00"));
        assert!(runs.column("error").expect("there").str().expect("text").get(1).is_some());
        let metrics = metrics(dir.path()).expect("read");
        let loss: Vec<_> = metrics.column("loss").expect("there").f64().expect("floats").iter().collect();
        assert_eq!(loss, [Some(2.5), Some(2.0)]);
        assert!(run_properties(dir.path()).expect("read").height() >= 4);
    }

    #[test]
    fn a_folder_that_is_a_file_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(metrics(file.path()).expect_err("refused").to_string().starts_with("cannot list"));
    }
}
