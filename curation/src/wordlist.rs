//! Makes a query list: the user's own entries, numbers, the words and word pairs of Wikipedia dumps, titles that are looked at,
//! and the synsets of WordNet.
//!
//! Every thread decompresses, reads, cleans and counts; counts that outgrow their share of memory are spilled beside the list
//! and added up at the end. So a dump takes little longer than its decompression, and memory is bounded whatever its size.

use crate::counted::{Counted, Pair};
use crate::dump::read_dump;
use crate::pageviews::{self, Views};
use crate::query_list::{Proposal, Proposals, quota};
use crate::runs::Runs;
use crate::tally::Tally;
use crate::vocabulary::Vocabulary;
use crate::{DumpCounts, DumpHead, Error, MAX_QUERY_CHARS, Rule, Source, Words, plain_text, query_text, wordnet};
use shards::{AtomicFile, Meter, TableWriter};
use std::path::{Path, PathBuf};

/// A pair that occurs less often is left out by default, whatever the least count of words: below, information says more of
/// chance than of language (the usual frequency filters for collocations are 3 to 10).
const LEAST_PAIRS: u64 = 5;
/// Pairs kept for each word that is frequent enough, at most: MetaCLIP 2's data card (arXiv 2507.22062) has 40 %.
const PAIRS_PER_WORD: f64 = 0.4;

/// What to make a list of.
#[derive(Clone, Debug)]
pub struct WordlistOptions {
    /// MediaWiki XML dumps, plain or bzip2; all are counted together. Without any the list is made of the other sources.
    pub dumps: Vec<PathBuf>,
    /// Hourly page views files, or folders of them; all are added up.
    pub pageviews: Vec<PathBuf>,
    /// The project whose page views count, such as `en`; `None` for that of the first dump.
    pub project: Option<String>,
    /// Folder with the database files of a WordNet.
    pub wordnet: Option<PathBuf>,
    /// The matching rule that the list is meant for.
    pub rule: Rule,
    /// Words that occur less often are left out. CLIP took 100 (arXiv 2103.00020, section 2.2).
    pub min_count: u64,
    /// Pairs that occur less often are left out; `None` for `min_count`, but 5 at least.
    pub min_pairs: Option<u64>,
    /// Least pointwise mutual information of a pair, in bits; `None` for half of what a pair of the least count can reach.
    pub pmi: Option<f64>,
    /// Pairs kept at most; `None` for 40 % of the number of frequent words, and at most the quota.
    pub bigrams: Option<usize>,
    /// Titles with fewer views are left out. MetaCLIP took 70 (arXiv 2309.16671).
    pub min_views: u64,
    /// Hours in which an article had fewer views do not count. MetaCLIP took 50.
    pub min_hour_views: u64,
    /// The numbers from 0 that are queries, at most their quota. MetaCLIP took 100.
    pub numbers: usize,
    /// Entries in use; those beyond are written with `cut` = `limit`. CLIP had 500,000.
    pub limit: usize,
    /// Files of queries to put first, one a line, UTF-8; empty lines are skipped.
    pub add: Vec<PathBuf>,
    /// Memory for counting, in bytes; what exceeds it goes to disk.
    pub memory: usize,
    /// Where the list is written; counts are spilled beside it.
    pub out: PathBuf,
}

impl WordlistOptions {
    /// The published thresholds for these dumps, and nothing else.
    pub fn new(dumps: Vec<PathBuf>, out: PathBuf) -> Self {
        WordlistOptions {
            dumps,
            pageviews: Vec::new(),
            project: None,
            wordnet: None,
            rule: Rule::default(),
            min_count: 100,
            min_pairs: None,
            pmi: None,
            bigrams: None,
            min_views: 70,
            min_hour_views: 50,
            numbers: 100,
            limit: 500_000,
            add: Vec::new(),
            memory: 4 << 30,
            out,
        }
    }
}

