//! Makes a query list: the user's own entries, then the words of Wikipedia dumps by how often they occur.
//!
//! One thread decompresses and parses, all others clean and count, so that a dump takes about as long as its decompression.

use crate::folded::{MATCH_RULE, fold};
use crate::vocabulary::Vocabulary;
use crate::word_counts::WordCounts;
use crate::{Article, CUT_ID, Dump, Error, Namespaces, Query, plain_text, words};
use rayon::prelude::*;
use shards::{AtomicFile, Meter, TableWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

/// The longest query, in characters: MetaCLIP 2's limit (arXiv 2507.22062, published code).
pub const MAX_QUERY_CHARS: usize = 256;
/// Wikitext handed to a worker at once, in bytes: enough to make the hand-over cheap.
const BATCH_BYTES: usize = 1 << 20;
/// The longest file of added queries, in bytes: ten million queries of 25 letters.
const MAX_ADDED_BYTES: u64 = 256 << 20;

/// What to make a list of.
#[derive(Clone, Debug)]
pub struct WordlistOptions {
    /// MediaWiki XML dumps, plain or bzip2; all are counted together.
    pub dumps: Vec<PathBuf>,
    /// Words that occur less often are left out. CLIP took 100 (arXiv 2103.00020, section 2.2).
    pub min_count: u64,
    /// Entries in use; those beyond are written with `cut` = `limit`. CLIP had 500,000.
    pub limit: usize,
    /// Files of queries to put first, one a line, UTF-8; empty lines are skipped.
    pub add: Vec<PathBuf>,
    /// Where the list is written.
    pub out: PathBuf,
}

impl WordlistOptions {
    /// CLIP's thresholds for these dumps and no added files.
    pub fn new(dumps: Vec<PathBuf>, out: PathBuf) -> Self {
        WordlistOptions { dumps, min_count: 100, limit: 500_000, add: Vec::new(), out }
    }
}

/// What a list was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WordlistSummary {
    /// Pages in the dumps.
    pub pages: u64,
    /// Pages that were counted.
    pub articles: u64,
    /// Articles whose text was cut at 8 MiB.
    pub shortened: u64,
    /// Words counted, repeats included.
    pub words: u64,
    /// Different words.
    pub distinct: u64,
    /// Entries in use that come from files of added queries.
    pub added: u64,
    /// Entries in use.
    pub kept: u64,
    /// Entries that `limit` cut off.
    pub cut: u64,
}

/// Counts the words of the dumps and writes the query list.
///
/// Added entries come first, in file order and without repeats; then words, by count descending, then by text. The same files
/// and options give the same bytes. `meter` counts bytes of the dumps as they lie on disk. Memory: all different words of the dumps with
/// about 30 bytes each beside their letters, and a few MiB of text for each thread.
///
/// # Errors
/// `NotADump` or `Dump` for a bad dump, `AddedLine` for a bad entry, `EmptyList` when no entry is left, `Shards` when a file
/// cannot be read or the list not be written; nothing is at `out` that was not there before then.
pub fn wordlist(options: &WordlistOptions, meter: &Meter) -> Result<WordlistSummary, Error> {
    let size = |path: &PathBuf| Ok(std::fs::metadata(path).map_err(shards::Error::io("open", path))?.len());
    meter.set_total(options.dumps.iter().map(size).collect::<Result<Vec<u64>, Error>>()?.iter().sum());
    // What can go wrong after an hour of counting should show before: a wrong file, a bad line, a folder closed to writing.
    for path in &options.dumps {
        Dump::open(path)?;
    }
    drop(AtomicFile::create(&options.out)?);
    let mut added = Vocabulary::default();
    for path in &options.add {
        read_added(path, &mut added)?;
    }
    let counts = WordCounts::default();
    let mut summary = WordlistSummary::default();
    let mut hashes = Vec::new();
    for path in &options.dumps {
        hashes.push(count_dump(path, &counts, meter, &mut summary)?);
    }
    summary.distinct = counts.distinct();
    summary.words = counts.total();

    let rows = rows(&added, &counts, options);
    summary.kept = rows.iter().filter(|row| row.cut.is_empty()).count() as u64;
    summary.cut = rows.len() as u64 - summary.kept;
    summary.added = (added.len() as u64).min(summary.kept);
    if summary.kept == 0 {
        return Err(Error::EmptyList { why: why_empty(options, &summary) });
    }
    let (min_count, limit, hashes) = (options.min_count.to_string(), options.limit.to_string(), hashes.join(","));
    let notes = [("match", MATCH_RULE), ("min_count", &min_count), ("limit", &limit), ("parent.dump", &hashes)];
    TableWriter::write_all(&options.out, &notes, rows)?;
    Ok(summary)
}

