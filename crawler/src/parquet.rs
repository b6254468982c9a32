//! URL lists in Parquet: the rows of a stretch, each value as JSON.

use crate::urls::{MAX_EXTRA, Rows, Stretch};
use polars::io::SerReader;
use polars::io::parquet::metadata::FileMetadata;
use polars::io::parquet::read::ParquetReader;
use polars::prelude::{AnyValue, ArrowDataType, Column, DataFrame, PolarsError, PolarsResult, TimeUnit};
use serde_json::{Map, Value};
use shards::caught;
use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Most digits of a decimal number that can be read.
const MAX_DIGITS: usize = 38;
/// Rows of a list, and values of a column in a group of rows, that are believed.
const MAX_ROWS: u64 = 1 << 36;
const MAX_VALUES: u64 = 1 << 33;

/// Opens a list without what Arrow notes of its own types: dictionaries (pandas' categoricals) are texts then, and arrays of a fixed
/// length are lists.
fn open(path: &Path) -> PolarsResult<ParquetReader<File>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = ParquetReader::new(file);
    let mut metadata = FileMetadata::clone(reader.get_metadata()?);
    check(&metadata, length)?;
    metadata.key_value_metadata = None;
    reader.set_metadata(Arc::new(metadata));
    Ok(reader)
}

/// Refuses a list whose footer cannot be true, before memory is taken for what it says.
fn check(metadata: &FileMetadata, length: u64) -> PolarsResult<()> {
    let is_true = metadata.num_rows as u64 <= MAX_ROWS
        && metadata.row_groups.iter().all(|group| {
            group.num_rows() as u64 <= MAX_ROWS
                && group.parquet_columns().iter().all(|column| {
                    let bytes = column.byte_range();
                    bytes.start <= bytes.end
                        && bytes.end <= length
                        && u64::try_from(column.num_values()).is_ok_and(|values| values <= MAX_VALUES)
                })
        });
    if is_true { Ok(()) } else { Err(PolarsError::ComputeError("its footer is damaged: it names more than the file can hold".into())) }
}

/// The names of a list's columns and its number of rows.
pub(crate) fn shape(path: &Path) -> Result<(Vec<String>, u64), String> {
    let shape = |mut reader: ParquetReader<File>| -> PolarsResult<_> {
        Ok((reader.schema()?.iter_names().map(|name| name.to_string()).collect(), reader.num_rows()? as u64))
    };
    caught(|| open(path).and_then(shape)).map_err(|error| error.to_string())
}

/// Reads the rows of a stretch.
pub(crate) fn read(stretch: &Stretch) -> Result<Rows, String> {
    let frame = caught(|| frame(stretch)).map_err(|error| error.to_string())?;
    let find = |name: &str| frame.column(name).map_err(|error| error.to_string());
    let (urls, captions) = (find(&stretch.url)?, find(&stretch.caption)?);
    let further: Vec<&Column> = frame.columns().iter().filter(|column| !stretch.reads(column.name())).collect();
    let mut rows = Rows::default();
    for at in 0..frame.height() {
        let (url, url_is_utf8) = text(urls, at);
        let (caption, caption_is_utf8) = text(captions, at);
        let values = further.iter().filter_map(|column| Some((column.name().to_string(), json(column.get(at).ok()?)?)));
        rows.push(stretch.row(&url, &caption, values.collect()), url_is_utf8 && caption_is_utf8);
    }
    Ok(rows)
}

fn frame(stretch: &Stretch) -> PolarsResult<DataFrame> {
    let mut reader = open(&stretch.file)?;
    let schema = reader.schema()?;
    let metadata = reader.get_metadata()?.clone();
    let wanted = schema.iter().filter(|(name, field)| {
        let further = || can_be_json(&field.dtype) && !(is_nested(&field.dtype) && is_large(&metadata, name));
        stretch.reads(name) || further()
    });
    let wanted = wanted.map(|(name, _)| name.to_string()).collect();
    reader.with_columns(Some(wanted)).with_slice(Some((stretch.first as usize, stretch.rows as usize))).finish()
}

fn is_nested(kind: &ArrowDataType) -> bool {
    matches!(kind, ArrowDataType::List(_) | ArrowDataType::LargeList(_) | ArrowDataType::Struct(_) | ArrowDataType::Map(..))
}

