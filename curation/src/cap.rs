//! The cap: at most about so many pairs for each query, chosen by hashes so that order, workers and time do not matter.
//!
//! u(x, q) is a fixed fraction for pair x and query q, n_q the number of distinct pairs seen that match q, t the cap. Pair x is
//! *inside* if u(x, q) < t / max(n_q, t) for some q of its queries. As n_q only grows, thresholds only fall: what is inside at the
//! end was inside whenever it was seen, so one may take by the running n_q and trim by the final n_q, and gets exactly
//! what MetaCLIP's balancing (arXiv 2309.16671, p_q = t / max(n_q, t), kept if any query's draw succeeds) gets from everything.

use shards::PairId;

/// How many pairs a query may have, and the seed of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The corpus seed.
    pub seed: u64,
    /// Pairs per query (t); 0 means no cap.
    pub per_query: u64,
}

impl Cap {
    /// u(x, q) in [0, 1): the first 53 bits of BLAKE3(seed as 8 little-endian bytes, pair id, query text), the hash's first
    /// 8 bytes taken as a big-endian number.
    pub fn fraction(&self, pair: &PairId, query_text: &str) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&pair.0).update(query_text.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        // 53 bits are what an f64 holds exactly; rounding 64 bits could give 1.
        (u64::from_be_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The fraction below which a pair of a query with `seen` pairs (n_q) is inside: t / max(n_q, t), 1 without a cap.
    pub fn threshold(&self, seen: u64) -> f64 {
        if seen <= self.per_query || self.per_query == 0 { 1.0 } else { self.per_query as f64 / seen as f64 }
    }

    /// Whether the pair is inside for some of its queries, each given as its text and n_q. A pair without queries is
    /// inside: there is no list to cap by.
    pub fn inside<'a>(&self, pair: &PairId, queries: impl Iterator<Item = (&'a str, u64)>) -> bool {
        let mut none = true;
        for (text, seen) in queries {
            none = false;
            let threshold = self.threshold(seen);
            if threshold >= 1.0 || self.fraction(pair, text) < threshold {
                return true;
            }
        }
        none
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(i: usize) -> PairId {
        PairId::new("http://a/b.jpg", &i.to_string())
    }

    /// What every pair matches, as indices of queries.
    fn matches() -> impl Strategy<Value = Vec<Vec<usize>>> {
        proptest::collection::vec(proptest::collection::vec(0usize..6, 1..4), 1..120).prop_map(|mut pairs| {
            for queries in &mut pairs {
                queries.sort_unstable();
                queries.dedup();
            }
            pairs
        })
    }

    const TEXTS: [&str; 6] = ["cat", "dog", "a", "the", "猫", ""];

    fn counts(pairs: &[Vec<usize>]) -> [u64; 6] {
        let mut counts = [0; 6];
        pairs.iter().flatten().for_each(|&query| counts[query] += 1);
        counts
    }

    fn inside(cap: Cap, pairs: &[Vec<usize>], i: usize, counts: &[u64; 6]) -> bool {
        cap.inside(&pair(i), pairs[i].iter().map(|&query| (TEXTS[query], counts[query])))
    }

    #[test]
    fn fractions_are_fixed_even_and_differ() {
        let cap = Cap { seed: 7, per_query: 10 };
        let by_hand = {
            let mut bytes = 7u64.to_le_bytes().to_vec();
            bytes.extend(pair(1).0);
            bytes.extend(b"cat");
            let hash = blake3::hash(&bytes);
            hash.as_bytes()[..8].iter().rev().fold(0.0, |sum, &byte| (sum + f64::from(byte)) / 256.0)
        };
        assert!((cap.fraction(&pair(1), "cat") - by_hand).abs() < 1e-12);
        assert_ne!(cap.fraction(&pair(1), "cat"), cap.fraction(&pair(1), "dog"));
        assert_ne!(cap.fraction(&pair(1), "cat"), Cap { seed: 8, ..cap }.fraction(&pair(1), "cat"));
        let mean = (0..4000).map(|i| cap.fraction(&pair(i), "cat")).sum::<f64>() / 4000.0;
        // The standard deviation of the mean of 4,000 even fractions is 0.0046.
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn head_queries_keep_about_the_cap() {
        let cap = Cap { seed: 1, per_query: 500 };
        let kept = (0..10_000).filter(|&i| cap.inside(&pair(i), [("cat", 10_000)].into_iter())).count();
        // Binomial with mean 500 and standard deviation 22.
        assert!((400..600).contains(&kept), "{kept}");
        // Two queries with p 0.2 and 0.5 keep 1 - 0.8 * 0.5 = 0.6; standard deviation 49 of 10,000.
        let both = (0..10_000).filter(|&i| cap.inside(&pair(i), [("a", 2500), ("b", 1000)].into_iter())).count();
        assert!((5750..6250).contains(&both), "{both}");
    }

    #[test]
    fn without_list_or_cap_everything_is_inside() {
        assert!(Cap { seed: 0, per_query: 1 }.inside(&pair(0), std::iter::empty()));
        assert!(Cap { seed: 0, per_query: 0 }.inside(&pair(0), [("cat", u64::MAX)].into_iter()));
    }

    proptest! {
        #[test]
        fn taking_early_and_trimming_late_gives_the_final_set(
            pairs in matches(), t in 1u64..30, seed: u64, order: u64, lag in 0u64..40,
        ) {
            let cap = Cap { seed, per_query: t };
            let last = counts(&pairs);
            let mut sequence: Vec<usize> = (0..pairs.len()).collect();
            sequence.sort_by_key(|&i| blake3::hash(&(order ^ i as u64).to_le_bytes()).as_bytes()[..8].to_vec());
            let mut running = [0u64; 6];
            let mut taken = Vec::new();
            for (step, &i) in sequence.iter().enumerate() {
                pairs[i].iter().for_each(|&query| running[query] += 1);
                // Workers see counters that are behind, each by another amount.
                let stale = running.map(|count| count.saturating_sub((step as u64 * 7 + lag) % (lag + 1)));
                if inside(cap, &pairs, i, &stale) {
                    taken.push(i);
                }
            }
            let mut trimmed: Vec<usize> = taken.into_iter().filter(|&i| inside(cap, &pairs, i, &last)).collect();
            trimmed.sort_unstable();
            let expected: Vec<usize> = (0..pairs.len()).filter(|&i| inside(cap, &pairs, i, &last)).collect();
            prop_assert_eq!(trimmed, expected);
        }

        #[test]
        fn a_larger_cap_loses_nothing_and_tails_stay_whole(pairs in matches(), t in 1u64..30, more in 0u64..30, seed: u64) {
            let last = counts(&pairs);
            let (small, large) = (Cap { seed, per_query: t }, Cap { seed, per_query: t + more });
            for i in 0..pairs.len() {
                let kept = inside(small, &pairs, i, &last);
                prop_assert!(!kept || inside(large, &pairs, i, &last));
                prop_assert!(kept || pairs[i].iter().all(|&query| last[query] > t));
            }
        }

        #[test]
        fn thresholds_fall_with_what_was_seen(t in 1u64.., seen: u64, more: u64) {
            let cap = Cap { seed: 0, per_query: t };
            prop_assert!(cap.threshold(seen.saturating_add(more)) <= cap.threshold(seen));
        }
    }
}
