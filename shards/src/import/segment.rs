//! Downloads of img2dataset and DataComp as segments of a pool, so that they can be curated like a crawl of our own.
//!
//! Members are packed again under our keys, with sums; pictures stay as they are. What a crawl measures of the picture as received is
//! measured of the stored one here: the original is gone.

use super::record::Record;
use super::tars::{Group, OpenTar, below, groups};
use super::{AT_ONCE, ImportOptions, ImportSummary, NO_TARS, too_long, uids};
use crate::table::caught;
use crate::{
    Candidate, Error, ImageId, Measures, PoolRow, Received, Removed, SegmentTotals, Stored, TableWriter, TarWriter, canonical_url,
    clean_caption, outcome,
};
use polars::io::SerReader;
use polars::io::parquet::read::ParquetReader;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use url::Url;

/// What one segment is made of: a tar, and the table of its rows, failed ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSource {
    /// The tar.
    pub tar: PathBuf,
    /// The table beside it, if there is one.
    pub table: Option<PathBuf>,
}

/// What a segment came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Rows and bytes.
    pub totals: SegmentTotals,
    /// Distinct pairs by query.
    pub counters: Vec<(u32, u64)>,
    /// Pairs by outcome.
    pub outcomes: Vec<(String, u64)>,
    /// What of the tar and its table could not be read, or is missing: each file with the reason.
    pub remarks: Vec<String>,
}

impl PoolSource {
    /// Bytes of the tar and its table: another number means other rows.
    ///
    /// # Errors
    /// `Io` when one of them is not there any more.
    pub fn bytes(&self) -> Result<u64, Error> {
        let size = |path: &Path| Ok(std::fs::metadata(path).map_err(Error::io("open", path))?.len());
        Ok(size(&self.tar)? + self.table.as_deref().map_or(Ok(0), size)?)
    }
}

/// Tables of a folder of tars whose tar is missing: a download that still runs, or one that lost it.
///
/// # Errors
/// `Io` when the folder cannot be listed.
pub fn tables_without_tar(sources: &[PoolSource]) -> Result<Vec<PathBuf>, Error> {
    let Some(folder) = sources.first().and_then(|source| source.tar.parent()) else { return Ok(Vec::new()) };
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let is_numbered =
            path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()));
        if is_numbered && path.extension().is_some_and(|end| end == "parquet") && !path.with_extension("tar").exists() {
            tables.push(path);
        }
    }
    tables.sort();
    Ok(tables)
}

/// The tars of the folder that `source`, an `img2dataset:DIR` or `datacomp:DIR`, names; `None` for other kinds.
///
/// # Errors
/// `Io` when it cannot be listed, `Unusable` when there are none.
pub fn pool_sources(source: &str) -> Result<Option<Vec<PoolSource>>, Error> {
    let Some((kind @ ("img2dataset" | "datacomp"), place)) = source.split_once(':') else { return Ok(None) };
    let place = PathBuf::from(place);
    let shards = place.join("shards");
    let folder = if kind == "datacomp" && shards.is_dir() { shards } else { place };
    let with_table = |tar: PathBuf| {
        let table = tar.with_extension("parquet");
        PoolSource { table: table.is_file().then_some(table), tar }
    };
    let sources: Vec<PoolSource> = below(&folder, 0)?.into_iter().map(with_table).collect();
    if sources.is_empty() {
        return Err(Error::Unusable { path: folder, why: NO_TARS.to_string() });
    }
    Ok(Some(sources))
}

/// Says which queries a caption matches.
pub type Queries<'a> = &'a (dyn Fn(&str) -> Vec<u32> + Sync);

/// An import into the pool of one corpus.
pub struct PoolImport<'a> {
    corpus: PathBuf,
    options: ImportOptions,
    subset: Option<Vec<u128>>,
    /// With them, pairs that match none are candidates only.
    queries: Option<Queries<'a>>,
    /// Pairs that the corpus has, by fingerprint.
    seen: HashSet<u64>,
    removed: Arc<Removed>,
}

impl<'a> PoolImport<'a> {
    /// Begins an import. `seen` holds the fingerprints of the pairs that the corpus has already; they are passed over.
    ///
    /// # Errors
    /// As for the subset file and the corpus' `removed.parquet`.
    pub fn new(corpus: &Path, options: &ImportOptions, queries: Option<Queries<'a>>, seen: HashSet<u64>) -> Result<Self, Error> {
        let subset = options.subset.as_deref().map(uids::read).transpose()?;
        Ok(PoolImport { corpus: corpus.to_path_buf(), options: options.clone(), subset, queries, seen, removed: Removed::read(corpus)? })
    }

