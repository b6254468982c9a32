//! Judges what a run made of the web: every planted pair against the plan.

use crate::cap::capped;
use crate::plan::{Expect, Plan, Planted, reason};
use shards::{Candidate, PairId, Reason, Sample, outcome};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many sentences of [`Verdict::details`] are kept.
const MAX_DETAILS: usize = 40;

/// What a run wrote, as far as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Scheme, host and port under which the web was served, such as `http://127.0.0.1:8080`.
    pub base: &'a str,
    /// The run's `--per-query`, at crawl and curation.
    pub per_query: u64,
    /// How many times that the crawl fetches.
    pub headroom: f64,
    /// The corpus seed.
    pub seed: u64,
    /// The texts of the queries in use, by id; empty when there was no list.
    pub queries: &'a [String],
    /// All rows of `candidates/`.
    pub candidates: &'a [Candidate],
    /// All rows of the selection's `reasons.parquet`.
    pub reasons: &'a [Reason],
    /// All rows of the selection's `manifest.parquet`.
    pub samples: &'a [Sample],
}

/// The judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Planted pairs that should have been seen and were not.
    pub planted_missed: usize,
    /// Planted pairs decided otherwise than planned, and pairs that nobody planted.
    pub planted_wrong: usize,
    /// Picture files planted as copies of another one.
    pub duplicates_planted: usize,
    /// Of these, the files that share a sample with their original or were refused in its favour.
    pub duplicates_found: usize,
    /// Pairs taken for duplicates whose picture is no copy.
    pub duplicates_false: usize,
    /// Pairs to which the formula of the cap was applied.
    pub cap_checked: usize,
    /// Of these, the pairs decided otherwise.
    pub cap_wrong: usize,
    /// Queries with at least twice as many pairs as `per_query`.
    pub crowded_queries: usize,
    /// Words of captions that should be queries and are not, and words of the dump's furniture that are.
    pub queries_wrong: usize,
    /// The first findings in words.
    pub details: Vec<String>,
}

/// What became of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Unseen,
    /// Kept, in the sample of this number.
    Kept(usize),
    /// Refused by crawl or selection.
    Refused(String),
}

/// Compares what was found with the plan.
///
/// A copy counts as decided as planned when it shares its original's sample or is refused as a duplicate; a copy that was
/// overlooked shows in `duplicates_found`, not in `planted_wrong`. A refusal by the cap is accepted for pairs all of
/// whose queries have more than `per_query` pairs; whether the right ones were refused shows in `cap_wrong`.
pub fn judge(plan: &Plan, found: &Found) -> Verdict {
    let counts = plan.pairs_per_query();
    let originals = plan.originals();
    let fates = fates(plan, found);
    let mut verdict = Verdict { duplicates_planted: plan.duplicates(), ..Verdict::default() };
    let groups = Groups::new(plan, &originals, &fates);
    for (at, (planted, fate)) in plan.planted.iter().zip(&fates).enumerate() {
        let capped = plan.may_be_capped(&counts, &planted.caption, found.per_query);
        if groups.falsely_merged(at) {
            verdict.duplicates_false += 1;
            verdict.note(planted, fate, "is no duplicate");
        }
        match (planted.expect, fate) {
            (Expect::Absent, Fate::Unseen) => {}
            (Expect::Absent, _) => verdict.wrong(planted, fate),
            (_, Fate::Unseen) => {
                verdict.planted_missed += 1;
                verdict.note(planted, fate, "was expected to be seen");
            }
            (_, Fate::Refused(why)) if capped && (why == reason::FULL || why == reason::BALANCE) => {}
            (Expect::Refused(expected), Fate::Refused(why)) if why == expected => {}
            (Expect::Kept | Expect::Merged, Fate::Kept(_)) => {}
            // Pairs of one picture with several captions may be merged too, and the originals of copies refused for a copy.
            (Expect::Kept | Expect::Merged, Fate::Refused(why)) if duplicate(why) && groups.shared(at) => {}
            _ => verdict.wrong(planted, fate),
        }
    }
    verdict.duplicates_found = groups.found();
    verdict.details.extend(groups.overlooked().take(5));
    let capped = capped(found);
    (verdict.cap_checked, verdict.cap_wrong, verdict.crowded_queries) = (capped.checked, capped.wrong.len(), capped.crowded);
    let say = |pair: &PairId| format!("pair {pair} was decided otherwise than the cap's formula says");
    verdict.details.extend(capped.wrong.iter().take(5).map(say));
    verdict.count_queries(plan, found);
    verdict.count_unplanned(plan, found);
    verdict
}