/// Whether values of this type are kept: numbers, truth values, texts, dates and times, and what is made of them; no bytes.
fn can_be_json(kind: &ArrowDataType) -> bool {
    use ArrowDataType as Is;
    match kind {
        Is::Boolean | Is::Utf8 | Is::LargeUtf8 | Is::Utf8View | Is::Date32 | Is::Date64 | Is::Timestamp(..) => true,
        Is::Int8 | Is::Int16 | Is::Int32 | Is::Int64 | Is::UInt8 | Is::UInt16 | Is::UInt32 | Is::UInt64 => true,
        Is::Float16 | Is::Float32 | Is::Float64 => true,
        Is::Decimal(digits, _) => *digits <= MAX_DIGITS,
        Is::List(field) | Is::LargeList(field) | Is::Map(field, _) => can_be_json(&field.dtype),
        Is::Struct(fields) => fields.iter().all(|field| can_be_json(&field.dtype)),
        _ => false,
    }
}

/// Whether the values of a column are on average longer than all further columns of a row may be, as those of embeddings are: they
/// would be read only to be left out.
fn is_large(metadata: &FileMetadata, name: &str) -> bool {
    let chunks = metadata.row_groups.iter().filter_map(|group| group.columns_under_root_iter(name)).flatten();
    // A number takes at least a digit and a comma.
    let bytes: u64 = chunks.map(|chunk| chunk.uncompressed_size().max(chunk.num_values().saturating_mul(2)).unsigned_abs()).sum();
    bytes > (metadata.num_rows as u64).saturating_mul(MAX_EXTRA as u64)
}

/// A value as text, and whether it was UTF-8; empty for null.
fn text(column: &Column, row: usize) -> (String, bool) {
    let bytes = |bytes: &[u8]| match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => (text.to_string(), true),
        Cow::Owned(text) => (text, false),
    };
    match column.get(row) {
        // Spark and others write texts without saying that they are.
        Ok(AnyValue::Binary(binary)) => bytes(binary),
        Ok(AnyValue::BinaryOwned(binary)) => bytes(&binary),
        Ok(value) => (as_text(json(value)).unwrap_or_default(), true),
        Err(_) => (String::new(), true),
    }
}

/// The text of a URL or a caption: texts, numbers and truth values have one.
pub(crate) fn as_text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    }
}

/// A value as JSON; `None` for null and for what is no JSON. Dates and times are ISO 8601, decimal numbers are texts with all digits.
fn json(value: AnyValue<'_>) -> Option<Value> {
    if let Some(text) = value.get_str() {
        return Some(text.into());
    }
    match value {
        AnyValue::Boolean(truth) => Some(truth.into()),
        AnyValue::Float16(_) | AnyValue::Float32(_) | AnyValue::Float64(_) => {
            value.extract::<f64>().filter(|number| number.is_finite()).map(Value::from)
        }
        AnyValue::UInt64(number) => Some(number.into()),
        AnyValue::Int8(_) | AnyValue::Int16(_) | AnyValue::Int32(_) | AnyValue::Int64(_) => value.extract::<i64>().map(Value::from),
        AnyValue::UInt8(_) | AnyValue::UInt16(_) | AnyValue::UInt32(_) => value.extract::<i64>().map(Value::from),
        AnyValue::Date(days) => Some(date(i64::from(days)).into()),
        AnyValue::Datetime(at, unit, zone) => Some(time(at, unit, zone.is_some()).into()),
        AnyValue::DatetimeOwned(at, unit, zone) => Some(time(at, unit, zone.is_some()).into()),
        AnyValue::List(items) => {
            Some((0..items.len()).map(|at| items.get(at).ok().and_then(json).unwrap_or(Value::Null)).collect::<Vec<_>>().into())
        }
        AnyValue::Struct(_, _, fields) => {
            let names = fields.iter().map(|field| field.name().to_string());
            let values = value._iter_struct_av().map(|value| json(value).unwrap_or(Value::Null));
            Some(names.zip(values).collect::<Map<_, _>>().into())
        }
        AnyValue::StructOwned(row) => {
            let (values, fields) = *row;
            let names = fields.iter().map(|field| field.name().to_string());
            Some(names.zip(values.into_iter().map(|value| json(value).unwrap_or(Value::Null))).collect::<Map<_, _>>().into())
        }
        other if other.dtype().is_decimal() => Some(other.to_string().into()),
        _ => None,
    }
}

