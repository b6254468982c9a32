//! What a corpus and one of its selections say: counts by reason, host and query, and some duplicates. One pass over each table,
//! a row group at a time.

use super::pictures::small;
use super::{DuplicatePair, HostTally, ReportData, Shown};
use crate::failure::Failure;
use shards::{Extent, Meta, PairId, Reason, TableReader, table_row};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Hosts counted apart; the rest is one entry, so that a crawl of the whole web fits into memory.
const MAX_HOSTS: usize = 200_000;
/// Hosts and queries listed.
const LISTED: usize = 12;
/// Pairs of duplicates shown.
const EXAMPLES: usize = 12;

table_row! {
    /// What is counted of a candidate.
    struct Seen in "candidates" {
        /// The image URL.
        image_url: String,
        /// What became of it.
        outcome: String,
        /// The queries it matches.
        query_ids: Vec<u32>,
    }
}

table_row! {
    /// What is counted of a fetched pair.
    struct Fetched in "pool" {
        /// The pair.
        pair_id: PairId,
        /// The image URL.
        url: String,
        /// The queries it matches.
        query_ids: Vec<u32>,
    }
}

table_row! {
    /// Where a fetched pair's picture lies.
    struct Place in "pool" {
        /// The pair.
        pair_id: PairId,
        /// The image URL.
        url: String,
        /// The caption.
        caption: String,
        /// Offset of the picture in the tar.
        image_offset: u64,
        /// Length of the picture.
        image_length: u64,
    }
}

/// Counts so far.
#[derive(Default)]
struct Counts {
    outcomes: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    hosts: HashMap<String, HostTally>,
    before: HashMap<u32, u64>,
    after: HashMap<u32, u64>,
    samples: u64,
    kept: u64,
}

impl Counts {
    fn host(&mut self, url: &str) -> &mut HostTally {
        let name = host(url);
        let name = if self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(name) { name } else { "(other hosts)" };
        let tally = self.hosts.entry(name.to_string()).or_default();
        if tally.host.is_empty() {
            tally.host = name.to_string();
        }
        tally
    }

    fn refuse(&mut self, url: &str, reason: &str) {
        let tally = self.host(url);
        tally.refused += 1;
        match tally.reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, n)) => *n += 1,
            None => tally.reasons.push((reason.to_string(), 1)),
        }
    }
}

/// The host of a URL, with its port.
fn host(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?']).next().unwrap_or(rest),
        None => "(pictures inside pages)",
    }
}

/// Adds a corpus to a report.
///
/// # Errors
/// When a file that is there cannot be read.
pub(super) fn gather(data: &mut ReportData, corpus: &Path, selection: &str) -> Result<(), Failure> {
    let catalogue = corpus.join("catalog.sqlite");
    let catalogue = if catalogue.exists() { Some(sql::Catalogue::open_read_only(&catalogue)?) } else { None };
    let committed = catalogue.as_ref().map(sql::Catalogue::committed_segments).transpose()?;
    let pool = tables(&corpus.join("pool"), committed.as_deref())?;
    let mut counts = Counts::default();
    for file in tables(&corpus.join("candidates"), committed.as_deref())? {
        count_seen(&mut counts, &file)?;
    }
    let folder = corpus.join("selection").join(selection);
    let duplicates = if folder.join("reasons.parquet").exists() {
        let (duplicates, all) = count_judged(&mut counts, &pool, &folder.join("reasons.parquet"))?;
        if !all {
            let why = "Pairs of the selection that are not in the pool: its counts are too low; diptych verify says what is damaged.";
            data.missing.push(why.to_string());
        }
        counts.samples = TableReader::<shards::Sample>::open(&folder.join("manifest.parquet"))?.row_count();
        duplicates
    } else {
        data.missing.push(format!("The selection {selection}: run diptych curate first."));
        Vec::new()
    };
    data.duplicates = show_duplicates(&pool, duplicates)?;
    let outcomes = catalogue.map(|catalogue| catalogue.outcomes()).transpose()?.unwrap_or_default();
    let pages = outcomes.iter().find(|(name, _)| name == "page:ok").map_or(0, |(_, pages)| *pages);
    fill(data, counts, pages, &corpus.join("queries.parquet"))?;
    settings(data, corpus, &folder)
}

