//! Parquet tables of plain Rust rows, written and read a row group at a time so that memory stays flat.
//!
//! [`table_row!`](crate::table_row) declares a row once; its columns follow from its fields.

use crate::sum::{NO_SUM, SUM_KEY, Summed};
use crate::{Error, FORMAT_VERSION, ImageId, PairId, Removed, store};
use polars::io::parquet::read::ParquetReader;
use polars::io::parquet::write::{BatchedWriter, KeyValueMetadata, ParquetWriter};
use polars::prelude::*;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Kinds of tables whose rows may be taken down by a `removed.parquet` near them.
const OBEYING: [&str; 2] = ["manifest", "pool"];
/// Rows in a row group: large enough to compress, small enough to hold several in memory.
const GROUP_ROWS: usize = 1 << 16;
/// File metadata keys, beside the row kind.
const VERSION_KEY: &str = "diptych.version";
const KIND_KEY: &str = "diptych.kind";
const NOTE_PREFIX: &str = "diptych.note.";

/// A struct that is one row of a table; made by [`table_row!`](crate::table_row).
pub trait Row: Sized {
    /// The table's name in the file's metadata, such as `candidates`.
    const KIND: &'static str;

    /// Lays rows out as columns.
    ///
    /// # Errors
    /// When the table library refuses, which equal lengths rule out.
    fn frame(rows: &[Self]) -> PolarsResult<DataFrame>;

    /// Reads rows back; `path` is only for messages.
    ///
    /// # Errors
    /// `Column` for a missing or differently typed column, `Value` for an id that is not hex.
    fn rows(frame: &DataFrame, path: &Path) -> Result<Vec<Self>, Error>;
}

/// A Rust type that fills a column.
pub trait Cell: Sized {
    /// Makes a column of borrowed values.
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series
    where
        Self: 'a;
    /// Reads a column's values; `Err` holds what was expected.
    ///
    /// # Errors
    /// The expected type, or what is wrong with a value and its row.
    fn values(series: &Series) -> Result<Vec<Self>, BadCell>;
    /// The values of a column that the file lacks, as it was written before there was one; `None` when there always was.
    fn absent(_rows: usize) -> Option<Vec<Self>> {
        None
    }
}

/// Why a column could not be read.
pub enum BadCell {
    /// The column should be of this type.
    Type(&'static str),
    /// A row's value makes no sense.
    Value(usize, String),
}

macro_rules! number_cell {
    ($type:ty, $chunked:ident, $get:ident) => {
        impl Cell for $type {
            fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
                $chunked::from_iter_values(name.into(), values.copied()).into_series()
            }

            fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
                let column = series.$get().map_err(|_| BadCell::Type(stringify!($type)))?;
                column.iter().enumerate().map(|(row, value)| value.ok_or_else(|| BadCell::Value(row, "is null".into()))).collect()
            }
        }
    };
}
number_cell!(u8, UInt8Chunked, u8);
number_cell!(u32, UInt32Chunked, u32);
number_cell!(u64, UInt64Chunked, u64);
number_cell!(i64, Int64Chunked, i64);
number_cell!(f32, Float32Chunked, f32);

impl Cell for bool {
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
        values.copied().collect::<BooleanChunked>().with_name(name.into()).into_series()
    }

    fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
        let column = series.bool().map_err(|_| BadCell::Type("boolean"))?;
        column.iter().enumerate().map(|(row, value)| value.ok_or_else(|| BadCell::Value(row, "is null".into()))).collect()
    }
}

macro_rules! option_number_cell {
    ($type:ty, $chunked:ident, $get:ident) => {
        impl Cell for Option<$type> {
            fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
                values.copied().collect::<$chunked>().with_name(name.into()).into_series()
            }

            fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
                Ok(series.$get().map_err(|_| BadCell::Type(concat!("nullable ", stringify!($type))))?.iter().collect())
            }
        }
    };
}
option_number_cell!(u32, UInt32Chunked, u32);
option_number_cell!(u64, UInt64Chunked, u64);
option_number_cell!(f64, Float64Chunked, f64);

