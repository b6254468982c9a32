//! A selection: which pairs of the pool are kept, and why not the others.
//!
//! Reads the pool's tables some times over, a row group at a time, and writes `selection/NAME` as a whole. Never opens a
//! picture, and never rewrites the pool. Memory: about 80 bytes for each pair of the pool, a thumbnail for each picture
//! whose perceptual hash has a neighbour, and the captions of pictures that have several.

use crate::balance::Balance;
use crate::card::Card;
use crate::duplicates::{NearSearch, exact_groups, repeated_captions};
use crate::filters::{Filters, Rule};
use crate::pool::{Facts, Matches, Pool, Seen, SeenQueries, Segments, Thumbnail, count_candidates, pictures_by_caption};
use crate::samples::Samples;
use crate::{Cap, Error, Query};
use rustc_hash::{FxHashMap, FxHashSet};
use shards::{AtomicFolder, Meta, Meter, PoolRow, Reason, Sample, TableReader, TableWriter, write_atomic};
use std::path::{Path, PathBuf};

/// The name of the selection that is made when none is named.
pub const DEFAULT_SELECTION: &str = "default";
/// The crawl's headroom where the corpus does not say it: it fetches so many times its cap.
const DEFAULT_HEADROOM: f64 = 1.5;

/// What to select.
#[derive(Clone, Debug)]
pub struct SelectOptions {
    /// The corpus folder.
    pub corpus: PathBuf,
    /// The selection's name: its folder below `selection/`.
    pub name: String,
    /// The cap on pairs for each query; `None` takes the corpus' own, 0 is no cap.
    pub per_query: Option<u64>,
    /// The rules.
    pub filters: Filters,
    /// The segments that the catalogue knows as committed; `None` takes all that are there.
    pub segments: Option<Vec<u64>>,
    /// The cap by which the pool was fetched, headroom included, 0 for none; `None` takes the corpus' own, which a raise that was cut off
    /// has not reached.
    pub fetched: Option<u64>,
    /// Where the pairs come from, as `KIND:PLACE`, for the card.
    pub sources: Vec<String>,
}

impl SelectOptions {
    /// The default selection of `corpus`.
    pub fn new(corpus: impl Into<PathBuf>) -> Self {
        SelectOptions {
            corpus: corpus.into(),
            name: DEFAULT_SELECTION.to_string(),
            per_query: None,
            filters: Filters::default(),
            segments: None,
            fetched: None,
            sources: Vec::new(),
        }
    }
}

/// What a selection came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectSummary {
    /// Pairs in the pool.
    pub pairs: u64,
    /// Pairs kept.
    pub kept: u64,
    /// Samples they make.
    pub samples: u64,
    /// Pairs removed by each rule, in the order of [`crate::RULES`].
    pub removed: Vec<(&'static str, u64)>,
    /// The cap that was applied; `None` without balancing.
    pub per_query: Option<u64>,
    /// Queries that cannot reach the cap because the crawl's cap was lower.
    pub unreachable: u64,
    /// Comparisons of perceptual hashes left out in crowded places; 0 means that the search was complete.
    pub comparisons_left_out: u64,
    /// Hosts that the kept pictures come from.
    pub hosts: u64,
}