/// Tables by segment number, ascending; only those that count.
fn tables(folder: &Path, committed: Option<&[u64]>) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(shards::Error::io("list", folder))? {
        let path = entry.map_err(shards::Error::io("list", folder))?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet")?.parse::<u64>().ok());
        found.extend(number.filter(|number| committed.is_none_or(|list| list.contains(number))).map(|number| (number, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn count_seen(counts: &mut Counts, file: &Path) -> Result<(), Failure> {
    for batch in TableReader::<Seen>::open(file)? {
        for row in batch? {
            counts.host(&row.image_url).seen += 1;
            if row.outcome != shards::outcome::OK {
                counts.refuse(&row.image_url, &row.outcome);
            }
            row.query_ids.iter().for_each(|&query| *counts.before.entry(query).or_default() += 1);
            *counts.outcomes.entry(row.outcome).or_default() += 1;
        }
    }
    Ok(())
}

/// A copy and the pair that it copies.
struct Copied {
    copy: PairId,
    kept: PairId,
    reason: String,
}

/// Walks pool and reasons together, which stand in the same order; pairs fetched since the selection have no reason. Gives
/// copies to show, and whether every reason found its pair.
fn count_judged(counts: &mut Counts, pool: &[PathBuf], reasons: &Path) -> Result<(Vec<Copied>, bool), Failure> {
    let mut reasons = TableReader::<Reason>::open(reasons)?;
    let mut batch = Vec::new().into_iter();
    let mut duplicates = Vec::new();
    let mut pending: Option<Reason> = None;
    for file in pool {
        for rows in TableReader::<Fetched>::open(file)? {
            for row in rows? {
                while pending.is_none() {
                    match batch.next() {
                        Some(reason) => pending = Some(reason),
                        None => match reasons.next() {
                            Some(next) => batch = next?.into_iter(),
                            None => return Ok((duplicates, true)),
                        },
                    }
                }
                if let Some(reason) = pending.take_if(|reason| reason.pair_id == row.pair_id) {
                    judge(counts, &row, reason, &mut duplicates);
                }
            }
        }
    }
    let all = pending.is_none() && batch.next().is_none() && reasons.next().is_none();
    Ok((duplicates, all))
}

fn judge(counts: &mut Counts, row: &Fetched, reason: Reason, duplicates: &mut Vec<Copied>) {
    if reason.kept {
        counts.kept += 1;
        row.query_ids.iter().for_each(|&query| *counts.after.entry(query).or_default() += 1);
        return;
    }
    counts.refuse(&row.url, &reason.reason);
    // The value begins with the pair that was kept.
    let kept = reason.value.split_whitespace().find_map(|word| word.parse::<PairId>().ok());
    let near = reason.reason == "near-duplicate";
    let exact = duplicates.iter().filter(|copied: &&Copied| copied.reason != "near-duplicate").count();
    // Copies that look different tell more than equal ones; of those a few will do.
    let wanted = if near { duplicates.len() - exact < EXAMPLES } else { exact < EXAMPLES / 4 };
    if let Some(kept) = kept.filter(|kept| wanted && *kept != row.pair_id) {
        duplicates.push(Copied { copy: row.pair_id, kept, reason: reason.reason.clone() });
    }
    *counts.reasons.entry(reason.reason).or_default() += 1;
}

/// Finds the pictures of the pairs in the pool.
fn show_duplicates(pool: &[PathBuf], mut wanted: Vec<Copied>) -> Result<Vec<DuplicatePair>, Failure> {
    wanted.sort_by_key(|copied| copied.reason != "near-duplicate");
    wanted.truncate(EXAMPLES);
    let mut shown: HashMap<PairId, Option<Shown>> = wanted.iter().flat_map(|copied| [(copied.copy, None), (copied.kept, None)]).collect();
    if shown.is_empty() {
        return Ok(Vec::new());
    }
    for file in pool {
        let tar = file.with_extension("tar");
        for batch in TableReader::<Place>::open(file)? {
            for row in batch? {
                if let Some(place) = shown.get_mut(&row.pair_id) {
                    let image = small(&tar, Extent { offset: row.image_offset, length: row.image_length });
                    *place = Some(Shown { image, caption: row.caption, url: row.url });
                }
            }
        }
    }
    let of = |id: &PairId| shown.get(id).cloned().flatten();
    Ok(wanted
        .iter()
        .filter_map(|copied| Some(DuplicatePair { kept: of(&copied.kept)?, copy: of(&copied.copy)?, reason: copied.reason.clone() }))
        .collect())
}

/// Turns counts into what the page shows.
fn fill(data: &mut ReportData, counts: Counts, pages: u64, queries: &Path) -> Result<(), Failure> {
    let outcome = |name: &str| counts.outcomes.get(name).copied().unwrap_or(0);
    let seen: u64 = counts.outcomes.values().sum();
    let matched = seen - outcome(shards::outcome::UNMATCHED);
    let steps = [
        ("pages fetched", pages),
        ("pairs seen", seen),
        ("pairs that match a query", matched),
        ("pairs inside the crawl's cap", matched - outcome(shards::outcome::FULL)),
        ("pictures fetched", outcome(shards::outcome::OK)),
        ("pairs kept", counts.kept),
        ("samples", counts.samples),
    ];
    data.funnel.extend(steps.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_string(), n)));
    let crawl = counts.outcomes.iter().filter(|(name, _)| *name != shards::outcome::OK).map(|(name, n)| (format!("crawl: {name}"), *n));
    data.refusals.extend(crawl.chain(counts.reasons.iter().map(|(name, n)| (format!("curate: {name}"), *n))));
    data.refusals.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut hosts: Vec<HostTally> = counts.hosts.into_values().filter(|tally| tally.refused > 0).collect();
    hosts.sort_by(|a, b| b.refused.cmp(&a.refused).then_with(|| a.host.cmp(&b.host)));
    hosts.truncate(LISTED);
    hosts.iter_mut().for_each(|tally| tally.reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0))));
    data.hosts = hosts;
    let mut top: Vec<(u32, u64)> = counts.before.iter().map(|(&query, &n)| (query, n)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let texts = if queries.exists() { texts(queries, &top[..top.len().min(LISTED)])? } else { HashMap::new() };
    let listed = top
        .iter()
        .take(LISTED)
        .filter_map(|(query, n)| Some((texts.get(query)?.clone(), *n, counts.after.get(query).copied().unwrap_or(0))));
    data.top_queries = listed.collect();
    data.pairs_before = counts.before.into_values().collect();
    data.pairs_after = counts.after.into_values().collect();
    data.headline.extend(
        [("pairs seen", seen), ("pairs kept", counts.kept), ("samples", counts.samples)]
            .map(|(name, n)| (name.to_string(), super::html::count(n))),
    );
    Ok(())
}