/// A URL as the plan spells it, when the web was served at `base`.
fn place<'a>(base: &str, url: &'a str) -> Option<Cow<'a, str>> {
    if url.starts_with("data:") {
        return Some(Cow::Borrowed(url));
    }
    if let Some(path) = url.strip_prefix(base).filter(|path| path.starts_with('/')) {
        return Some(Cow::Borrowed(path));
    }
    let (_, port) = base.rsplit_once(':')?;
    let (host, path) = url.strip_prefix("http://")?.split_once(&format!(".localhost:{port}/"))?;
    Some(Cow::Owned(format!("//{host}.localhost/{path}")))
}

fn duplicate(why: &str) -> bool {
    why == reason::EXACT_DUPLICATE || why == reason::NEAR_DUPLICATE
}

/// Looks up what became of each planted pair.
fn fates(plan: &Plan, found: &Found) -> Vec<Fate> {
    let seen: HashMap<(Cow<str>, &str), &Candidate> =
        found.candidates.iter().filter_map(|row| Some(((place(found.base, &row.image_url)?, row.caption.as_str()), row))).collect();
    let decided: HashMap<PairId, &Reason> = found.reasons.iter().map(|row| (row.pair_id, row)).collect();
    let sample: HashMap<PairId, usize> =
        found.samples.iter().enumerate().flat_map(|(at, row)| row.pair_ids.iter().map(move |&pair| (pair, at))).collect();
    let fate = |planted: &Planted| {
        let Some(row) = seen.get(&(Cow::Borrowed(planted.image_path.as_str()), planted.caption.as_str())) else { return Fate::Unseen };
        if row.outcome != outcome::OK {
            return Fate::Refused(row.outcome.clone());
        }
        match (decided.get(&row.pair_id), sample.get(&row.pair_id)) {
            (Some(reason), _) if !reason.kept => Fate::Refused(reason.reason.clone()),
            (Some(_), Some(&at)) => Fate::Kept(at),
            (Some(_), None) => Fate::Refused("kept without a sample".to_string()),
            (None, _) => Fate::Refused("fetched without a reason".to_string()),
        }
    };
    plan.planted.iter().map(fate).collect()
}

/// The planted pairs gathered by original, and by the sample they came into.
struct Groups<'a> {
    plan: &'a Plan,
    originals: &'a [usize],
    fates: &'a [Fate],
    members: BTreeMap<usize, Vec<usize>>,
    /// For each sample, the original that most of its pairs belong to.
    owners: HashMap<usize, usize>,
}