/// Makes the selection and puts it at `corpus/selection/NAME`, replacing one of that name in one step.
///
/// # Errors
/// `UnknownRule`, `Name` and `Corpus` before anything is read; `Shards` for a table that cannot be read or written, or
/// when the place is taken by something else.
pub fn select(options: &SelectOptions, meter: &Meter) -> Result<SelectSummary, Error> {
    options.filters.check()?;
    let plain = !options.name.is_empty() && !options.name.starts_with('.') && !options.name.contains(['/', '\\', '\0']);
    if !plain || options.name.ends_with(".diptych-part") {
        return Err(Error::Name { name: options.name.clone() });
    }
    let corpus = Corpus::open(options)?;
    let folder = AtomicFolder::create(&options.corpus.join("selection").join(&options.name), "selection")?;
    meter.set_total(5 * corpus.segments.row_count::<Matches>()? + corpus.candidates.row_count::<SeenQueries>()?);

    meter.say("filters");
    let mut pool = read_pool(&corpus.segments, &options.filters, meter)?;
    meter.say("duplicates");
    let (mut samples, comparisons_left_out) = drop_duplicates(&mut pool, &corpus.segments, &options.filters, meter)?;
    meter.say("balance");
    let seen = corpus.seen(options, meter)?;
    let balance = corpus.balance(options, &seen)?;
    let (per_query, unreachable) =
        (balance.as_ref().map(|(cap, _)| cap.per_query), balance.as_ref().map_or(0, |(_, rule)| rule.unreachable()));
    if let Some((_, mut rule)) = balance {
        apply_balance(&mut pool, &corpus.segments, &mut rule, meter)?;
    }
    let sizes = samples.sizes(&pool);
    if sizes.iter().any(|&size| size > 1) {
        corpus.segments.each(meter, |index, _, row: Matches| {
            if pool.kept(index) {
                samples.remember(index, row, &sizes);
            }
            Ok(())
        })?;
    }
    drop(sizes);
    samples.sort(&pool);

    let mut summary = SelectSummary { pairs: pool.len() as u64, per_query, unreachable, comparisons_left_out, ..Default::default() };
    meter.say("writing");
    let mut removed = [0; crate::RULES.len()];
    pool.refused.iter().flatten().for_each(|&rule| removed[rule as usize] += 1);
    summary.removed = crate::RULES.into_iter().zip(removed).collect();
    summary.kept = summary.pairs - removed.iter().sum::<u64>();
    let mut card = Card::default();
    write_tables(folder.part(), &pool, &samples, &corpus.segments, &mut card, &mut summary, meter)?;
    card.crawled(&seen, &options.sources);
    corpus.describe(options, &summary, &card, folder.part())?;
    folder.commit()?;
    // Fewer passes were needed where there were no duplicates or no cap.
    meter.set(meter.total());
    Ok(summary)
}

/// What lies in the corpus folder.
struct Corpus {
    meta: Meta,
    segments: Segments,
    candidates: Segments,
}

impl Corpus {
    fn open(options: &SelectOptions) -> Result<Self, Error> {
        let path = &options.corpus;
        let wrong = |why: &str| Error::Corpus { path: path.clone(), why: why.to_string() };
        let meta = Meta::read(path, "corpus")?.ok_or_else(|| wrong("it has no meta.json, so it is no corpus"))?;
        let committed = options.segments.as_deref();
        let segments = Segments::list(&path.join("pool"), committed)?;
        if segments.row_count::<Matches>()? > u64::from(u32::MAX) {
            return Err(wrong("its pool has more than 4,294,967,295 pairs"));
        }
        Ok(Corpus { meta, segments, candidates: Segments::list(&path.join("candidates"), committed)? })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.meta.properties.get(name).and_then(|value| value.as_u64())
    }

    fn queries(&self, options: &SelectOptions) -> PathBuf {
        options.corpus.join("queries.parquet")
    }

    /// What was seen, by query where there is a list.
    fn seen(&self, options: &SelectOptions, meter: &Meter) -> Result<Seen, Error> {
        let list = self.queries(options);
        let queries = if list.exists() { read_queries(&list)?.len() } else { 0 };
        count_candidates(&self.candidates, queries, meter)
    }

    /// The rule `balance` with its counts of candidates; `None` when it is off, or without a query list or cap.
    fn balance(&self, options: &SelectOptions, seen: &Seen) -> Result<Option<(Cap, Balance)>, Error> {
        let crawled = self.number("per_query").unwrap_or(0);
        let per_query = options.per_query.unwrap_or(crawled);
        let list = self.queries(options);
        if per_query == 0 || !options.filters.on(Rule::Balance) || !list.exists() {
            return Ok(None);
        }
        let wrong = |why: String| Error::Corpus { path: options.corpus.clone(), why };
        let seed = self.number("seed").ok_or_else(|| wrong("its meta.json has no seed".to_string()))?;
        let texts = read_queries(&list)?;
        let seen = seen.queries.clone();
        let headroom = self.meta.properties.get("headroom").and_then(|value| value.as_f64()).unwrap_or(DEFAULT_HEADROOM);
        // As the crawl rounds it.
        let fetched = options.fetched.map_or_else(|| (crawled as f64 * headroom.max(1.0)).ceil(), |fetched| fetched as f64);
        let fetched = if fetched == 0.0 { f64::INFINITY } else { fetched };
        let cap = Cap { seed, per_query };
        Ok(Some((cap, Balance::new(cap, fetched, texts, seen))))
    }

