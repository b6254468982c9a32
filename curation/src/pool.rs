//! The pool as a selection sees it: numbered segments read as a stream, and a few bytes of each pair in memory.
//!
//! Pairs are numbered from 0 in the order of segments and rows; every table of a selection is in this order. A pair
//! takes 53 bytes here, and 8 to 16 more while it is sorted, whatever its caption and URL weigh.

use crate::Error;
use crate::filters::Rule;
use shards::{ImageId, Meter, PairId, Row, TableReader, hash_file, outcome, table_row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

table_row! {
    /// The columns of a pool row that the filters and the search for duplicates need.
    pub(crate) struct Facts in "pool" {
        /// See [`shards::PoolRow`], as for the others.
        caption: String,
        /// Width as received.
        original_width: u32,
        /// Height as received.
        original_height: u32,
        /// The pair.
        pair_id: PairId,
        /// The image.
        image_id: ImageId,
        /// Hash of the pixels.
        pixel_hash: String,
        /// Perceptual hash.
        perceptual_hash: u64,
        /// Share of the most frequent colour.
        flatness: f32,
    }
}

table_row! {
    /// The thumbnails, read only when perceptual hashes have neighbours.
    pub(crate) struct Thumbnail in "pool" {
        /// 8 x 8 RGB.
        thumbnail: Vec<u8>,
    }
}

table_row! {
    /// The columns of a pool row that balancing and merging need.
    pub(crate) struct Matches in "pool" {
        /// The caption.
        caption: String,
        /// The pair.
        pair_id: PairId,
        /// The queries it matches.
        query_ids: Vec<u32>,
    }
}

table_row! {
    /// The columns of a candidate that a selection needs.
    pub(crate) struct SeenQueries in "candidates" {
        /// The queries it matches.
        query_ids: Vec<u32>,
        /// What became of it.
        outcome: String,
        /// When that was decided, in milliseconds since 1970 UTC.
        time_ms: i64,
        /// The licence that is said of it.
        licence: String,
        /// Who made it, as far as that is said.
        author: String,
    }
}

/// The tables of one kind in a corpus folder, by segment number.
pub(crate) struct Segments {
    files: Vec<(u64, PathBuf)>,
}

impl Segments {
    /// Lists `folder/NUMBER.parquet`, ascending by number. Other names, such as what a killed crawl left, are no
    /// segments; nor are numbers outside `committed`, where that is known. A missing folder has none.
    pub(crate) fn list(folder: &Path, committed: Option<&[u64]>) -> Result<Self, Error> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Segments { files: Vec::new() }),
            Err(error) => return Err(shards::Error::io("list", folder)(error).into()),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(shards::Error::io("list", folder))?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet")).and_then(number);
            if let Some(number) = number.filter(|number| committed.is_none_or(|list| list.contains(number))) {
                files.push((number, path));
            }
        }
        files.sort();
        Ok(Segments { files })
    }

    /// Number of rows in all tables.
    pub(crate) fn row_count<R: Row>(&self) -> Result<u64, Error> {
        self.files.iter().map(|(_, path)| Ok(TableReader::<R>::open(path)?.row_count())).sum()
    }

    /// Hands every row to `take`, with its number over all tables and its file; at most one row group is in memory.
    pub(crate) fn each<R: Row>(&self, meter: &Meter, mut take: impl FnMut(usize, &Path, R) -> Result<(), Error>) -> Result<(), Error> {
        let mut index = 0;
        for (_, path) in &self.files {
            for batch in TableReader::<R>::open(path)? {
                let batch = batch?;
                meter.add(batch.len() as u64);
                for row in batch {
                    take(index, path, row)?;
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// BLAKE3, in hex, over each file's number and hash: the identity of the whole.
    pub(crate) fn hash(&self) -> Result<String, Error> {
        let mut hasher = blake3::Hasher::new();
        for (number, path) in &self.files {
            hasher.update(format!("{number} {}\n", hash_file(path)?).as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// A number written in decimal digits and nothing else.
fn number(stem: &str) -> Option<u64> {
    stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok()).flatten()
}

/// What is known of every pair, one vector for each fact so that each can be dropped when it has served.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) pairs: Vec<PairId>,
    /// First 8 bytes of the image id.
    pub(crate) images: Vec<u64>,
    /// 8 bytes of the pixel hash.
    pub(crate) pixels: Vec<u64>,
    /// 8 bytes of the caption's hash.
    pub(crate) captions: Vec<u64>,
    pub(crate) perceptual: Vec<u64>,
    /// Pixels as received.
    pub(crate) areas: Vec<u32>,
    /// The rule that refused the pair.
    pub(crate) refused: Vec<Option<Rule>>,
    /// For a duplicate the number of the pair it duplicates; for a repeated caption the number of pictures.
    pub(crate) other: Vec<u32>,
}

impl Pool {
    pub(crate) fn push(&mut self, row: &Facts) {
        self.pairs.push(row.pair_id);
        self.images.push(first_8(&row.image_id.0));
        // Hashed again, so that a foreign pool whose hashes look otherwise is read as well.
        self.pixels.push(if row.pixel_hash.is_empty() { first_8(&row.image_id.0) } else { hash(&row.pixel_hash) });
        self.captions.push(hash(&row.caption));
        self.perceptual.push(row.perceptual_hash);
        self.areas.push(row.original_width.saturating_mul(row.original_height));
        self.refused.push(None);
        self.other.push(0);
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn kept(&self, index: usize) -> bool {
        self.refused[index].is_none()
    }

    /// The numbers of the pairs that no rule has refused so far.
    pub(crate) fn survivors(&self) -> Vec<u32> {
        (0..self.len() as u32).filter(|&index| self.kept(index as usize)).collect()
    }

    pub(crate) fn refuse(&mut self, index: u32, rule: Rule, other: u32) {
        self.refused[index as usize] = Some(rule);
        self.other[index as usize] = other;
    }

    /// Sorts the better pair first: the larger original, then the smaller pair id, then the earlier row.
    pub(crate) fn rank(&self, index: u32) -> (std::cmp::Reverse<u32>, PairId, u32) {
        (std::cmp::Reverse(self.areas[index as usize]), self.pairs[index as usize], index)
    }
}

fn hash(text: &str) -> u64 {
    first_8(blake3::hash(text.as_bytes()).as_bytes())
}

fn first_8(bytes: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(first)
}

/// In how many different pictures each caption occurs: sorted by the caption's hash.
pub(crate) fn pictures_by_caption(pool: &Pool) -> Vec<(u64, u32)> {
    use rayon::slice::ParallelSliceMut;
    let mut both: Vec<(u64, u64)> = pool.captions.iter().copied().zip(pool.pixels.iter().copied()).collect();
    both.par_sort_unstable();
    both.dedup();
    both.chunk_by(|a, b| a.0 == b.0).map(|run| (run[0].0, run.len() as u32)).collect()
}

/// Licences counted apart, so that a hostile corpus cannot fill the memory; further ones count as named.
const MAX_LICENCES: usize = 1 << 16;
/// Characters of a licence by which it is counted.
const MAX_LICENCE_CHARS: usize = 100;

/// What is counted of all candidates.
#[derive(Default)]
pub(crate) struct Seen {
    /// Distinct pairs by query.
    pub(crate) queries: Vec<u64>,
    /// Pairs by what became of them.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// The first and the last decision, in milliseconds since 1970 UTC; pairs whose time is not known do not count.
    pub(crate) times: Option<(i64, i64)>,
    /// Pairs of the pool with a licence, and with an author.
    pub(crate) licensed: u64,
    pub(crate) authored: u64,
    /// Pairs of the pool by licence.
    pub(crate) licences: BTreeMap<String, u64>,
}

impl Seen {
    /// Counts what is said of the rights in a pair of the pool.
    fn count_rights(&mut self, row: &SeenQueries) {
        self.authored += u64::from(!row.author.is_empty());
        if row.licence.is_empty() {
            return;
        }
        self.licensed += 1;
        let name: String = row.licence.chars().take(MAX_LICENCE_CHARS).collect();
        if self.licences.len() < MAX_LICENCES || self.licences.contains_key(&name) {
            *self.licences.entry(name).or_default() += 1;
        }
    }
}

/// Counts the candidates, for each of `queries` queries too. A pair has one row in all candidate tables, so rows count.
pub(crate) fn count_candidates(candidates: &Segments, queries: usize, meter: &Meter) -> Result<Seen, Error> {
    let mut seen = Seen { queries: vec![0; queries], ..Seen::default() };
    candidates.each(meter, |_, _, row: SeenQueries| {
        row.query_ids.iter().filter_map(|&id| seen.queries.get_mut(id as usize).map(|n| *n += 1)).for_each(drop);
        if row.time_ms > 0 {
            let (first, last) = seen.times.unwrap_or((row.time_ms, row.time_ms));
            seen.times = Some((first.min(row.time_ms), last.max(row.time_ms)));
        }
        if row.outcome == outcome::OK {
            seen.count_rights(&row);
        }
        match seen.outcomes.get_mut(&row.outcome) {
            Some(n) => *n += 1,
            None => _ = seen.outcomes.insert(row.outcome, 1),
        }
        Ok(())
    })?;
    Ok(seen)
}