/// What a list was made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordlistSummary {
    /// Pages of the dumps.
    pub dump: DumpCounts,
    /// Words counted, repeats included.
    pub words: u64,
    /// Different words.
    pub distinct: u64,
    /// Different pairs of words in a row.
    pub pairs: u64,
    /// Least information of a pair, in bits, as it was used.
    pub pmi: f64,
    /// The highest information that a pair of the least count can reach here.
    pub pmi_bound: f64,
    /// Sorted runs of counts that were spilled to disk.
    pub spilled: u64,
    /// Entries in use, by source.
    pub kept: [u64; 6],
    /// Entries that were cut, by source.
    pub cut: [u64; 6],
}

/// Counts the dumps and page views and writes the query list.
///
/// Entries come by source ([`Source`]), within one by count, information or views descending, then by text; added ones in file
/// order. The same files and options give the same bytes. `meter` counts bytes of dumps and page views as they lie on disk.
///
/// # Errors
/// `NotADump` or `Dump` for a bad dump, `Pageviews`, `Project` and `WordNet` for the other sources, `AddedLine` for a bad entry,
/// `EmptyList` when no entry is left, `Shards` when a file cannot be read or written; nothing is at `out` that was not there
/// before then.
pub fn wordlist(options: &WordlistOptions, meter: &Meter) -> Result<WordlistSummary, Error> {
    let inputs = Inputs::open(options)?;
    let size = |path: &PathBuf| Ok(std::fs::metadata(path).map_err(shards::Error::io("open", path))?.len());
    let sizes = options.dumps.iter().chain(&inputs.pageviews).map(size);
    meter.set_total(sizes.collect::<Result<Vec<u64>, Error>>()?.iter().sum());

    let mut notes = inputs.notes(options);
    let titles = inputs.titles(options, meter, &mut notes)?;
    let (runs, dump) = count_dumps(options, meter, &mut notes)?;
    let wanted = inputs.wanted(&titles);
    let min_pairs = options.min_pairs.unwrap_or(options.min_count.max(LEAST_PAIRS)).max(1);
    let counted = Counted::read(&runs, options.min_count, min_pairs, &wanted)?;
    let mut summary = WordlistSummary { dump, spilled: runs.spilled(), ..WordlistSummary::default() };
    drop(runs);

    let rows = propose(options, &inputs, &titles, &counted, &wanted, min_pairs, &mut summary).into_rows(options.limit);
    for row in &rows {
        let source = Source::ALL.iter().position(|source| source.name() == row.source).unwrap_or_default();
        let side = if row.cut.is_empty() { &mut summary.kept } else { &mut summary.cut };
        side[source] += 1;
    }
    // Numbers are there whatever was read: alone they are no list.
    if summary.kept.iter().sum::<u64>() == summary.kept[Source::Number as usize] {
        return Err(Error::EmptyList { why: why_empty(options, &summary) });
    }
    notes.extend([
        ("words", summary.words.to_string()),
        ("distinct_words", summary.distinct.to_string()),
        ("min_pairs", min_pairs.to_string()),
        ("pmi", summary.pmi.to_string()),
    ]);
    let notes: Vec<(&str, &str)> = notes.iter().map(|(key, value)| (*key, value.as_str())).collect();
    TableWriter::write_all(&options.out, &notes, rows)?;
    Ok(summary)
}

