//! The cap's outcome, worked out again from the formula of `design.md` and held against what a run decided.
//!
//! Written from the formula, not from the program: n_q counts the candidates of query q, t is `--per-query`, T is t times the
//! headroom of the crawl. A pair is inside the crawl if u(x, q) < T / max(n_q, T) for some q of its queries; of the pairs that the
//! other rules left, those stay for which u(x, q) < min(T / n_q, 1, t / c_q), c_q being the sum of 1 / pi over them.

use crate::judge::Found;
use crate::plan::reason;
use shards::{Candidate, PairId, Reason};
use std::collections::HashMap;

/// Fractions nearer to a threshold than this are not judged: sums may be rounded in another order.
const ROUNDING: f64 = 1e-9;

/// What the formula says of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capped {
    /// Pairs that the formula was applied to.
    pub checked: usize,
    /// Pairs decided otherwise.
    pub wrong: Vec<PairId>,
    /// Queries with at least twice as many pairs as the cap.
    pub crowded: usize,
}

/// Applies the formula to all pairs of a run. Without a query list there is no cap.
pub(crate) fn capped(found: &Found) -> Capped {
    let mut result = Capped::default();
    if found.queries.is_empty() || found.per_query == 0 {
        return result;
    }
    let formula = Formula::new(found);
    result.crowded = formula.seen.iter().filter(|&&n| n >= 2.0 * formula.wanted).count();
    let rows: HashMap<PairId, &Candidate> = found.candidates.iter().map(|row| (row.pair_id, row)).collect();
    for row in found.candidates.iter().filter(|row| row.outcome == reason::FULL) {
        result.note(row.pair_id, false, formula.inside_crawl(row));
    }
    let survives = |row: &&Reason| row.kept || row.reason == reason::BALANCE;
    let survivors: Vec<(&Reason, &Candidate)> =
        found.reasons.iter().filter(survives).filter_map(|row| Some((row, *rows.get(&row.pair_id)?))).collect();
    let mut weights = vec![0.0; found.queries.len()];
    for (_, row) in &survivors {
        row.query_ids.iter().for_each(|&query| weights[query as usize] += 1.0 / formula.chance(row));
    }
    for (decided, row) in survivors {
        result.note(row.pair_id, decided.kept, formula.stays(row, &weights));
    }
    result
}

impl Capped {
    /// Holds a decision against the formula's, which is `None` where rounding decides.
    fn note(&mut self, pair: PairId, decided: bool, formula: Option<bool>) {
        self.checked += 1;
        if formula.is_some_and(|formula| formula != decided) {
            self.wrong.push(pair);
        }
    }
}

struct Formula<'a> {
    found: &'a Found<'a>,
    /// t.
    wanted: f64,
    /// T.
    fetched: f64,
    /// n_q by query.
    seen: Vec<f64>,
}

impl<'a> Formula<'a> {
    fn new(found: &'a Found) -> Self {
        let mut seen = vec![0.0; found.queries.len()];
        for row in found.candidates {
            row.query_ids.iter().for_each(|&query| seen[query as usize] += 1.0);
        }
        let wanted = found.per_query as f64;
        Formula { found, wanted, fetched: wanted * found.headroom, seen }
    }

    /// u(x, q): the first 53 bits of BLAKE3(seed, pair id, query text) as a fraction of 1.
    fn fraction(&self, pair: &PairId, query: u32) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.found.seed.to_le_bytes()).update(&pair.0).update(self.found.queries[query as usize].as_bytes());
        let hash = hasher.finalize();
        let bits = hash.as_bytes()[..8].iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The crawl's share of a query.
    fn share(&self, query: u32) -> f64 {
        (self.fetched / self.seen[query as usize]).min(1.0)
    }

    /// pi(x).
    fn chance(&self, row: &Candidate) -> f64 {
        1.0 - row.query_ids.iter().map(|&query| 1.0 - self.share(query)).product::<f64>()
    }

    /// Whether some query lets the pair through at its `threshold`.
    fn passes(&self, row: &Candidate, threshold: impl Fn(u32) -> f64) -> Option<bool> {
        let margin = |&query: &u32| threshold(query) - self.fraction(&row.pair_id, query);
        let best = row.query_ids.iter().map(margin).fold(f64::NEG_INFINITY, f64::max);
        (row.query_ids.is_empty() || best.abs() > ROUNDING).then_some(row.query_ids.is_empty() || best > 0.0)
    }

    fn inside_crawl(&self, row: &Candidate) -> Option<bool> {
        self.passes(row, |query| self.share(query))
    }

    fn stays(&self, row: &Candidate, weights: &[f64]) -> Option<bool> {
        self.passes(row, |query| self.share(query).min(self.wanted / weights[query as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32) -> Candidate {
        Candidate {
            pair_id: PairId::new("http://a/b.jpg", &number.to_string()),
            image_url: String::new(),
            page_url: String::new(),
            caption: String::new(),
            field: String::new(),
            query_ids: vec![0],
            outcome: shards::outcome::OK.to_string(),
            detail: String::new(),
            attempts: 1,
            time_ms: 0,
            ..Candidate::new(String::new(), String::new(), String::new(), "")
        }
    }

    fn found<'a>(queries: &'a [String], candidates: &'a [Candidate], reasons: &'a [Reason]) -> Found<'a> {
        Found { base: "", per_query: 100, headroom: 1.5, seed: 7, queries, candidates, reasons, samples: &[] }
    }

    fn decided(pair_id: PairId, kept: bool) -> Reason {
        Reason { pair_id, kept, reason: if kept { "kept" } else { "balance" }.to_string(), value: String::new() }
    }

    #[test]
    fn the_formula_is_held_against_every_decision() {
        let queries = ["cat".to_string()];
        let mut candidates: Vec<Candidate> = (0..400).map(row).collect();
        let plain = candidates.clone();
        let known = found(&queries, &plain, &[]);
        let formula = Formula::new(&known);
        for row in candidates.iter_mut().filter(|row| formula.inside_crawl(row) != Some(true)) {
            row.outcome = reason::FULL.to_string();
        }
        // 150 of 400, give or take three standard deviations.
        let count = candidates.iter().filter(|row| row.outcome == shards::outcome::OK).count();
        assert!((120..180).contains(&count), "{count}");
        // All that were fetched survive, and each stands for 400 / 150.
        let weights = [count as f64 * 400.0 / 150.0];
        let fetched = candidates.iter().filter(|row| row.outcome == shards::outcome::OK);
        let mut reasons: Vec<Reason> = fetched.map(|row| decided(row.pair_id, formula.stays(row, &weights) == Some(true))).collect();
        assert_eq!(capped(&found(&queries, &candidates, &reasons)), Capped { checked: 400, wrong: Vec::new(), crowded: 1 });
        reasons[3] = decided(reasons[3].pair_id, !reasons[3].kept);
        assert_eq!(capped(&found(&queries, &candidates, &reasons)).wrong, [reasons[3].pair_id]);
        let inside = candidates.iter().position(|row| row.outcome == shards::outcome::OK).expect("one");
        candidates[inside].outcome = "full".to_string();
        assert!(capped(&found(&queries, &candidates, &reasons)).wrong.contains(&candidates[inside].pair_id));
    }
}
