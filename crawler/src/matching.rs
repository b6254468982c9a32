//! What the crawler needs of a query list: which queries a caption has, and whether a pair is inside the cap.

use shards::PairId;

/// A query list with its cap. Shared by all workers, so its methods take no lock.
pub trait Matcher: Send + Sync {
    /// The queries that `caption` (cleaned) matches, ascending.
    fn queries(&self, caption: &str) -> Vec<u32>;

    /// Whether the pair is inside the cap, given the number of pairs `seen` so far for each query.
    ///
    /// Must be monotonic: a pair outside at some counts is outside at any higher ones.
    fn inside(&self, pair: &PairId, queries: &[u32], seen: &dyn Fn(u32) -> u64) -> bool;

    /// Pairs that a query may have before the cap thins them out; 0 without a cap.
    fn cap(&self) -> u64;

    /// Number of queries; ids are below it.
    fn query_count(&self) -> usize;

    /// The words of a query.
    fn text(&self, query: u32) -> &str;

    /// Pairs wanted for each query: searches stop asking for a query that has as many.
    fn wanted(&self) -> u64;
}