/// Notes of the list: what its rows cannot say.
type Notes = Vec<(&'static str, String)>;

/// What is read before the long count: what can go wrong after an hour should show in the first second.
struct Inputs {
    added: Vocabulary,
    pageviews: Vec<PathBuf>,
    /// Empty without page views.
    project: String,
    synsets: Vocabulary,
    synset_hashes: Vec<String>,
}

impl Inputs {
    fn open(options: &WordlistOptions) -> Result<Self, Error> {
        let heads = options.dumps.iter().map(|path| DumpHead::read(path)).collect::<Result<Vec<_>, _>>()?;
        drop(AtomicFile::create(&options.out)?);
        let mut added = Vocabulary::default();
        for path in &options.add {
            crate::added::read(path, options.rule, &mut added)?;
        }
        let pageviews = pageviews::files(&options.pageviews)?;
        let project = match (&options.project, pageviews.is_empty()) {
            (_, true) => String::new(),
            (Some(project), _) => project.clone(),
            (None, _) => project_of(heads.first())?,
        };
        let (mut synsets, mut synset_hashes) = (Vocabulary::default(), Vec::new());
        if let Some(folder) = &options.wordnet {
            let (heads, hashes) = wordnet::synset_heads(folder)?;
            synset_hashes = hashes;
            for text in heads.iter().filter_map(|head| query_text(head, options.rule).ok().flatten()) {
                let _ = synsets.number(&text);
            }
        }
        Ok(Inputs { added, pageviews, project, synsets, synset_hashes })
    }

    fn notes(&self, options: &WordlistOptions) -> Notes {
        let mut notes =
            vec![("match", options.rule.to_string()), ("min_count", options.min_count.to_string()), ("limit", options.limit.to_string())];
        if !self.synset_hashes.is_empty() {
            notes.push(("parent.wordnet", self.synset_hashes.join(",")));
        }
        notes
    }

    /// The titles with enough views, by views descending, then by text.
    fn titles(&self, options: &WordlistOptions, meter: &Meter, notes: &mut Notes) -> Result<Vec<(String, u64)>, Error> {
        if self.pageviews.is_empty() {
            return Ok(Vec::new());
        }
        let runs = Runs::new(beside(&options.out, "views"))?;
        let views = Views { project: &self.project, min_hour: options.min_hour_views, rule: options.rule };
        let mut tallies = tallies(&runs, options);
        let hashes = pageviews::count(&self.pageviews, &views, &mut tallies, meter)?;
        tallies.iter_mut().try_for_each(|tally| tally.close(false))?;
        let mut titles = Vec::new();
        runs.sum(|title, views| {
            if views >= options.min_views {
                titles.push((String::from_utf8_lossy(title).into_owned(), views));
            }
        })?;
        titles.sort_by(|(a, a_views), (b, b_views)| b_views.cmp(a_views).then_with(|| a.cmp(b)));
        notes.extend([
            ("project", self.project.clone()),
            ("min_views", options.min_views.to_string()),
            ("min_hour_views", options.min_hour_views.to_string()),
            ("parent.pageviews", hashes.join(",")),
        ]);
        Ok(titles)
    }

    /// The texts whose counts are wanted whatever they are.
    fn wanted(&self, titles: &[(String, u64)]) -> Vocabulary {
        let mut wanted = Vocabulary::default();
        let numbers: Vec<String> = (0..100).map(|number: usize| number.to_string()).collect();
        let all = numbers
            .iter()
            .map(String::as_str)
            .chain(texts(&self.added))
            .chain(texts(&self.synsets))
            .chain(titles.iter().map(|(title, _)| title.as_str()));
        for text in all {
            let _ = wanted.number(text);
        }
        wanted
    }
}

fn texts(vocabulary: &Vocabulary) -> impl Iterator<Item = &str> {
    (0..vocabulary.len() as u32).map(|number| vocabulary.text(number))
}

/// The project of a wiki in page views files: `enwiki` is `en`, `zh_yuewiki` is `zh-yue`.
fn project_of(head: Option<&DumpHead>) -> Result<String, Error> {
    let database = head.map(|head| head.database.as_str()).unwrap_or_default();
    match database.strip_suffix("wiki") {
        Some(code) if !code.is_empty() => Ok(code.replace('_', "-")),
        _ => Err(Error::Project { database: database.to_string() }),
    }
}

/// A folder beside the list for what does not fit into memory.
fn beside(out: &Path, what: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{what}.diptych-part"));
    out.with_file_name(name)
}

/// A tally for each thread.
fn tallies<'r>(runs: &'r Runs, options: &WordlistOptions) -> Vec<Tally<'r>> {
    let threads = rayon::current_num_threads();
    (0..threads).map(|_| Tally::new(runs, options.memory / threads)).collect()
}

/// What one thread counts with.
struct Counter<'r> {
    words: Words,
    tally: Tally<'r>,
}