impl Cell for String {
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
        StringChunked::from_iter_values(name.into(), values.map(String::as_str)).into_series()
    }

    fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
        let column = series.str().map_err(|_| BadCell::Type("string"))?;
        Ok(column.iter().map(|value| value.unwrap_or_default().to_string()).collect())
    }
}

impl Cell for Vec<u8> {
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
        BinaryChunked::from_iter_values(name.into(), values.map(Vec::as_slice)).into_series()
    }

    fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
        let column = series.binary().map_err(|_| BadCell::Type("binary"))?;
        Ok(column.iter().map(|value| value.unwrap_or_default().to_vec()).collect())
    }
}

/// For columns that were added within a version: a file may lack them.
impl Cell for Option<String> {
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
        StringChunked::from_iter_options(name.into(), values.map(Option::as_deref)).into_series()
    }

    fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
        let column = series.str().map_err(|_| BadCell::Type("nullable string"))?;
        Ok(column.iter().map(|value| value.map(str::to_string)).collect())
    }

    fn absent(rows: usize) -> Option<Vec<Self>> {
        Some(vec![None; rows])
    }
}

macro_rules! hex_cell {
    ($type:ty) => {
        impl Cell for $type {
            fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series {
                StringChunked::from_iter_values(name.into(), values.map(|id| id.to_string())).into_series()
            }

            fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
                let column = series.str().map_err(|_| BadCell::Type("string of hex digits"))?;
                let parse = |(row, value): (usize, Option<&str>)| value.unwrap_or_default().parse().map_err(|why| BadCell::Value(row, why));
                column.iter().enumerate().map(parse).collect()
            }
        }
    };
}
hex_cell!(PairId);
hex_cell!(ImageId);

/// A type that fills the lists of a list column.
trait Item: Cell {
    /// Its type as a column of its own.
    fn dtype() -> DataType;
}
impl Item for u32 {
    fn dtype() -> DataType {
        DataType::UInt32
    }
}
impl Item for String {
    fn dtype() -> DataType {
        DataType::String
    }
}
impl Item for PairId {
    fn dtype() -> DataType {
        DataType::String
    }
}

impl<T: Item> Cell for Vec<T> {
    fn series<'a>(name: &str, values: impl Iterator<Item = &'a Self>) -> Series
    where
        T: 'a,
    {
        let lists: Vec<Series> = values.map(|list| T::series("", list.iter())).collect();
        let empty = || Series::new_empty(name.into(), &DataType::List(Box::new(T::dtype())));
        if lists.is_empty() { empty() } else { Series::new(name.into(), lists) }
    }

    fn values(series: &Series) -> Result<Vec<Self>, BadCell> {
        let column = series.list().map_err(|_| BadCell::Type("list"))?;
        let list = |row: usize| match column.get_as_series(row) {
            Some(items) => T::values(&items),
            None => Ok(Vec::new()),
        };
        (0..column.len()).map(list).collect()
    }
}

/// Reads one column of `frame`; [`table_row!`](crate::table_row) calls it for each field.
///
/// # Errors
/// `Column` when it is missing or of another type, `Value` when a value makes no sense.
pub fn column<T: Cell>(frame: &DataFrame, name: &str, path: &Path) -> Result<Vec<T>, Error> {
    let wrong = |expected: &str, found: String| Error::Column {
        path: path.to_path_buf(),
        column: name.to_string(),
        expected: expected.to_string(),
        found,
    };
    let Ok(column) = frame.column(name) else {
        return T::absent(frame.height()).ok_or_else(|| wrong("to be there", "no such column".to_string()));
    };
    let series = column.as_materialized_series();
    T::values(series).map_err(|bad| match bad {
        BadCell::Type(expected) => wrong(expected, series.dtype().to_string()),
        BadCell::Value(row, why) => Error::Value { path: path.to_path_buf(), row, why: format!("column {name} {why}") },
    })
}