    /// Writes the segment `job` from `source`: `pool/JOB.tar` and `.parquet`, `candidates/JOB.parquet`.
    ///
    /// # Errors
    /// `Io`, `Table` and `Tar` for what cannot be read or written as a whole; a damaged sample only costs itself.
    pub fn write(&mut self, source: &PoolSource, job: u64) -> Result<Segment, Error> {
        let from = OpenTar {
            file: Stored::open_ahead(&source.tar)?,
            path: source.tar.clone(),
            shard: source.tar.display().to_string(),
            split: None,
        };
        let path = self.corpus.join(format!("pool/{job:05}.tar"));
        let (mut tar, mut rows, mut candidates): (Option<TarWriter>, Vec<PoolRow>, Vec<Candidate>) = Default::default();
        let mut damage = ImportSummary::default();
        let groups = groups(&from, &mut damage);
        let mut remarks: Vec<String> = damage.names.clone();
        if groups.is_empty() && remarks.is_empty() {
            remarks.push(format!("{}: there are no samples in it", source.tar.display()));
        }
        for chunk in groups.chunks(AT_ONCE) {
            let subset = self.subset.as_deref();
            let read: Vec<Option<Found>> = chunk.par_iter().map(|group| read(&from, group, &self.options, subset)).collect();
            for found in read.into_iter().flatten() {
                let Some(mut candidate) = self.claim(candidate(&found.url, found.page_url, found.caption)) else { continue };
                match found.picture {
                    _ if !candidate.outcome.is_empty() => {}
                    Ok(stuff) if self.refuses(&stuff) => candidate.take_down(),
                    Err((reason, why)) => {
                        let outcome = if reason == "too-large" { outcome::TOO_BIG } else { outcome::DECODE };
                        (candidate.outcome, candidate.detail) = (outcome.to_string(), format!("{reason}: {why}"));
                    }
                    Ok(stuff) => {
                        candidate.outcome = outcome::OK.to_string();
                        let tar = match &mut tar {
                            Some(tar) => tar,
                            none => none.insert(TarWriter::create(&path)?),
                        };
                        rows.push(store(tar, format!("{job:05}{:04}", rows.len()), &candidate, &stuff, (found.original, found.sha256))?);
                    }
                }
                candidates.push(candidate);
            }
        }
        if let Some(table) = source.table.as_deref().filter(|_| self.subset.is_none()) {
            match rows_of(table) {
                Ok(table_rows) => {
                    candidates.extend(table_rows.failed.into_iter().filter_map(|failed| self.claim_failed(failed)));
                    let lost = table_rows.successes.saturating_sub(groups.len() as u64);
                    if lost > 0 {
                        damage.leave_out_many("no-sample", lost);
                        remarks.push(format!("{}: {lost} rows that it calls a success have no sample in the tar", table.display()));
                    }
                }
                Err(error) => remarks.push(format!("{error}: its failed rows are left out")),
            }
        }
        let segment = Segment { remarks, ..count(&candidates, rows.len() as u64, damage) };
        self.finish(job, tar, rows, candidates, segment)
    }

    /// A row that failed elsewhere, if its pair is new.
    fn claim_failed(&mut self, failed: Candidate) -> Option<Candidate> {
        let (outcome, detail) = (failed.outcome.clone(), failed.detail.clone());
        let mut failed = self.claim(Candidate { outcome: String::new(), ..failed })?;
        if failed.outcome.is_empty() {
            (failed.outcome, failed.detail) = (outcome, detail);
        }
        Some(failed)
    }

    /// Takes a pair that is new; with an outcome when nothing is to be stored of it.
    fn claim(&mut self, mut candidate: Candidate) -> Option<Candidate> {
        if !self.seen.insert(candidate.pair_id.fingerprint()) {
            return None;
        }
        candidate.query_ids = self.queries.map_or_else(Vec::new, |queries| queries(&candidate.caption));
        if self.removed.candidate(&candidate).is_some() {
            candidate.take_down();
        } else if self.queries.is_some() && candidate.query_ids.is_empty() {
            candidate.outcome = outcome::UNMATCHED.to_string();
        }
        Some(candidate)
    }

