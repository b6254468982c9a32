//! The last rule: at most about `per_query` pairs for each query, by seeded hashes, corrected for what the crawl's own cap
//! has left out already.
//!
//! With n_q candidates seen and T the crawl's cap, a pair x was inside the crawl with probability
//! pi(x) = 1 - prod over its queries of (1 - min(1, T / n_q)). Summed over the pairs that the other rules left,
//! c_q = sum of 1 / pi(x) estimates how many pairs of q there would be without the crawl's cap. x is kept if
//! u(x, q) < min(T / n_q, 1, t / c_q) for some q of its queries. Without a cap in the crawl and without filters this is
//! MetaCLIP's balancing (2309.16671, section 3.4), made repeatable.

use crate::Cap;
use shards::PairId;

/// The balance while survivors are counted ([`Balance::count`]), and then as a rule ([`Balance::keeps`]).
pub(crate) struct Balance {
    cap: Cap,
    /// T: the crawl's cap, infinite for a pool that was not capped.
    fetched: f64,
    texts: Vec<String>,
    /// n_q by query id.
    seen: Vec<u64>,
    /// c_q by query id.
    weighted: Vec<f64>,
}

impl Balance {
    /// A rule that keeps `cap.per_query` pairs of each query of `texts`, of which `seen` candidates were seen and about
    /// `fetched` of them asked for.
    pub(crate) fn new(cap: Cap, fetched: f64, texts: Vec<String>, seen: Vec<u64>) -> Self {
        let weighted = vec![0.0; texts.len()];
        Balance { cap, fetched, texts, seen, weighted }
    }

    /// The share of query `id`'s candidates that the crawl's cap let through.
    fn let_through(&self, id: usize) -> f64 {
        // A pool pair whose candidate row is lost was still seen once.
        (self.fetched / self.seen[id].max(1) as f64).min(1.0)
    }

    /// The ids that the query list has; others come from a damaged table and count for nothing.
    fn known<'a>(&self, queries: &'a [u32]) -> impl Iterator<Item = usize> + use<'a> {
        let count = self.texts.len();
        queries.iter().map(|&id| id as usize).filter(move |&id| id < count)
    }

    /// pi(x): the probability that the crawl's cap let a pair of these queries through. 0 without queries.
    fn probability(&self, queries: &[u32]) -> f64 {
        // In logarithms, because 1 minus a product of factors near 1 loses all digits.
        -self.known(queries).map(|id| (-self.let_through(id)).ln_1p()).sum::<f64>().exp_m1()
    }

    /// Adds a pair that the other rules left to the c_q of its queries.
    pub(crate) fn count(&mut self, queries: &[u32]) {
        let weight = 1.0 / self.probability(queries);
        for id in self.known(queries) {
            self.weighted[id] += weight;
        }
    }

    /// Whether the pair stays, once all are counted. A pair without queries stays: there is nothing to cap it by.
    pub(crate) fn keeps(&self, pair: &PairId, queries: &[u32]) -> bool {
        queries.is_empty()
            || self.known(queries).any(|id| {
                let share = (self.cap.per_query as f64 / self.weighted[id]).min(self.let_through(id));
                self.cap.fraction(pair, &self.texts[id]) < share
            })
    }

    /// How many queries cannot reach `per_query` pairs because the crawl's cap was lower and left some of theirs out.
    pub(crate) fn unreachable(&self) -> u64 {
        let short = |&seen: &u64| self.fetched < self.cap.per_query as f64 && seen as f64 > self.fetched;
        self.seen.iter().filter(|seen| short(seen)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCAPPED: f64 = f64::INFINITY;

    fn balance(per_query: u64, fetched: f64, seen: &[u64]) -> Balance {
        let texts = (0..seen.len()).map(|id| format!("query {id}")).collect();
        Balance::new(Cap { seed: 7, per_query }, fetched, texts, seen.to_vec())
    }

    fn pair(number: u32) -> PairId {
        PairId::new("http://a/b.jpg", &number.to_string())
    }

    /// Share of 20,000 pairs of these queries that stay.
    fn share(balance: &Balance, queries: &[u32]) -> f64 {
        (0..20_000).filter(|&number| balance.keeps(&pair(number), queries)).count() as f64 / 20_000.0
    }

    #[test]
    fn keeps_the_shares_of_the_closed_form() {
        // Counts a: 100, b: 10, t = 20: {a} stays with 0.2, {a, b} with 1.
        let mut rule = balance(20, UNCAPPED, &[100, 10, 40]);
        (0..90).for_each(|_| rule.count(&[0]));
        (0..10).for_each(|_| rule.count(&[0, 1]));
        (0..40).for_each(|_| rule.count(&[2]));
        // Standard deviation of a share of 0.2 out of 20,000: 0.0028.
        assert!((share(&rule, &[0]) - 0.2).abs() < 0.012);
        assert_eq!(share(&rule, &[0, 1]), 1.0);
        // Head entries of 0.2 and 0.5: 1 - 0.8 * 0.5 = 0.6.
        assert!((share(&rule, &[0, 2]) - 0.6).abs() < 0.014);
        assert_eq!(share(&rule, &[]), 1.0);
        assert_eq!(share(&rule, &[99]), 0.0, "an id outside the list");
    }

    #[test]
    fn a_capped_pool_estimates_what_was_there() {
        // 1,000 candidates of which the crawl let 300 through; half of them are left: 500 of 1,000 would be.
        let mut rule = balance(200, 300.0, &[1000, 5000]);
        (0..150).for_each(|_| rule.count(&[0]));
        assert!((rule.weighted[0] - 500.0).abs() < 1e-6);
        // Of all candidates, pairs below 0.3 were fetched; the threshold becomes 200 / 500, so all of them stay.
        assert!((share(&rule, &[0]) - 0.3).abs() < 0.014);
        assert!((rule.probability(&[0, 1]) - (1.0 - 0.7 * 0.94)).abs() < 1e-12);
        assert_eq!(rule.unreachable(), 0);
        assert_eq!(balance(400, 300.0, &[1000, 200, 5000]).unreachable(), 2);
    }

    #[test]
    fn a_larger_cap_keeps_a_superset() {
        let kept = |per_query| {
            let mut rule = balance(per_query, UNCAPPED, &[1000]);
            (0..1000).for_each(|_| rule.count(&[0]));
            (0..1000).filter(|&number| rule.keeps(&pair(number), &[0])).collect::<Vec<_>>()
        };
        let (small, large) = (kept(100), kept(300));
        assert!(small.iter().all(|number| large.contains(number)));
        assert!(small.len() < 150 && large.len() > 250);
    }
}