/// Declares a row: a struct whose fields are the columns, in order, and its [`Row`] implementation.
#[macro_export]
macro_rules! table_row {
    ($(#[$outer:meta])* $vis:vis struct $name:ident in $kind:literal { $($(#[$inner:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $($(#[$inner])* pub $field: $type,)* }

        impl $crate::Row for $name {
            const KIND: &'static str = $kind;

            fn frame(rows: &[Self]) -> ::polars::prelude::PolarsResult<::polars::prelude::DataFrame> {
                use ::polars::prelude::Column;
                ::polars::prelude::DataFrame::new(rows.len(), vec![
                    $(Column::from(<$type as $crate::Cell>::series(stringify!($field), rows.iter().map(|row| &row.$field))),)*
                ])
            }

            fn rows(frame: &::polars::prelude::DataFrame, path: &::std::path::Path) -> Result<Vec<Self>, $crate::Error> {
                $(let mut $field = $crate::column::<$type>(frame, stringify!($field), path)?.into_iter();)*
                let mut rows = Vec::with_capacity(frame.height());
                while let ($(Some($field),)*) = ($($field.next(),)*) {
                    rows.push($name { $($field,)* });
                }
                Ok(rows)
            }
        }
    };
}

/// Writes a table that appears at its path when finished. Same rows, same bytes.
pub struct TableWriter<R: Row> {
    writer: BatchedWriter<Summed>,
    file: Summed,
    path: PathBuf,
    pending: Vec<R>,
    group_rows: usize,
    rows: u64,
}

impl<R: Row> TableWriter<R> {
    /// Begins a table; `notes` (key, value) go into the file's metadata beside the format version: hashes of what it
    /// was made from as `parent.ROLE`, and what holds for all rows.
    ///
    /// # Errors
    /// `Io` or `Table` when the file cannot be begun.
    pub fn create(path: &Path, notes: &[(&str, &str)]) -> Result<Self, Error> {
        let file = Summed::create(path)?;
        let mut metadata = vec![(VERSION_KEY.to_string(), FORMAT_VERSION.to_string()), (KIND_KEY.to_string(), R::KIND.to_string())];
        metadata.extend(notes.iter().map(|(key, value)| (format!("{NOTE_PREFIX}{key}"), value.to_string())));
        metadata.push((SUM_KEY.to_string(), NO_SUM.to_string()));
        let empty = R::frame(&[]).map_err(Error::table("lay out", path))?;
        let writer = ParquetWriter::new(file.clone())
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata)))
            .batched(empty.schema())
            .map_err(Error::table("begin", path))?;
        Ok(TableWriter { writer, file, path: path.to_path_buf(), pending: Vec::new(), group_rows: GROUP_ROWS, rows: 0 })
    }

    /// Writes row groups of `rows` rows instead of the usual 65,536: for many tables that are open at once.
    pub fn with_group_rows(mut self, rows: usize) -> Self {
        self.group_rows = rows.max(1);
        self
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `Table` when a full row group cannot be written.
    pub fn push(&mut self, row: R) -> Result<(), Error> {
        self.pending.push(row);
        if self.pending.len() >= self.group_rows { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let mut frame = R::frame(&self.pending).map_err(Error::table("lay out", &self.path))?;
        frame.rechunk_mut();
        self.writer.write_batch(&frame).map_err(Error::table("write", &self.path))?;
        self.rows += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes what is pending and renames the table into place; returns the number of rows.
    ///
    /// # Errors
    /// `Table` or `Io`; nothing is at the path then.
    pub fn finish(mut self) -> Result<u64, Error> {
        if !self.pending.is_empty() || self.rows == 0 {
            self.write_group()?;
        }
        self.file.begin_footer();
        self.writer.finish().map_err(Error::table("finish", &self.path))?;
        self.file.commit()?;
        Ok(self.rows)
    }

    /// Writes all `rows` as one table.
    ///
    /// # Errors
    /// As [`TableWriter::create`] and [`TableWriter::finish`].
    pub fn write_all(path: &Path, notes: &[(&str, &str)], rows: impl IntoIterator<Item = R>) -> Result<u64, Error> {
        let mut writer = TableWriter::create(path, notes)?;
        for row in rows {
            writer.push(row)?;
        }
        writer.finish()
    }
}

/// Reads a table a row group at a time; an iterator over batches of rows. Only the row's own columns are read, so a row
/// with fewer columns than the file has reads less of it.
pub struct TableReader<R: Row> {
    reader: Box<dyn Fn(usize, usize) -> PolarsResult<DataFrame> + Send>,
    groups: std::vec::IntoIter<(usize, usize)>,
    path: PathBuf,
    rows: u64,
    notes: Vec<(String, String)>,
    row: PhantomData<R>,
}

/// Polars answers some damaged files with a panic instead of an error.
pub(crate) fn caught<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    let damaged = |_| Err(PolarsError::ComputeError("the file is damaged".into()));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(damaged)
}

impl<R: Row> TableReader<R> {
    /// Opens a table and checks its kind and version.
    ///
    /// # Errors
    /// `Io` when it cannot be opened, `Table` when it is not Parquet or damaged, `Json` when it is another kind of table,
    /// `Version` when another version wrote it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let removed = if OBEYING.contains(&R::KIND) { Removed::near(path)? } else { Arc::default() };
        Self::open_without(path, removed)
    }

    /// As [`TableReader::open`], with the rows that were taken down if the file still has them: to check and to rewrite it.
    ///
    /// # Errors
    /// As [`TableReader::open`].
    pub fn open_all(path: &Path) -> Result<Self, Error> {
        Self::open_without(path, Arc::default())
    }

    fn open_without(path: &Path, removed: Arc<Removed>) -> Result<Self, Error> {
        let file = store::local(path)?;
        let mut reader = ParquetReader::new(file.try_clone().map_err(Error::io("open", path))?);
        let metadata = caught(|| reader.get_metadata().cloned()).map_err(Error::table("read", path))?;
        let mut kind = String::new();
        let mut version = 0;
        let mut notes = Vec::new();
        for pair in metadata.key_value_metadata().iter().flatten() {
            let value = pair.value.clone().unwrap_or_default();
            match pair.key.as_str() {
                KIND_KEY => kind = value,
                VERSION_KEY => version = value.parse().unwrap_or(0),
                key => notes.extend(key.strip_prefix(NOTE_PREFIX).map(|key| (key.to_string(), value))),
            }
        }
        if kind != R::KIND {
            let found = if kind.is_empty() { "a table that diptych did not write".to_string() } else { format!("a {kind} table") };
            return Err(Error::Json { path: path.to_path_buf(), why: format!("expected a {} table, found {found}", R::KIND) });
        }
        if version != FORMAT_VERSION {
            return Err(Error::Version { path: path.to_path_buf(), found: version, expected: FORMAT_VERSION });
        }
        let mut groups = Vec::new();
        let mut start = 0;
        for group in &metadata.row_groups {
            groups.push((start, group.num_rows()));
            start += group.num_rows();
        }
        // Columns that the file lacks are left to `Row::rows`, which names them.
        let mut columns: Vec<String> =
            R::frame(&[]).map_err(Error::table("lay out", path))?.get_column_names().iter().map(|name| name.to_string()).collect();
        if !removed.is_empty() {
            columns.extend(
                Removed::COLUMNS
                    .iter()
                    .filter(|name| !columns.iter().any(|known| known == *name))
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            );
        }
        columns.retain(|name| metadata.schema().columns().iter().any(|column| column.path_in_schema[0] == *name.as_str()));
        let read = move |start, rows| {
            let handle = file.try_clone()?;
            let mut reader = ParquetReader::new(handle).with_slice(Some((start, rows))).with_columns(Some(columns.clone()));
            reader.set_metadata(metadata.clone());
            let frame = caught(|| reader.finish())?;
            if removed.is_empty() { Ok(frame) } else { frame.filter(&removed.kept(&frame)) }
        };
        Ok(TableReader {
            reader: Box::new(read),
            groups: groups.into_iter(),
            path: path.to_path_buf(),
            rows: start as u64,
            notes,
            row: PhantomData,
        })
    }

    /// All notes in the file's metadata.
    pub fn notes(&self) -> &[(String, String)] {
        &self.notes
    }

    /// Number of rows in the file, those that were taken down and not yet removed too.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// The note of this key in the file's metadata.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.notes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Reads the whole table. For tables known to be small.
    ///
    /// # Errors
    /// As the iterator's items.
    pub fn read_all(path: &Path) -> Result<Vec<R>, Error> {
        let mut rows = Vec::new();
        for batch in Self::open(path)? {
            rows.extend(batch?);
        }
        Ok(rows)
    }
}

