//! The tables that SQL sees, and where their rows lie. Rows are looked for when a statement names the table, not before.

use crate::runs::entries;
use crate::{Catalogue, Error, evals, frames, runs, tars};
use polars::io::HiveOptions;
use polars::prelude::*;
use shards::{Candidate, PoolRow, Reason, Row, Sample};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The folders that are asked.
#[derive(Clone)]
pub(crate) struct Place {
    /// The corpus folder.
    pub(crate) corpus: Option<PathBuf>,
    /// The folder of runs.
    pub(crate) runs: Option<PathBuf>,
    /// Folders of shards.
    pub(crate) shards: Vec<PathBuf>,
}

/// A table by name; `about` is shown by `show tables`.
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// One row of it, in words.
    pub(crate) about: &'static str,
    rows: Rows,
}

/// Where rows lie.
enum Rows {
    /// One Parquet file per segment in a folder of the corpus; only those that the catalogue committed.
    Segments(&'static str, fn() -> PolarsResult<DataFrame>),
    /// A Parquet file in each folder of `selection/`.
    Selections(&'static str, fn() -> PolarsResult<DataFrame>),
    /// `queries.parquet`.
    Queries,
    /// A table of the catalogue.
    Catalogue(frames::CatalogueTable),
    /// The corpus folder's `meta.json`.
    Corpus,
    /// Files of the folder of runs.
    Runs(fn(&Path) -> Result<DataFrame, Error>),
    /// The same, with columns that no file decides.
    Results(fn(&Path) -> Result<DataFrame, Error>),
    /// The `meta.json` of each folder of `selection/`.
    SelectionFolders,
    /// The tars of folders of shards.
    Tars,
    /// The manifests of folders of shards.
    ShardSamples,
}

macro_rules! table {
    ($name:literal, $about:literal, $rows:expr) => {
        Table { name: $name, about: $about, rows: $rows }
    };
}

/// All tables.
pub(crate) static TABLES: [Table; 23] = [
    table!("candidates", "a pair that was seen, fetched or not", Rows::Segments("candidates", || Candidate::frame(&[]))),
    table!("class_results", "a class in a result of an evaluation", Rows::Results(evals::class_results)),
    table!("corpus", "a property of the corpus", Rows::Corpus),
    table!("counters", "a query and the distinct pairs seen for it", Rows::Catalogue(frames::COUNTERS)),
    table!("evals", "a result of an evaluation of a run", Rows::Runs(evals::evals)),
    table!("hosts", "a host and its requests", Rows::Catalogue(frames::HOSTS)),
    table!("jobs", "a job of the crawl", Rows::Catalogue(frames::JOBS)),
    table!("metrics", "a line of a run's metrics", Rows::Runs(runs::metrics)),
    table!("outcomes", "an outcome of candidates or pages and how often it came", Rows::Catalogue(frames::OUTCOMES)),
    table!("pages", "a page of the live web, fetched or waiting", Rows::Catalogue(frames::PAGES)),
    table!("pairs", "a fetched pair", Rows::Segments("pool", || PoolRow::frame(&[]))),
    table!("predictions", "a picture in a result of an evaluation", Rows::Results(evals::predictions)),
    table!("properties", "small state of the program", Rows::Catalogue(frames::PROPERTIES)),
    table!("queries", "an entry of the query list", Rows::Queries),
    table!("reasons", "a pair in a selection, kept or refused", Rows::Selections("reasons.parquet", || Reason::frame(&[]))),
    table!("run_properties", "a property of a run", Rows::Runs(runs::run_properties)),
    table!("runs", "a training run", Rows::Runs(runs::runs)),
    table!("samples", "a sample of a selection: one image with its captions", Rows::Selections("manifest.parquet", || Sample::frame(&[]))),
    table!("segments", "a committed segment", Rows::Catalogue(frames::SEGMENTS)),
    table!("selections", "a selection", Rows::SelectionFolders),
    table!("shard_samples", "a sample of a manifest with shards of its own", Rows::ShardSamples),
    table!("shards", "a tar of shards", Rows::Tars),
    table!("sources", "a source of the crawl", Rows::Catalogue(frames::SOURCES)),
];

impl Table {
    /// The table as it is now.
    ///
    /// # Errors
    /// When a file or the catalogue cannot be read.
    pub(crate) fn scan(&self, place: &Place) -> Result<LazyFrame, Error> {
        let corpus = place.corpus.as_deref();
        match &self.rows {
            Rows::Segments(folder, empty) => self.parquet(&segment_files(corpus, folder)?, *empty),
            Rows::Selections(file, empty) => self.selections(corpus, file, *empty),
            Rows::Queries => self.parquet(&query_files(corpus), queries_frame),
            Rows::Catalogue(table) => {
                let catalogue = open_catalogue(corpus)?;
                Ok(frames::load(self.name, table, catalogue.as_ref(), corpus.unwrap_or(Path::new("")))?.lazy())
            }
            Rows::Corpus => Ok(runs::corpus(corpus)?.lazy()),
            // No folder is never found, and so has no runs.
            Rows::Runs(read) | Rows::Results(read) => Ok(read(place.runs.as_deref().unwrap_or(Path::new("")))?.lazy()),
            Rows::SelectionFolders => Ok(runs::selections(corpus)?.lazy()),
            Rows::Tars => Ok(tars::tars(&place.shards)?.lazy()),
            Rows::ShardSamples => self.named_parts("folder", shard_manifests(place), || Sample::frame(&[])),
        }
    }

    /// The names of the columns, without reading rows where they are known.
    ///
    /// # Errors
    /// When a file that decides them cannot be read.
    pub(crate) fn column_names(&self, place: &Place) -> Result<Vec<String>, Error> {
        let nowhere = Place { corpus: None, runs: None, shards: Vec::new() };
        let place = match self.rows {
            // These columns depend on what the files say; they are small.
            Rows::Runs(_) | Rows::SelectionFolders => place,
            _ => &nowhere,
        };
        let failed = |source| Error::Table { table: self.name, path: PathBuf::new(), source };
        let schema = self.scan(place)?.collect_schema().map_err(failed)?;
        Ok(schema.iter_names().map(ToString::to_string).collect())
    }

    /// The Parquet files of the table as it is now; none for tables that have other sources.
    fn files(&self, place: &Place) -> Result<Vec<PathBuf>, Error> {
        let corpus = place.corpus.as_deref();
        match &self.rows {
            Rows::Segments(folder, _) => segment_files(corpus, folder),
            Rows::Selections(file, _) => Ok(selection_files(corpus, file)?.into_iter().map(|(_, path)| path).collect()),
            Rows::Queries => Ok(query_files(corpus)),
            Rows::ShardSamples => Ok(shard_manifests(place).into_iter().map(|(_, path)| path).collect()),
            Rows::Catalogue(_) | Rows::Corpus | Rows::Runs(_) | Rows::Results(_) | Rows::SelectionFolders | Rows::Tars => Ok(Vec::new()),
        }
    }

    /// The first file whose footer cannot be read, as an error that names it; the engine's own does not.
    pub(crate) fn damage(&self, place: &Place) -> Option<Error> {
        let damage = |path: PathBuf| {
            let read = std::fs::File::open(&path).map_err(PolarsError::from);
            let source = read.and_then(|file| ParquetReader::new(file).get_metadata().map(|_| ())).err()?;
            Some(Error::Table { table: self.name, path, source })
        };
        self.files(place).ok()?.into_iter().find_map(damage)
    }

    /// The rows of all files; `empty` when there is none.
    fn parquet(&self, files: &[PathBuf], empty: fn() -> PolarsResult<DataFrame>) -> Result<LazyFrame, Error> {
        let failed = |source| Error::Table { table: self.name, path: files.first().cloned().unwrap_or_default(), source };
        if files.is_empty() {
            return Ok(empty().map_err(failed)?.lazy());
        }
        let scan = || {
            let paths: Vec<PlRefPath> = files.iter().map(|file| PlRefPath::try_from_path(file)).collect::<PolarsResult<_>>()?;
            let columns = Some(empty()?.schema().clone());
            // Paths are data: neither `*` in one is a pattern nor `a=b` a column. Columns were added within a version, and others will be.
            let args = UnifiedScanArgs {
                glob: false,
                hive_options: HiveOptions::new_disabled(),
                missing_columns_policy: MissingColumnsPolicy::Insert,
                extra_columns_policy: ExtraColumnsPolicy::Ignore,
                ..Default::default()
            };
            let options = ParquetOptions { schema: columns, ..Default::default() };
            Ok(DslBuilder::scan_parquet(ScanSources::Paths(paths.into()), options, args)?.build().into())
        };
        scan().map_err(failed)
    }

    /// The rows of this file in every selection, with the selection's name as the first column.
    fn selections(&self, corpus: Option<&Path>, file: &str, empty: fn() -> PolarsResult<DataFrame>) -> Result<LazyFrame, Error> {
        self.named_parts("selection", selection_files(corpus, file)?, empty)
    }

    /// The rows of files, each with its name in a column before the others.
    fn named_parts(&self, column: &str, files: Vec<(String, PathBuf)>, empty: fn() -> PolarsResult<DataFrame>) -> Result<LazyFrame, Error> {
        let named = |frame: LazyFrame, name: &str| frame.select([lit(name).cast(DataType::String).alias(column), all().as_expr()]);
        let mut parts = Vec::new();
        let first = files.first().map(|(_, path)| path.clone()).unwrap_or_default();
        for (name, path) in files {
            parts.push(named(self.parquet(&[path], empty)?, &name));
        }
        if parts.is_empty() {
            return Ok(named(self.parquet(&[], empty)?, ""));
        }
        concat_lf_diagonal(parts, UnionArgs::default()).map_err(|source| Error::Table { table: self.name, path: first, source })
    }
}

/// The manifests of the folders of shards, by folder; those that are not there have no rows.
fn shard_manifests(place: &Place) -> Vec<(String, PathBuf)> {
    let manifests = place.shards.iter().map(|folder| (folder.display().to_string(), folder.join("manifest.parquet")));
    manifests.filter(|(_, path)| path.exists()).collect()
}

/// The catalogue of a corpus that has one here.
fn open_catalogue(corpus: Option<&Path>) -> Result<Option<Catalogue>, Error> {
    let path = corpus.map(|corpus| corpus.join("catalog.sqlite")).filter(|path| path.exists());
    path.map(|path| Catalogue::open_read_only(&path)).transpose()
}

/// Parquet files of segments, in order. Where a catalogue says what was committed, leftovers of a killed crawl are not seen.
fn segment_files(corpus: Option<&Path>, folder: &str) -> Result<Vec<PathBuf>, Error> {
    let Some(corpus) = corpus else { return Ok(Vec::new()) };
    let committed: Option<HashSet<u64>> = match open_catalogue(Some(corpus))? {
        Some(catalogue) => Some(catalogue.committed_segments()?.into_iter().collect()),
        None => None,
    };
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
    let belongs = |path: &Path| match (&committed, number(path)) {
        (Some(committed), Some(number)) => committed.contains(&number),
        _ => true,
    };
    let files = entries(&corpus.join(folder), |path| path.extension().is_some_and(|end| end == "parquet") && belongs(path))?;
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

/// A file of each selection that has it, with the selection's name, in order.
fn selection_files(corpus: Option<&Path>, file: &str) -> Result<Vec<(String, PathBuf)>, Error> {
    let Some(corpus) = corpus else { return Ok(Vec::new()) };
    let folders = entries(&corpus.join("selection"), |path| path.join(file).is_file())?;
    Ok(folders.into_iter().map(|(name, path)| (name, path.join(file))).collect())
}

fn query_files(corpus: Option<&Path>) -> Vec<PathBuf> {
    corpus.map(|corpus| corpus.join("queries.parquet")).filter(|path| path.exists()).into_iter().collect()
}

/// A query list without rows; its columns as in `FORMAT.md`.
fn queries_frame() -> PolarsResult<DataFrame> {
    let columns = [
        ("id", DataType::UInt32),
        ("text", DataType::String),
        ("source", DataType::String),
        ("count", DataType::UInt64),
        ("pmi", DataType::Float64),
        ("views", DataType::UInt64),
        ("cut", DataType::String),
    ];
    Ok(DataFrame::empty_with_schema(&columns.into_iter().map(|(name, dtype)| Field::new(name.into(), dtype)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_once() {
        assert!(TABLES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn columns_that_a_file_lacks_are_null_and_those_of_later_versions_are_passed_over() {
        shards::table_row! {
            /// A row of an older version.
            struct Older in "reasons" {
                /// As now.
                pair_id: shards::PairId,
                /// As now.
                kept: bool,
            }
        }
        shards::table_row! {
            /// A row of a later version.
            struct Later in "reasons" {
                /// As now.
                pair_id: shards::PairId,
                /// As now.
                kept: bool,
                /// As now.
                reason: String,
                /// As now.
                value: String,
                /// Unknown today.
                more: u32,
            }
        }
        let dir = tempfile::tempdir().expect("a folder");
        let pair_id = shards::PairId::new("http://a", "b");
        let [older, later] = ["a", "b"].map(|name| dir.path().join(name));
        shards::TableWriter::write_all(&older, &[], [Older { pair_id, kept: true }]).expect("written");
        let (reason, value) = (String::from("kept"), String::new());
        shards::TableWriter::write_all(&later, &[], [Later { pair_id, kept: true, reason, value, more: 7 }]).expect("written");
        let table = TABLES.iter().find(|table| table.name == "reasons").expect("a table");
        for files in [[older.clone(), later.clone()], [later, older]] {
            let frame = table.parquet(&files, || Reason::frame(&[])).expect("scanned").collect().expect("read");
            assert_eq!(frame.get_column_names(), ["pair_id", "kept", "reason", "value"]);
            assert_eq!((frame.height(), frame.column("reason").expect("a column").null_count()), (2, 1));
        }
    }

    #[test]
    fn every_table_has_its_columns_without_rows() {
        for table in &TABLES {
            let frame = table
                .scan(&Place { corpus: None, runs: None, shards: Vec::new() })
                .and_then(|frame| frame.collect().map_err(|source| Error::Table { table: table.name, path: PathBuf::new(), source }));
            let frame = frame.expect(table.name);
            assert!(frame.height() == 0 && frame.width() >= 2, "{}", table.name);
        }
    }
}
