//! Columns from JSON objects whose keys and types nobody promised: files of runs, written by this version or another.

use polars::prelude::*;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Most columns made; further keys of a strange file are left out.
const MAX_COLUMNS: usize = 1000;
/// Levels of nested objects that become columns; deeper ones stay JSON text.
const MAX_DEPTH: usize = 4;

/// The type of a column that exists before any object was seen.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Int,
    /// Any numbers.
    Float,
}

enum Cells {
    /// Nothing but nulls so far.
    Empty,
    Flag(Vec<Option<bool>>),
    Int(Vec<Option<i128>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

/// Rows of JSON objects on their way to a table. Columns appear with the first object that has them, earlier rows are
/// null there. Numbers that mix become floats, other mixtures text. An object within an object gives columns
/// `outer_inner`, a list its JSON text.
pub(crate) struct Records {
    columns: Vec<(String, Cells)>,
    index: HashMap<String, usize>,
    rows: usize,
}

impl Records {
    /// A table that has these columns even without rows.
    pub(crate) fn new(columns: &[(&str, Kind)]) -> Self {
        let mut records = Records { columns: Vec::new(), index: HashMap::new(), rows: 0 };
        for (name, kind) in columns {
            let cells = match kind {
                Kind::Text => Cells::Text(Vec::new()),
                Kind::Int => Cells::Int(Vec::new()),
                Kind::Float => Cells::Float(Vec::new()),
            };
            records.index.insert((*name).to_string(), records.columns.len());
            records.columns.push(((*name).to_string(), cells));
        }
        records
    }

    /// Adds a row: `fixed` columns, then those of `object`. A key that is taken in this row is left out.
    pub(crate) fn push(&mut self, fixed: &[(&str, &str)], object: &Map<String, Value>) {
        for (name, text) in fixed {
            self.set((*name).to_string(), &Value::from(*text));
        }
        self.set_all("", object, 0);
        self.rows += 1;
    }

    fn set_all(&mut self, prefix: &str, object: &Map<String, Value>, depth: usize) {
        for (key, value) in object {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}_{key}") };
            match value {
                Value::Object(inner) if depth < MAX_DEPTH => self.set_all(&name, inner, depth + 1),
                value => self.set(name, value),
            }
        }
    }

    fn set(&mut self, name: String, value: &Value) {
        let at = match self.index.get(&name) {
            Some(&at) => at,
            None if self.columns.len() >= MAX_COLUMNS => return,
            None => {
                self.index.insert(name.clone(), self.columns.len());
                self.columns.push((name, Cells::Empty));
                self.columns.len() - 1
            }
        };
        self.columns[at].1.set(self.rows, value);
    }

    /// The table.
    ///
    /// # Errors
    /// When the table library refuses, which equal lengths rule out.
    pub(crate) fn frame(self) -> PolarsResult<DataFrame> {
        let rows = self.rows;
        DataFrame::new(rows, self.columns.into_iter().map(|(name, cells)| cells.column(name.into(), rows)).collect())
    }
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Cells::Empty => 0,
            Cells::Flag(values) => values.len(),
            Cells::Int(values) => values.len(),
            Cells::Float(values) => values.len(),
            Cells::Text(values) => values.len(),
        }
    }

    fn pad(&mut self, rows: usize) {
        match self {
            Cells::Empty => {}
            Cells::Flag(values) => values.resize(rows, None),
            Cells::Int(values) => values.resize(rows, None),
            Cells::Float(values) => values.resize(rows, None),
            Cells::Text(values) => values.resize(rows, None),
        }
    }

    fn set(&mut self, row: usize, value: &Value) {
        if value.is_null() || self.len() > row {
            return;
        }
        self.widen(value);
        self.pad(row);
        match self {
            Cells::Empty => {}
            Cells::Flag(values) => values.push(value.as_bool()),
            Cells::Int(values) => values.push(whole(value)),
            Cells::Float(values) => values.push(value.as_f64()),
            Cells::Text(values) => values.push(Some(text(value))),
        }
    }

    /// Changes the type to one that holds what is there and `value`.
    fn widen(&mut self, value: &Value) {
        let fits = match (&*self, value) {
            (Cells::Text(_), _) | (Cells::Flag(_), Value::Bool(_)) | (Cells::Float(_), Value::Number(_)) => true,
            (Cells::Int(_), value) => whole(value).is_some(),
            _ => false,
        };
        if fits {
            return;
        }
        *self = match (std::mem::replace(self, Cells::Empty), value) {
            (Cells::Empty, Value::Bool(_)) => Cells::Flag(Vec::new()),
            (Cells::Empty, Value::Number(_)) if whole(value).is_some() => Cells::Int(Vec::new()),
            (Cells::Empty, Value::Number(_)) => Cells::Float(Vec::new()),
            (Cells::Int(values), Value::Number(_)) => Cells::Float(values.into_iter().map(|value| value.map(|n| n as f64)).collect()),
            (cells, _) => Cells::Text(cells.texts()),
        };
    }

    fn texts(self) -> Vec<Option<String>> {
        match self {
            Cells::Empty => Vec::new(),
            Cells::Flag(values) => values.into_iter().map(|value| value.map(|v| v.to_string())).collect(),
            Cells::Int(values) => values.into_iter().map(|value| value.map(|v| v.to_string())).collect(),
            Cells::Float(values) => values.into_iter().map(|value| value.map(|v| text(&Value::from(v)))).collect(),
            Cells::Text(values) => values,
        }
    }

    fn column(mut self, name: PlSmallStr, rows: usize) -> Column {
        self.pad(rows);
        match self {
            Cells::Empty => Column::full_null(name, rows, &DataType::String),
            Cells::Flag(values) => Column::new(name, values),
            Cells::Float(values) => Column::new(name, values),
            Cells::Text(values) => Column::new(name, values),
            Cells::Int(values) => whole_column(name, values),
        }
    }
}