impl<R: Row> Iterator for TableReader<R> {
    type Item = Result<Vec<R>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, rows) = self.groups.next()?;
        Some((self.reader)(start, rows).map_err(Error::table("read", &self.path)).and_then(|frame| R::rows(&frame, &self.path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    table_row! {
        /// A row with every kind of cell.
        struct Every in "every" {
            /// Text.
            text: String,
            /// Bytes.
            bytes: Vec<u8>,
            /// A list of numbers.
            numbers: Vec<u32>,
            /// A list of texts.
            texts: Vec<String>,
            /// An id.
            id: PairId,
            /// A number that may be missing.
            maybe: Option<u32>,
            /// A text of a column that older files lack.
            later: Option<String>,
            /// A flag.
            flag: bool,
            /// A number.
            time: i64,
        }
    }

    fn rows(n: u32) -> Vec<Every> {
        let row = |i: u32| Every {
            text: format!("größe {i}"),
            bytes: vec![i as u8; 3],
            numbers: (0..i % 4).collect(),
            texts: vec!["a".to_string(); (i % 3) as usize],
            id: PairId::new("http://a", &i.to_string()),
            maybe: i.is_multiple_of(2).then_some(i),
            later: i.is_multiple_of(3).then(|| i.to_string()),
            flag: i.is_multiple_of(5),
            time: -i64::from(i),
        };
        (0..n).map(row).collect()
    }

    #[test]
    fn rows_go_there_and_back_with_notes() {
        let dir = tempfile::tempdir().expect("a folder");
        for n in [0, 1, 7, GROUP_ROWS as u32 + 3] {
            let path = dir.path().join(format!("{n}.parquet"));
            let written = TableWriter::write_all(&path, &[("match", "folded")], rows(n)).expect("written");
            assert_eq!(written, u64::from(n));
            let reader = TableReader::<Every>::open(&path).expect("opened");
            assert_eq!(reader.row_count(), u64::from(n));
            assert_eq!(reader.note("match"), Some("folded"));
            let read: Vec<Every> = reader.flat_map(|batch| batch.expect("read")).collect();
            assert_eq!(read, rows(n));
        }
    }

    #[test]
    fn columns_added_later_may_be_missing() {
        let mut frame = Every::frame(&rows(4)).expect("laid out");
        frame = frame.drop("later").expect("dropped");
        let read = Every::rows(&frame, Path::new("a")).expect("read");
        assert_eq!(read, rows(4).into_iter().map(|row| Every { later: None, ..row }).collect::<Vec<_>>());
        let error = Every::rows(&frame.drop("text").expect("dropped"), Path::new("a")).expect_err("refused").to_string();
        assert!(error.contains("text") && error.contains("no such column"), "{error}");
    }

    #[test]
    fn same_rows_same_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let path = dir.path().join(name);
            TableWriter::write_all(&path, &[], rows(500)).expect("written");
            std::fs::read(path).expect("read")
        };
        assert_eq!(write("a"), write("b"));
    }

    #[test]
    fn names_what_is_wrong_with_a_file() {
        table_row! {
            /// Another table.
            struct Other in "other" {
                /// A column.
                a: u32,
            }
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.parquet");
        TableWriter::write_all(&path, &[], rows(3)).expect("written");
        let error = TableReader::<Other>::open(&path).map(|_| ()).expect_err("refused");
        assert!(error.to_string().ends_with("expected a other table, found a every table"), "{error}");
        let bytes = std::fs::read(&path).expect("read");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("cut");
        assert!(matches!(TableReader::<Every>::open(&path), Err(Error::Table { .. })));
    }
}