/// The texts of these queries.
fn texts(queries: &Path, wanted: &[(u32, u64)]) -> Result<HashMap<u32, String>, Failure> {
    let mut texts = HashMap::new();
    for batch in TableReader::<curation::Query>::open(queries)? {
        texts.extend(batch?.into_iter().filter(|query| wanted.iter().any(|(id, _)| *id == query.id)).map(|query| (query.id, query.text)));
    }
    Ok(texts)
}

/// The properties of corpus and selection as facts; the cap as a line in the figure.
fn settings(data: &mut ReportData, corpus: &Path, selection: &Path) -> Result<(), Failure> {
    let value = |meta: &Meta, name: &str| meta.properties.get(name).map(ToString::to_string);
    if let Some(meta) = Meta::read(corpus, "corpus")? {
        data.per_query = meta.properties.get("per_query").and_then(|value| value.as_u64());
        for name in ["seed", "per_query", "image_size", "resize_mode"] {
            data.facts
                .extend(value(&meta, name).map(|text| (format!("corpus {}", name.replace('_', " ")), text.trim_matches('"').to_string())));
        }
    }
    if let Some(meta) = Meta::read(selection, "selection")? {
        data.per_query = meta.properties.get("per_query").and_then(|value| value.as_u64()).or(data.per_query);
        data.facts.extend(value(&meta, "per_query").map(|text| ("selection per query".to_string(), text)));
        let off: Vec<&str> =
            meta.properties.get("off").and_then(|off| off.as_array()).into_iter().flatten().filter_map(|rule| rule.as_str()).collect();
        if !off.is_empty() {
            data.facts.push(("selection without".to_string(), off.join(", ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        assert_eq!(host("http://a.example:81/x/y?z"), "a.example:81");
        assert_eq!(host("https://b.example?q"), "b.example");
        assert_eq!(host("data:00ff"), "(pictures inside pages)");
    }

    #[test]
    fn hosts_are_bounded() {
        let mut counts = Counts::default();
        (0..MAX_HOSTS + 10).for_each(|n| counts.refuse(&format!("http://h{n}/"), "robots"));
        assert_eq!(counts.hosts.len(), MAX_HOSTS + 1);
        assert_eq!(counts.hosts["(other hosts)"].refused, 10);
    }
}