    /// Writes `card.md` and `meta.json`.
    fn describe(&self, options: &SelectOptions, summary: &SelectSummary, card: &Card, part: &Path) -> Result<(), Error> {
        let filters = &options.filters;
        let off: Vec<&str> = Rule::all().filter(|&rule| !filters.on(rule)).map(Rule::name).collect();
        let mut meta = Meta::new("selection")
            .with("off", off.clone())
            .with("min_side", filters.min_side)
            .with("max_aspect", filters.max_aspect)
            .with("min_words", filters.min_words)
            .with("max_pictures", filters.max_pictures)
            .with("flatness", f64::from(filters.flatness))
            .with("pairs", summary.pairs)
            .with("kept", summary.kept)
            .with("samples", summary.samples)
            .with_parent("corpus", &options.corpus.join("meta.json"))?;
        meta.parents.insert("pool".to_string(), self.segments.hash()?);
        if let Some(per_query) = summary.per_query {
            meta = meta.with("per_query", per_query).with_parent("queries", &self.queries(options))?;
            meta.parents.insert("candidates".to_string(), self.candidates.hash()?);
        }
        let mut settings = vec![("rules switched off".to_string(), if off.is_empty() { "none".to_string() } else { off.join(", ") })];
        let cap = summary.per_query.map_or("none".to_string(), |cap| format!("{cap} pairs a query"));
        settings.push(("cap".to_string(), cap));
        settings.push(("diptych".to_string(), env!("CARGO_PKG_VERSION").to_string()));
        settings.push(("format".to_string(), shards::FORMAT_VERSION.to_string()));
        settings.extend(self.number("seed").map(|seed| ("seed".to_string(), seed.to_string())));
        settings.extend(meta.parents.iter().map(|(role, hash)| (format!("hash of the {role}"), format!("`{hash}`"))));
        write_atomic(&part.join("card.md"), card.text(&options.name, summary, filters, &settings).as_bytes())?;
        Ok(meta.write(part)?)
    }
}

/// The texts of the queries in use, by id.
fn read_queries(list: &Path) -> Result<Vec<String>, Error> {
    let mut rows: Vec<Query> = TableReader::read_all(list)?;
    rows.retain(|query| query.cut.is_empty());
    rows.sort_by_key(|query| query.id);
    match rows.iter().enumerate().find(|(i, query)| query.id as usize != *i) {
        Some((i, query)) => {
            Err(Error::Corpus { path: list.to_path_buf(), why: format!("query {:?} has id {}, expected {i}", query.text, query.id) })
        }
        None => Ok(rows.into_iter().map(|query| query.text).collect()),
    }
}

/// Reads the facts of every pair and applies the filters.
fn read_pool(segments: &Segments, filters: &Filters, meter: &Meter) -> Result<Pool, Error> {
    let mut pool = Pool::default();
    // The first look settles all but how often a caption occurs, which is known only afterwards.
    segments.each(meter, |index, _, row: Facts| {
        pool.push(&row);
        pool.refused[index] = filters.refusal(&row, 0);
        Ok(())
    })?;
    if !filters.on(Rule::CaptionRepeated) {
        return Ok(pool);
    }
    let pictures = pictures_by_caption(&pool);
    for index in 0..pool.len() {
        let at = pictures.binary_search_by_key(&pool.captions[index], |entry| entry.0);
        let pictures = at.map_or(0, |at| pictures[at].1);
        // Only a later rule gives way to this one.
        let later = pool.refused[index].is_none_or(|rule| rule > Rule::CaptionRepeated);
        if later && pictures > filters.max_pictures {
            pool.refuse(index as u32, Rule::CaptionRepeated, pictures);
        }
    }
    Ok(pool)
}