fn count_dumps(options: &WordlistOptions, meter: &Meter, notes: &mut Notes) -> Result<(Runs, DumpCounts), Error> {
    let runs = Runs::new(beside(&options.out, "counts"))?;
    let mut counts = DumpCounts::default();
    let mut hashes = Vec::new();
    {
        let counter = |tally| Counter { words: Words::new(options.rule), tally };
        let mut counters: Vec<Counter<'_>> = tallies(&runs, options).into_iter().map(counter).collect();
        for path in &options.dumps {
            let read = read_dump(path, &mut counters, meter, |counter, head, article| {
                let text = plain_text(&article.text, &head.namespaces);
                let mut counted = Ok(());
                counter.words.each(&text, |word| {
                    if counted.is_ok() {
                        counted = counter.tally.add(word.text, 1, word.joined);
                    }
                });
                counted
            })?;
            counts.add(read.counts);
            hashes.push(read.hash);
        }
        // Threads hand in what they hold side by side: sorting takes longest.
        std::thread::scope(|scope| {
            let close = |counter: &mut Counter<'_>| counter.tally.close(false);
            let closing: Vec<_> = counters.iter_mut().map(|counter| scope.spawn(move || close(counter))).collect();
            closing.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
    }
    if !options.dumps.is_empty() {
        notes.push(("parent.dump", hashes.join(",")));
    }
    Ok((runs, counts))
}

/// What every source proposes, the best first.
fn propose(
    options: &WordlistOptions,
    inputs: &Inputs,
    titles: &[(String, u64)],
    counted: &Counted,
    wanted: &Vocabulary,
    min_pairs: u64,
    summary: &mut WordlistSummary,
) -> Proposals {
    let mut proposals = Proposals::default();
    let count = |text: &str| counted.count(text, wanted);
    for text in texts(&inputs.added) {
        proposals.push(Source::Added, Proposal { text, count: count(text), ..Proposal::default() });
    }
    for number in 0..options.numbers.min(quota(Source::Number, options.limit)) {
        let text = &number.to_string();
        proposals.push(Source::Number, Proposal { text, count: count(text), ..Proposal::default() });
    }
    let words = counted.words(options.min_count, MAX_QUERY_CHARS);
    for &(text, count) in &words {
        proposals.push(Source::Word, Proposal { text, count, ..Proposal::default() });
    }
    summary.pmi_bound = (counted.total as f64 / min_pairs as f64).log2().max(0.0);
    // A pair seen c times reaches at most log2(N / c): a fixed threshold is either never or always reached at some size of N. Half
    // of that bound asks of a pair to be as far from chance, in bits, as from its bound, at any size.
    summary.pmi = options.pmi.unwrap_or(summary.pmi_bound / 2.0);
    let most = options.bigrams.unwrap_or((words.len() as f64 * PAIRS_PER_WORD) as usize);
    for (rank, Pair { text, count, pmi }) in counted.pairs(MAX_QUERY_CHARS).iter().enumerate() {
        let cut = if *pmi < summary.pmi { Some("pmi") } else { (rank >= most).then_some("rank") };
        proposals.push(Source::Bigram, Proposal { text, count: *count, pmi: Some(*pmi), cut, ..Proposal::default() });
    }
    for (text, views) in titles {
        proposals.push(Source::Title, Proposal { text, count: count(text), views: Some(*views), ..Proposal::default() });
    }
    let mut synsets: Vec<(&str, u64)> = texts(&inputs.synsets).map(|text| (text, count(text))).collect();
    synsets.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    for (text, count) in synsets {
        proposals.push(Source::WordNet, Proposal { text, count, ..Proposal::default() });
    }
    (summary.words, summary.distinct, summary.pairs) = (counted.total, counted.distinct, counted.distinct_pairs);
    proposals
}

fn why_empty(options: &WordlistOptions, summary: &WordlistSummary) -> String {
    if summary.cut.iter().sum::<u64>() > 0 {
        return format!("the limit is {}", options.limit);
    }
    if options.dumps.is_empty() {
        return "the files that were named hold no query, and no dump was named".to_string();
    }
    let DumpCounts { pages, articles, .. } = summary.dump;
    format!("{articles} articles of {pages} pages have {} different words, none of them {} times", summary.distinct, options.min_count)
}

#[cfg(test)]
mod tests;