impl<'a> Groups<'a> {
    fn new(plan: &'a Plan, originals: &'a [usize], fates: &'a [Fate]) -> Self {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut shares: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (at, &original) in originals.iter().enumerate() {
            members.entry(original).or_default().push(at);
            if let Fate::Kept(sample) = fates[at] {
                *shares.entry((sample, original)).or_insert(0) += 1;
            }
        }
        let mut owners: HashMap<usize, (usize, usize)> = HashMap::new();
        for ((sample, original), n) in shares {
            let best = owners.entry(sample).or_insert((n, original));
            if n > best.0 {
                *best = (n, original);
            }
        }
        let owners = owners.into_iter().map(|(sample, (_, original))| (sample, original)).collect();
        Groups { plan, originals, fates, members, owners }
    }

    /// Whether the pair has company that it may be merged with.
    fn shared(&self, at: usize) -> bool {
        self.members.get(&self.originals[at]).is_some_and(|members| members.len() > 1)
    }

    /// Whether the pair was taken for a duplicate of a picture that it is no copy of.
    fn falsely_merged(&self, at: usize) -> bool {
        match &self.fates[at] {
            Fate::Kept(sample) => self.owners.get(sample).is_some_and(|&owner| owner != self.originals[at]),
            Fate::Refused(why) => duplicate(why) && !self.shared(at),
            Fate::Unseen => false,
        }
    }

    /// The copies that were found: files of a group beyond the first, less the samples beyond the first.
    fn found(&self) -> usize {
        self.members.values().map(|members| self.found_in(members)).sum()
    }

    /// The near copies that have a sample of their own, in words.
    fn overlooked(&self) -> impl Iterator<Item = String> {
        let alone = |at: &usize| match &self.fates[*at] {
            Fate::Kept(sample) => self.members[&self.originals[*at]]
                .iter()
                .any(|other| *other != *at && matches!(&self.fates[*other], Fate::Kept(another) if another != sample)),
            _ => false,
        };
        let copies = (0..self.fates.len()).filter(|&at| self.plan.planted[at].near).filter(alone);
        copies.map(|at| format!("{} is a copy that was overlooked", self.plan.planted[at].image_path))
    }

    fn found_in(&self, members: &[usize]) -> usize {
        let mut alive = HashSet::new();
        let mut samples = HashSet::new();
        for &at in members.iter().filter(|&&at| self.plan.planted[at].expect == Expect::Merged) {
            match &self.fates[at] {
                Fate::Kept(sample) => {
                    samples.insert(*sample);
                }
                Fate::Refused(why) if duplicate(why) => {}
                _ => continue,
            }
            alive.insert(self.plan.planted[at].image_path.as_str());
        }
        // A group wholly refused as duplicates found something, but not who is the original.
        alive.len().saturating_sub(samples.len().max(1))
    }
}

impl Verdict {
    fn note(&mut self, planted: &Planted, fate: &Fate, what: &str) {
        if self.details.len() < MAX_DETAILS {
            let Planted { image_path, caption, expect, page_path, .. } = planted;
            self.details.push(format!("{image_path} with {caption:?} on {page_path}: {what}; planned {expect:?}, found {fate:?}"));
        }
    }

    fn wrong(&mut self, planted: &Planted, fate: &Fate) {
        self.planted_wrong += 1;
        self.note(planted, fate, "was decided otherwise than planned");
    }

    /// Holds the query list against the vocabulary and the decoys.
    fn count_queries(&mut self, plan: &Plan, found: &Found) {
        if found.queries.is_empty() {
            return;
        }
        let queries: HashSet<&str> = found.queries.iter().map(String::as_str).collect();
        for (words, wanted) in [(&plan.vocabulary, true), (&plan.decoys, false)] {
            for word in words.iter().filter(|word| queries.contains(word.as_str()) != wanted) {
                self.queries_wrong += 1;
                self.details.push(format!("{word:?} {}", if wanted { "is no query" } else { "is a query, but no word of prose" }));
            }
        }
    }