    fn refuses(&self, stuff: &Stuff) -> bool {
        self.removed.image(&ImageId::of(&stuff.bytes)).or_else(|| self.removed.pixels(&stuff.measures.pixel_hash)).is_some()
    }

    fn finish(
        &self,
        job: u64,
        tar: Option<TarWriter>,
        rows: Vec<PoolRow>,
        candidates: Vec<Candidate>,
        mut segment: Segment,
    ) -> Result<Segment, Error> {
        if let Some(tar) = tar {
            segment.totals.bytes = tar.finish()?;
            TableWriter::write_all(&self.corpus.join(format!("pool/{job:05}.parquet")), &[], rows)?;
        }
        TableWriter::write_all(&self.corpus.join(format!("candidates/{job:05}.parquet")), &[], candidates)?;
        Ok(segment)
    }
}

fn count(candidates: &[Candidate], pairs: u64, damage: ImportSummary) -> Segment {
    let totals = SegmentTotals { candidates: candidates.len() as u64, pairs, bytes: 0 };
    let (mut counters, mut outcomes): (BTreeMap<u32, u64>, BTreeMap<String, u64>) = Default::default();
    for candidate in candidates {
        *outcomes.entry(candidate.outcome.clone()).or_default() += 1;
        candidate.query_ids.iter().for_each(|query| *counters.entry(*query).or_default() += 1);
    }
    damage.left_out.into_iter().for_each(|(reason, n)| *outcomes.entry(format!("row:{reason}")).or_default() += n);
    Segment { totals, counters: counters.into_iter().collect(), outcomes: outcomes.into_iter().collect(), remarks: Vec::new() }
}

/// A picture with its bytes as stored.
struct Stuff {
    bytes: Vec<u8>,
    picture: Received,
    measures: Measures,
}

/// A sample of the source.
struct Found {
    url: String,
    page_url: String,
    caption: String,
    original: Option<(u32, u32)>,
    sha256: Option<String>,
    picture: Result<Stuff, (&'static str, String)>,
}

/// Reads a sample; `None` when the subset does not name it, or it has no caption.
fn read(from: &OpenTar, group: &Group, options: &ImportOptions, subset: Option<&[u128]>) -> Option<Found> {
    let record: Record = from.record(group);
    if subset.is_some_and(|uids| record.uid.is_none_or(|uid| uids.binary_search(&uid).is_err())) {
        return None;
    }
    let text = group.member("txt").and_then(|extent| from.text(extent).ok()).map(|text| clean_caption(&text));
    let caption = text.into_iter().chain(record.captions).find(|caption| !caption.is_empty())?;
    let picture = group.picture().and_then(|extent| match too_long(extent.length) {
        Some(refusal) => Err(refusal),
        None => {
            let bytes = from.bytes(extent)?;
            let picture = Received::decode(&bytes, &options.limits).map_err(|error| ("damaged", error.to_string()))?;
            Ok(Stuff { measures: picture.measures(), picture, bytes })
        }
    });
    let url = match (&picture, record.url.is_empty()) {
        // Without an address the picture is named by its bytes, as one that stood in its page.
        (Ok(stuff), true) => format!("data:{}", ImageId::of(&stuff.bytes)),
        _ => record.url,
    };
    Some(Found { url, page_url: record.page_url, caption, original: record.original, sha256: record.sha256, picture })
}

/// A candidate without an outcome. When others decided about it is not known.
fn candidate(url: &str, page_url: String, caption: String) -> Candidate {
    Candidate { attempts: 1, ..Candidate::new(url.to_string(), page_url, caption, "column") }
}

/// Writes a sample; `received` is what its record says of the picture as received: sides and SHA-256.
fn store(
    tar: &mut TarWriter,
    key: String,
    candidate: &Candidate,
    stuff: &Stuff,
    (original, sha256): (Option<(u32, u32)>, Option<String>),
) -> Result<PoolRow, Error> {
    let (width, height) = stuff.picture.dimensions();
    let (original_width, original_height) = original.unwrap_or((width, height));
    let mut row = PoolRow {
        url: candidate.image_url.clone(),
        caption: candidate.caption.clone(),
        key,
        status: "success".to_string(),
        width,
        height,
        original_width,
        original_height,
        sha256,
        pair_id: candidate.pair_id,
        image_id: ImageId::of(&stuff.bytes),
        page_url: candidate.page_url.clone(),
        query_ids: candidate.query_ids.clone(),
        pixel_hash: stuff.measures.pixel_hash.clone(),
        perceptual_hash: stuff.measures.perceptual_hash,
        thumbnail: stuff.measures.thumbnail.clone(),
        flatness: stuff.measures.flatness,
        image_offset: 0,
        image_length: 0,
        text_offset: 0,
        text_length: 0,
        json_offset: 0,
        json_length: 0,
    };
    let image = tar.append(&format!("{}.{}", row.key, stuff.picture.format.suffix()), &stuff.bytes)?;
    let text = tar.append(&format!("{}.txt", row.key), row.caption.as_bytes())?;
    let json = tar.append(&format!("{}.json", row.key), row.record(candidate).as_bytes())?;
    (row.image_offset, row.image_length) = (image.offset, image.length);
    (row.text_offset, row.text_length) = (text.offset, text.length);
    (row.json_offset, row.json_length) = (json.offset, json.length);
    Ok(row)
}

/// What img2dataset's status and message say, in our words.
fn outcome_of(status: &str, message: &str) -> &'static str {
    let code = message.split_once("HTTP Error ").and_then(|(_, rest)| rest.get(..3)).unwrap_or_default();
    match (status, code.as_bytes().first()) {
        ("failed_to_resize", _) if message.contains("too small") => outcome::TOO_SMALL,
        ("failed_to_resize", _) => outcome::DECODE,
        _ if code == "429" => outcome::HTTP_429,
        (_, Some(b'4')) => outcome::HTTP_4XX,
        (_, Some(b'5')) => outcome::HTTP_5XX,
        _ if message.contains("timed out") => outcome::TIMEOUT,
        _ if message.contains("CERTIFICATE") || message.contains("SSL") => outcome::TLS,
        _ if message.contains("Name or service not known") || message.contains("No address associated") => outcome::DNS,
        _ => outcome::CONNECT,
    }
}

