//! Tables over `RUN/evals/*.json`: results, the classes in them, and what was said of each picture. Written to be read by any version,
//! so lenient.

use crate::Error;
use crate::records::{Kind, Records};
use crate::runs::{entries, read_json, table};
use polars::prelude::DataFrame;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Longest file of a result believed, in bytes: about 2 million pictures.
const MAX_JSON: u64 = 256 << 20;

/// One row per JSON object of the files; a file that cannot be read has a row that says why. What has a row per class or picture is in
/// [`class_results`] and [`predictions`].
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn evals(folder: &Path) -> Result<DataFrame, Error> {
    let mut known = vec![("run", Kind::Text), ("file", Kind::Text), ("task", Kind::Text), ("error", Kind::Text), ("n", Kind::Int)];
    known.extend(["top1", "top5", "mean_per_class"].map(|name| (name, Kind::Float)));
    let mut records = Records::new(&known);
    each(folder, |run, file, result| {
        let fixed = [("run", run), ("file", file)];
        match result {
            Ok(result) => {
                let is_list = |value: &Value| value.as_array().is_some_and(|all| all.iter().any(|one| one.is_array() || one.is_object()));
                let row = result.iter().filter(|(_, value)| !is_list(value)).map(|(name, value)| (name.clone(), value.clone()));
                records.push(&fixed, &row.collect());
            }
            Err(why) => records.push(&[fixed[0], fixed[1], ("error", why)], &Map::new()),
        }
    })?;
    table("evals", folder, records.frame())
}

/// One row per result and class.
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn class_results(folder: &Path) -> Result<DataFrame, Error> {
    let mut records =
        Records::new(&[("run", Kind::Text), ("file", Kind::Text), ("class", Kind::Text), ("n", Kind::Int), ("correct", Kind::Int)]);
    each(folder, |run, file, result| {
        for class in result.ok().and_then(|result| result.get("per_class")).and_then(Value::as_array).into_iter().flatten() {
            let row = json!({ "class": class.get("name"), "n": class.get("n"), "correct": class.get("correct") });
            records.push(&[("run", run), ("file", file)], row.as_object().unwrap_or(&Map::new()));
        }
    })?;
    table("class_results", folder, records.frame())
}

/// One row per result and picture.
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn predictions(folder: &Path) -> Result<DataFrame, Error> {
    let texts = ["run", "file", "sample_key", "class", "answer"].map(|name| (name, Kind::Text));
    let mut records = Records::new(&[&texts[..], &[("probability", Kind::Float), ("right", Kind::Int)]].concat());
    each(folder, |run, file, result| {
        let Ok(result) = result else { return };
        let of = |key: &str| result.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let classes = of("per_class");
        let name = |label: Option<u64>| {
            let label = label?;
            classes.get(usize::try_from(label).ok()?).and_then(|class| class.get("name")).cloned().or(Some(label.to_string().into()))
        };
        for prediction in of("predictions") {
            let label = prediction.get("label").and_then(Value::as_u64);
            let first = prediction.get("top").and_then(|top| top.get(0));
            let answer = first.and_then(|pair| pair.get(0)).and_then(Value::as_u64);
            let row = json!({
                "sample_key": prediction.get("sample_key"),
                "class": name(label),
                "answer": name(answer),
                "probability": first.and_then(|pair| pair.get(1)),
                "right": u8::from(label.is_some() && label == answer),
            });
            records.push(&[("run", run), ("file", file)], row.as_object().unwrap_or(&Map::new()));
        }
    })?;
    table("predictions", folder, records.frame())
}

/// Calls `found` with the run, the file and each object in it, or why there is none.
fn each(folder: &Path, mut found: impl FnMut(&str, &str, Result<&Map<String, Value>, &str>)) -> Result<(), Error> {
    for (run, path) in entries(folder, Path::is_dir)? {
        for (file, path) in entries(&path.join("evals"), |path| path.extension().is_some_and(|end| end == "json"))? {
            match read_json(&path, MAX_JSON) {
                Ok(Value::Object(result)) => found(&run, &file, Ok(&result)),
                Ok(Value::Array(results)) => results.iter().filter_map(Value::as_object).for_each(|result| found(&run, &file, Ok(result))),
                Ok(_) => found(&run, &file, Err("neither an object nor a list of objects")),
                Err(why) => found(&run, &file, Err(&why)),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_classes_and_pictures_are_tables() {
        let none = Path::new("/nowhere/runs");
        for frame in [evals(none), class_results(none), predictions(none)] {
            assert_eq!(frame.expect("empty").height(), 0);
        }
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("a/evals");
        std::fs::create_dir_all(&folder).expect("made");
        let result = json!({
            "top1": 0.5, "templates": ["a {}.", "the {}."], "classes": { "cat": 0.7 }, "confusion": [[1, 0], [1, 0]],
            "per_class": [{ "name": "cat", "n": 1, "correct": 1 }, { "name": "dog", "n": 1, "correct": 0 }],
            "predictions": [{ "sample_key": "1", "label": 0, "top": [[0, 0.75], [1, 0.25]] }, { "sample_key": "2", "label": 1, "top": [[0, 0.5]] },
                { "sample_key": "3", "label": 7, "top": [] }],
        });
        std::fs::write(folder.join("cifar.json"), result.to_string()).expect("written");
        std::fs::write(folder.join("odd.json"), "7").expect("written");

        let evals = evals(dir.path()).expect("read");
        let text = |frame: &DataFrame, column: &str| -> Vec<String> {
            let column = frame.column(column).expect("there").str().expect("text");
            column.iter().map(|text| text.unwrap_or("none").to_string()).collect()
        };
        assert_eq!(evals.column("classes_cat").expect("there").f64().expect("floats").get(0), Some(0.7));
        assert!(text(&evals, "error")[1].contains("neither") && text(&evals, "templates")[0].contains("the {}."));
        assert!(evals.column("predictions").is_err() && evals.column("confusion").is_err());
        assert_eq!(text(&class_results(dir.path()).expect("read"), "class"), ["cat", "dog"]);
        let predictions = predictions(dir.path()).expect("read");
        assert_eq!(text(&predictions, "class"), ["cat", "dog", "7"]);
        assert_eq!(text(&predictions, "answer"), ["cat", "cat", "none"]);
        let right: Vec<_> = predictions.column("right").expect("there").i64().expect("numbers").iter().collect();
        assert_eq!(right, [Some(1), Some(0), Some(0)]);
    }
}