/// Finds exact and near duplicates and applies both rules; also returns how many comparisons were left out.
fn drop_duplicates(pool: &mut Pool, segments: &Segments, filters: &Filters, meter: &Meter) -> Result<(Samples, u64), Error> {
    let groups = exact_groups(pool);
    let repeats = repeated_captions(pool, &groups);
    let search = NearSearch::new(pool, &groups);
    let mut thumbnails = FxHashMap::default();
    let wanted: FxHashSet<u32> = search.candidates().iter().copied().collect();
    if !wanted.is_empty() {
        segments.each(meter, |index, _, row: Thumbnail| {
            if wanted.contains(&(index as u32)) {
                thumbnails.insert(index as u32, row.thumbnail);
            }
            Ok(())
        })?;
    }
    let copies = search.decide(pool, &thumbnails);
    if filters.on(Rule::ExactDuplicate) {
        repeats.iter().for_each(|&(index, of)| pool.refuse(index, Rule::ExactDuplicate, of));
    }
    if filters.on(Rule::NearDuplicate) {
        let copies: FxHashMap<u32, u32> = copies.iter().copied().collect();
        for index in pool.survivors() {
            if let Some(&of) = copies.get(&groups[index as usize]) {
                pool.refuse(index, Rule::NearDuplicate, of);
            }
        }
    }
    let samples = Samples::new(pool, groups, &copies, filters);
    // They have served; the rest of the work needs the room.
    (pool.images, pool.pixels, pool.perceptual) = (Vec::new(), Vec::new(), Vec::new());
    Ok((samples, search.left_out))
}

/// Counts the survivors of each query, then applies the cap.
fn apply_balance(pool: &mut Pool, segments: &Segments, rule: &mut Balance, meter: &Meter) -> Result<(), Error> {
    segments.each(meter, |index, _, row: Matches| {
        if pool.kept(index) {
            rule.count(&row.query_ids);
        }
        Ok(())
    })?;
    segments.each(meter, |index, _, row: Matches| {
        if pool.kept(index) && !rule.keeps(&row.pair_id, &row.query_ids) {
            pool.refuse(index as u32, Rule::Balance, 0);
        }
        Ok(())
    })
}

/// Writes `manifest.parquet` and `reasons.parquet`, both in the order of the pool.
fn write_tables(
    part: &Path,
    pool: &Pool,
    samples: &Samples,
    segments: &Segments,
    card: &mut Card,
    summary: &mut SelectSummary,
    meter: &Meter,
) -> Result<(), Error> {
    let mut manifest = TableWriter::<Sample>::create(&part.join("manifest.parquet"), &[])?;
    let mut reasons = TableWriter::<Reason>::create(&part.join("reasons.parquet"), &[])?;
    segments.each(meter, |index, table, row: PoolRow| {
        let rule = pool.refused[index];
        let value = match rule {
            Some(Rule::ExactDuplicate | Rule::NearDuplicate) => pool.pairs[pool.other[index] as usize].to_string(),
            Some(rule) => Filters::value(rule, &facts(&row), pool.other[index]),
            None => String::new(),
        };
        let reason = rule.map_or("kept", Rule::name).to_string();
        reasons.push(Reason { pair_id: row.pair_id, kept: rule.is_none(), reason, value })?;
        let tar = Path::new("../../pool").join(table.with_extension("tar").file_name().unwrap_or_default());
        if let Some(sample) = rule.is_none().then(|| samples.sample(index, &row, &tar)).flatten() {
            card.count(&sample);
            summary.samples += 1;
            manifest.push(sample)?;
        }
        Ok(())
    })?;
    summary.hosts = card.hosts();
    manifest.finish()?;
    reasons.finish()?;
    Ok(())
}

/// The columns that a filter saw, from the whole row.
fn facts(row: &PoolRow) -> Facts {
    Facts {
        caption: row.caption.clone(),
        original_width: row.original_width,
        original_height: row.original_height,
        pair_id: row.pair_id,
        image_id: row.image_id,
        pixel_hash: row.pixel_hash.clone(),
        perceptual_hash: row.perceptual_hash,
        flatness: row.flatness,
    }
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;