    /// Counts candidates that are in no plan, such as pictures without a caption.
    fn count_unplanned(&mut self, plan: &Plan, found: &Found) {
        let planted: HashSet<(&str, &str)> = plan.planted.iter().map(|p| (p.image_path.as_str(), p.caption.as_str())).collect();
        for row in found.candidates {
            let place = place(found.base, &row.image_url);
            if place.is_none_or(|place| !planted.contains(&(place.as_ref(), row.caption.as_str()))) {
                self.planted_wrong += 1;
                if self.details.len() < MAX_DETAILS {
                    self.details.push(format!("{} with {:?} on {}: was never planted", row.image_url, row.caption, row.page_url));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Size, Web};

    const BASE: &str = "http://127.0.0.1:9";

    /// The rows of a run that decided everything as planned, merging copies into one sample.
    struct Run {
        plan: Plan,
        candidates: Vec<Candidate>,
        reasons: Vec<Reason>,
        samples: Vec<Sample>,
    }

    /// The URL of a place.
    fn url(place: &str) -> String {
        match place.strip_prefix("//").and_then(|rest| rest.split_once('/')) {
            Some((host, path)) => format!("http://{host}:9/{path}"),
            None if place.starts_with("data:") => place.to_string(),
            None => format!("{BASE}{place}"),
        }
    }

    fn reason_row(pair_id: PairId, kept: bool, reason: &str) -> Reason {
        Reason { pair_id, kept, reason: reason.to_string(), value: String::new() }
    }

    fn sample(number: usize, pair_ids: Vec<PairId>) -> Sample {
        Sample {
            sample_key: format!("{number:09}"),
            image_id: shards::ImageId::of(&number.to_le_bytes()),
            pair_ids,
            captions: Vec::new(),
            query_ids: Vec::new(),
            image_url: String::new(),
            page_url: String::new(),
            split: "train".to_string(),
            label: None,
            weight: 1.0,
            group_id: number as u64,
            shard: String::new(),
            image_offset: 0,
            image_length: 0,
            text_offset: 0,
            text_length: 0,
            json_offset: 0,
            json_length: 0,
            width: 0,
            height: 0,
        }
    }

    impl Run {
        fn perfect() -> Run {
            let plan = Web::generate(2, Size { per_class: 1, copies: 4, faults: 2, test_per_class: 1 }).plan().clone();
            let originals = plan.originals();
            let (mut candidates, mut reasons) = (Vec::new(), Vec::new());
            let mut merged: BTreeMap<usize, Vec<PairId>> = BTreeMap::new();
            for (planted, original) in plan.planted.iter().zip(originals) {
                let image_url = url(&planted.image_path);
                let pair_id = PairId::new(&image_url, &planted.caption);
                let by_selection = [reason::MIN_SIDE, reason::FLAT, reason::CAPTION_REPEATED];
                let became = match planted.expect {
                    Expect::Absent => continue,
                    Expect::Refused(why) if !by_selection.contains(&why) => why,
                    Expect::Refused(why) => {
                        reasons.push(reason_row(pair_id, false, why));
                        outcome::OK
                    }
                    Expect::Kept | Expect::Merged => {
                        reasons.push(reason_row(pair_id, true, "kept"));
                        merged.entry(original).or_default().push(pair_id);
                        outcome::OK
                    }
                };
                candidates.push(Candidate {
                    pair_id,
                    image_url,
                    page_url: format!("{BASE}{}", planted.page_path),
                    caption: planted.caption.clone(),
                    field: "alt".to_string(),
                    query_ids: Vec::new(),
                    outcome: became.to_string(),
                    detail: String::new(),
                    attempts: 1,
                    time_ms: 0,
                    ..Candidate::new(String::new(), String::new(), String::new(), "")
                });
            }
            let samples = merged.into_values().enumerate().map(|(number, pairs)| sample(number, pairs)).collect();
            Run { plan, candidates, reasons, samples }
        }

        fn judged(&self) -> Verdict {
            let Run { plan, candidates, reasons, samples } = self;
            let (per_query, headroom, seed, queries) = (plan.per_query, 1.5, 1, &[]);
            judge(plan, &Found { base: BASE, per_query, headroom, seed, queries, candidates, reasons, samples })
        }

        /// The pair id of the first planted pair of which `test` is true.
        fn pair(&self, test: impl Fn(&Planted) -> bool) -> PairId {
            let planted = self.plan.planted.iter().find(|planted| test(planted)).expect("planted");
            PairId::new(&url(&planted.image_path), &planted.caption)
        }

        fn refuse(&mut self, pair: PairId, why: &str) {
            *self.reasons.iter_mut().find(|row| row.pair_id == pair).expect("decided") = reason_row(pair, false, why);
            self.samples.iter_mut().for_each(|sample| sample.pair_ids.retain(|&other| other != pair));
            self.samples.retain(|sample| !sample.pair_ids.is_empty());
        }
    }

    #[test]
    fn a_perfect_run_has_no_findings() {
        let verdict = Run::perfect().judged();
        assert_eq!(verdict, Verdict { duplicates_planted: 34, duplicates_found: 34, ..Verdict::default() });
    }

    #[test]
    fn places_are_told_from_urls() {
        let of = |url| place(BASE, url).map(Cow::into_owned);
        assert_eq!(of("http://127.0.0.1:9/a?b").as_deref(), Some("/a?b"));
        assert_eq!(of("http://photos.localhost:9/a//b").as_deref(), Some("//photos.localhost/a//b"));
        assert_eq!(of("data:00").as_deref(), Some("data:00"));
        for other in ["http://127.0.0.1:99/a", "http://photos.localhost/a", "https://photos.localhost:9/a", "http://e.org:9/"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn missing_and_wrong_pairs_are_counted_and_named() {
        let mut run = Run::perfect();
        run.candidates.remove(0);
        let kept = run.pair(|planted| planted.expect == Expect::Kept && planted.class.is_some() && planted != &run.plan.planted[0]);
        run.refuse(kept, "flat");
        let robots = run.pair(|planted| planted.expect == Expect::Refused(reason::ROBOTS));
        run.candidates.iter_mut().filter(|row| row.pair_id == robots).for_each(|row| row.outcome = outcome::HTTP_4XX.to_string());
        let mut stranger = run.candidates[5].clone();
        stranger.caption = "something else".to_string();
        run.candidates.push(stranger);
        let verdict = run.judged();
        assert_eq!((verdict.planted_missed, verdict.planted_wrong, verdict.details.len()), (1, 3, 4), "{:#?}", verdict.details);
    }

    #[test]
    fn duplicates_count_whether_merged_or_refused() {
        let mut run = Run::perfect();
        let copy = run.pair(|planted| planted.copy_of.is_some() && !planted.near);
        run.refuse(copy, reason::EXACT_DUPLICATE);
        assert_eq!(run.judged(), Run::perfect().judged());
        // A near copy that was overlooked has a sample of its own.
        let near = run.pair(|planted| planted.near);
        run.samples.iter_mut().for_each(|sample| sample.pair_ids.retain(|&other| other != near));
        run.samples.push(sample(9999, vec![near]));
        let verdict = run.judged();
        assert_eq!((verdict.duplicates_found, verdict.planted_wrong, verdict.duplicates_false), (33, 0, 0));
        // A picture that is no copy, refused as one.
        let alone = run.pair(|planted| planted.expect == Expect::Kept && planted.class.is_some());
        run.refuse(alone, reason::NEAR_DUPLICATE);
        let verdict = run.judged();
        assert_eq!((verdict.duplicates_found, verdict.planted_wrong, verdict.duplicates_false), (33, 1, 1));
    }

    #[test]
    fn the_cap_may_refuse_only_pairs_of_capped_queries() {
        let mut run = Run::perfect();
        let capped = run.pair(|planted| planted.caption.starts_with("snapshot "));
        let other = run.pair(|planted| planted.expect == Expect::Kept && planted.class.is_some());
        run.refuse(capped, reason::BALANCE);
        assert_eq!(run.judged().planted_wrong, 0);
        run.refuse(other, reason::BALANCE);
        assert_eq!(run.judged().planted_wrong, 1);
    }
}