/// All rows of the list in order: added entries, then frequent words that are not among them.
fn rows(added: &Vocabulary, counts: &WordCounts, options: &WordlistOptions) -> Vec<Query> {
    let frequent = counts.frequent(options.min_count, MAX_QUERY_CHARS);
    let own = (0..added.len() as u32).map(|number| added.text(number)).map(|text| (text, "added", counts.count(text)));
    let new = frequent.iter().filter(|(word, _)| added.find(word).is_none());
    let entries = own.chain(new.map(|(word, count)| (word.as_str(), "word", *count)));
    entries.enumerate().map(|(rank, (text, source, count))| row(rank, options.limit, text, source, count)).collect()
}

fn row(rank: usize, limit: usize, text: &str, source: &str, count: u64) -> Query {
    let id = u32::try_from(rank).ok().filter(|&id| rank < limit && id < CUT_ID);
    let cut = if id.is_some() { "" } else { "limit" };
    let (text, source, cut) = (text.to_string(), source.to_string(), cut.to_string());
    Query { id: id.unwrap_or(CUT_ID), text, source, count, pmi: None, views: None, cut }
}

fn why_empty(options: &WordlistOptions, summary: &WordlistSummary) -> String {
    let WordlistSummary { pages, articles, distinct, cut, .. } = summary;
    if *cut > 0 {
        return format!("the limit is {}", options.limit);
    }
    format!("{articles} articles of {pages} pages have {distinct} different words, none of them {} times", options.min_count)
}

/// Reads a file of queries, one a line, in the folded form.
fn read_added(path: &Path, added: &mut Vocabulary) -> Result<(), Error> {
    let wrong = |line: usize, why: String| Error::AddedLine { path: path.to_path_buf(), line, why };
    let size = std::fs::metadata(path).map_err(shards::Error::io("open", path))?.len();
    if size > MAX_ADDED_BYTES {
        return Err(wrong(1, format!("the file has {size} bytes, at most {MAX_ADDED_BYTES} are read")));
    }
    let bytes = std::fs::read(path).map_err(shards::Error::io("read", path))?;
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&bytes);
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| wrong(index + 1, "is not UTF-8".to_string()))?;
        let text = fold(line).split_whitespace().collect::<Vec<_>>().join(" ");
        let chars = text.chars().count();
        if chars > MAX_QUERY_CHARS {
            return Err(wrong(index + 1, format!("a query has at most {MAX_QUERY_CHARS} characters, this one has {chars}")));
        }
        if text.contains(char::is_control) {
            return Err(wrong(index + 1, "holds a control character".to_string()));
        }
        if !text.is_empty() && added.number(&text).is_none() {
            return Err(wrong(index + 1, "is one query more than can be numbered".to_string()));
        }
    }
    Ok(())
}

/// A piece of work for one worker.
struct Batch {
    articles: Vec<Article>,
    namespaces: Arc<Namespaces>,
}

/// Counts one dump; returns the hash of its bytes.
fn count_dump(path: &Path, counts: &WordCounts, meter: &Meter, summary: &mut WordlistSummary) -> Result<String, Error> {
    // Bounded: a reader that is ahead waits, so that memory holds a few batches and not the dump.
    let (sender, receiver) = sync_channel(2 * rayon::current_num_threads());
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read_dump(path, &sender, meter));
        receiver.into_iter().par_bridge().for_each(|batch: Batch| counts.add(&tally(&batch)));
        let dump = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let read = dump.counts();
        summary.pages += read.pages;
        summary.articles += read.articles;
        summary.shortened += read.shortened;
        Ok(dump.hash().to_hex().to_string())
    })
}

/// Reads a dump to its end and sends its articles in batches.
fn read_dump(path: &Path, sender: &SyncSender<Batch>, meter: &Meter) -> Result<Dump, Error> {
    let begun = meter.done();
    let mut dump = Dump::open(path)?;
    let mut namespaces = None;
    let (mut articles, mut bytes) = (Vec::new(), 0);
    while let Some(article) = dump.next() {
        let article = article?;
        bytes += article.text.len();
        articles.push(article);
        if bytes >= BATCH_BYTES {
            let namespaces = namespaces.get_or_insert_with(|| Arc::new(dump.namespaces().clone())).clone();
            // Nobody listens any more only when a worker has panicked, which the join after this will tell.
            let _ = sender.send(Batch { articles: std::mem::take(&mut articles), namespaces });
            bytes = 0;
            meter.set(begun + dump.position());
            meter.say(format!("{} articles", dump.counts().articles));
        }
    }
    let _ = sender.send(Batch { articles, namespaces: Arc::new(dump.namespaces().clone()) });
    meter.set(begun + dump.position());
    Ok(dump)
}

/// The words of a batch: numbered, and how often each occurs.
fn tally(batch: &Batch) -> (Vocabulary, Vec<u64>) {
    let mut vocabulary = Vocabulary::default();
    let mut counts = Vec::new();
    for article in &batch.articles {
        words(&plain_text(&article.text, &batch.namespaces), |word| {
            // A batch has far fewer than 2^32 words, so there is always a number.
            if let Some(number) = vocabulary.number(word) {
                counts.resize(vocabulary.len(), 0);
                counts[number as usize] += 1;
            }
        });
    }
    (vocabulary, counts)
}

#[cfg(test)]
mod tests;
