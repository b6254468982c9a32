//! One row of the query list.

use shards::table_row;

/// The id of rows that were cut and take no part in matching.
pub const CUT_ID: u32 = u32::MAX;

table_row! {
    /// An entry of the query list: one row of `queries.parquet`.
    ///
    /// The ids of kept rows are 0, 1, 2... in the order of rows; cut rows follow them and have the id [`CUT_ID`]. The file's note
    /// `match` names the matching rule that the list is meant for.
    pub struct Query in "queries" {
        /// Number by which candidates and samples name the query.
        id: u32,
        /// The query, in the form in which the list's rule compares it.
        text: String,
        /// The source it is kept for, or the first that proposed it: `added`, `number`, `word`, `bigram`, `title`, `wordnet`.
        source: String,
        /// How often it was counted in the dumps, as a word or as two in a row.
        count: u64,
        /// Pointwise mutual information in bits, for pairs of words.
        pmi: Option<f64>,
        /// Page views, for titles.
        views: Option<u64>,
        /// Why it is not in use: `pmi` (below the threshold), `rank` (below the best pairs), `limit` (beyond the quota and the limit);
        /// empty for kept rows.
        cut: String,
    }
}