/// Signed where that holds all, unsigned for such as seeds of 64 bits, text for a mixture of both extremes.
fn whole_column(name: PlSmallStr, values: Vec<Option<i128>>) -> Column {
    let signed: Result<Vec<Option<i64>>, _> = values.iter().map(|value| value.map(i64::try_from).transpose()).collect();
    if let Ok(signed) = signed {
        return Column::new(name, signed);
    }
    let unsigned: Result<Vec<Option<u64>>, _> = values.iter().map(|value| value.map(u64::try_from).transpose()).collect();
    match unsigned {
        Ok(unsigned) => Column::new(name, unsigned),
        Err(_) => Column::new(name, Cells::Int(values).texts()),
    }
}

fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

/// A string as it is, anything else as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(lines: &[&str]) -> DataFrame {
        let mut records = Records::new(&[("run", Kind::Text), ("step", Kind::Int)]);
        for line in lines {
            records.push(&[("run", "a")], serde_json::from_str::<Value>(line).expect("json").as_object().expect("an object"));
        }
        records.frame().expect("equal lengths")
    }

    #[test]
    fn columns_exist_without_rows() {
        assert_eq!(frame(&[]).schema(), frame(&[r#"{"step": 1}"#]).schema());
    }

    #[test]
    fn columns_widen_and_fill_with_nulls() {
        let frame = frame(&[r#"{"a": 1}"#, r#"{"a": 2.5, "b": true, "deep": {"x": [1, 2]}}"#, r#"{"b": "no", "run": "other", "c": null}"#]);
        assert_eq!(frame.column("a").expect("there").f64().expect("floats").iter().collect::<Vec<_>>(), [Some(1.0), Some(2.5), None]);
        assert_eq!(frame.column("b").expect("there").str().expect("texts").iter().collect::<Vec<_>>(), [None, Some("true"), Some("no")]);
        assert_eq!(frame.column("deep_x").expect("there").str().expect("texts").get(1), Some("[1,2]"));
        assert_eq!(frame.column("run").expect("there").str().expect("texts").get(2), Some("a"));
        assert_eq!(frame.column("c").expect("there").null_count(), 3);
    }

    #[test]
    fn whole_numbers_keep_all_digits() {
        let large = frame(&[r#"{"seed": 18446744073709551615}"#, r#"{"seed": 0}"#]);
        assert_eq!(large.column("seed").expect("there").u64().expect("unsigned").get(0), Some(u64::MAX));
        let mixed = frame(&[r#"{"seed": 18446744073709551615}"#, r#"{"seed": -1}"#]);
        assert_eq!(mixed.column("seed").expect("there").str().expect("text").get(0), Some("18446744073709551615"));
    }

    #[test]
    fn a_strange_file_makes_no_endless_table() {
        let many: String = (0..5000).map(|n| format!("\"k{n}\": 1,")).collect();
        assert_eq!(frame(&[&format!("{{{} \"z\": 1}}", many)]).width(), MAX_COLUMNS);
    }
}