/// A time since 1970 as ISO 8601.
fn time(at: i64, unit: TimeUnit, is_utc: bool) -> String {
    let digits = match unit {
        TimeUnit::Nanoseconds => 9,
        TimeUnit::Microseconds => 6,
        TimeUnit::Milliseconds => 3,
    };
    let second = 10_i64.pow(digits as u32);
    let (seconds, rest) = (at.div_euclid(second), at.rem_euclid(second));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:0digits$}") };
    let (hour, minute, zone) = (of_day / 3600, of_day / 60 % 60, if is_utc { "Z" } else { "" });
    format!("{}T{hour:02}:{minute:02}:{:02}{}{zone}", date(days), of_day % 60, fraction.trim_end_matches('0'))
}

/// A day, counted from 1970-01-01, as ISO 8601.
fn date(days: i64) -> String {
    // Years begin in March and are counted in spans of 400 of them, which all have as many days (H. Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms").
    let shifted = days + 719_468;
    let (span, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    format!("{:04}-{month:02}-{:02}", year + 400 * span + i64::from(month <= 2), of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Asked;
    use crate::urls::{self, Row};
    use polars::prelude::ParquetWriter;
    use serde_json::json;

    fn rows(path: &Path) -> Vec<Row> {
        let cut = urls::cut(path, Path::new("unused"), Asked::default(), None, 10).expect("cut");
        cut.iter().flat_map(|stretch| urls::read(stretch).expect("read").rows).collect()
    }

    fn extras(path: &Path) -> Vec<Value> {
        let extra = |row| match row {
            Row::Pair(pair) => serde_json::from_str(&pair.extra).expect("JSON"),
            bad => panic!("{bad:?}"),
        };
        rows(path).into_iter().map(extra).collect()
    }

    #[test]
    fn types_of_arrow_are_read() {
        // Made by pyarrow 26: dictionaries, lists, arrays of a fixed length, structs, decimals, dates, times.
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lists/arrow.parquet");
        let [first, second] = <[Value; 2]>::try_from(extras(&path)).expect("two rows");
        let expected = json!({
            "kind": "a", "kinds": ["x", "y"], "point": [1, 2], "box": {"name": "n", "w": 1}, "price": "1.50", "day": "2020-02-29",
            "seen": "2020-01-01T03:04:05.25", "seen_utc": "2020-01-01T03:04:00Z", "large": "l", "half": 0.5,
        });
        assert_eq!(first, expected);
        let expected = json!({
            "kinds": [], "point": [3, 4], "box": {"name": "m", "w": null}, "day": "1969-12-31", "seen": "1969-12-31T23:59:59",
        });
        assert_eq!(second, expected);
        assert!(
            matches!(&rows(&path)[..], [Row::Pair(first), Row::Pair(second)] if first.caption == "one" && second.image_url == "http://e.org/2")
        );
    }

    #[test]
    fn bytes_are_texts_where_a_text_is_expected() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        let column = |name: &str, values: [&[u8]; 2]| Column::new(name.into(), values);
        let columns = vec![column("url", [b"http://e.org/1", b"http://e.org/2"]), column("caption", [b"one", b"caf\xe9"])];
        let mut frame = DataFrame::new(2, columns).expect("a frame");
        ParquetWriter::new(File::create(&path).expect("created")).finish(&mut frame).expect("written");
        let cut = urls::cut(&path, Path::new("unused"), Asked::default(), None, 10).expect("cut");
        let read = urls::read(&cut[0]).expect("read");
        assert!(matches!(&read.rows[..], [Row::Pair(first), Row::Pair(_)] if first.caption == "one"));
        assert_eq!(read.not_utf8, 1);
    }

    #[test]
    fn days_and_times_are_written() {
        for (days, text) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (-719_468, "0000-03-01"), (47_541, "2100-03-01")]
        {
            assert_eq!(date(days), text);
        }
        assert_eq!(time(-1, TimeUnit::Milliseconds, true), "1969-12-31T23:59:59.999Z");
        assert_eq!(time(86_400_000_001_000, TimeUnit::Nanoseconds, false), "1970-01-02T00:00:00.000001");
        for at in [i64::MIN, i64::MAX] {
            for unit in [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds] {
                assert!(time(at, unit, false).contains('T'));
            }
        }
    }
}