/// What img2dataset's table says.
#[derive(Default)]
struct TableRows {
    /// The rows that did not succeed, as candidates.
    failed: Vec<Candidate>,
    /// The number of the others.
    successes: u64,
}

/// Reads img2dataset's table. Columns it lacks are taken for empty.
fn rows_of(table: &Path) -> Result<TableRows, Error> {
    let file = File::open(table).map_err(Error::io("open", table))?;
    let frame = caught(|| ParquetReader::new(file).finish()).map_err(Error::table("read", table))?;
    let text = |name: &str| frame.column(name).ok().and_then(|column| column.str().ok().cloned());
    let (Some(urls), Some(statuses)) = (text("url"), text("status")) else { return Ok(TableRows::default()) };
    let (captions, messages) = (text("caption"), text("error_message"));
    let mut rows = TableRows::default();
    for row in 0..frame.height() {
        let of = |column: &Option<polars::prelude::StringChunked>| {
            column.as_ref().and_then(|column| column.get(row)).unwrap_or_default().to_string()
        };
        let status = statuses.get(row).unwrap_or_default();
        if status == "success" {
            rows.successes += 1;
            continue;
        }
        let Some(url) = urls.get(row).and_then(|url| Url::parse(url).ok()) else { continue };
        let mut candidate = candidate(&canonical_url(&url), String::new(), clean_caption(&of(&captions)));
        candidate.detail = of(&messages).chars().take(200).collect();
        candidate.outcome = outcome_of(status, &candidate.detail).to_string();
        rows.failed.push(candidate);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_table_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("00000.parquet");
        for bytes in [&b""[..], b"PAR1", b"PAR1xxxxxxxxPAR1", b"PAR1\x15\x04\x19\xff\xff\xff\xff\x0f\x00\x00\x09\x00\x00\x00PAR1"] {
            std::fs::write(&path, bytes).expect("written");
            assert!(rows_of(&path).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn tables_whose_tar_is_missing_are_found() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["00000.tar", "00000.parquet", "00001.parquet", "other.parquet", "00002_stats.json"] {
            std::fs::write(dir.path().join(name), b"x").expect("written");
        }
        let sources = pool_sources(&format!("img2dataset:{}", dir.path().display())).expect("listed").expect("tars");
        assert_eq!((sources.len(), sources[0].bytes().expect("there")), (1, 2));
        assert_eq!(tables_without_tar(&sources).expect("listed"), [dir.path().join("00001.parquet")]);
        let none = tempfile::tempdir().expect("a folder");
        let error = pool_sources(&format!("img2dataset:{}", none.path().display())).expect_err("no tars").to_string();
        assert!(error.contains("--output_format=webdataset"), "{error}");
    }
}
