//! Rows of the query list.

use shards::table_row;

table_row! {
    /// An entry of the query list: one row of `queries.parquet`.
    pub struct Query in "queries" {
        /// Its number; `u32::MAX` for a cut entry.
        id: u32,
        /// The text to be found.
        text: String,
        /// Where it came from.
        source: String,
        /// How often it was seen there.
        count: u64,
        /// Pointwise mutual information, for word pairs.
        pmi: Option<f64>,
        /// Page views, for titles.
        views: Option<u64>,
        /// Why it was cut; empty when kept.
        cut: String,
    }
}
