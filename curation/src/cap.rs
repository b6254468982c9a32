//! The cap: which pairs of a query are inside, by a seeded hash of identities.

use shards::PairId;

/// The cap on pairs per query.
#[derive(Clone, Copy, Debug)]
pub struct Cap {
    /// The corpus' seed.
    pub seed: u64,
    /// Pairs per query.
    pub per_query: u64,
}

impl Cap {
    /// u(x, q): BLAKE3(seed, pair id, query text) as a fraction of 1, below 1.
    pub fn fraction(&self, pair: &PairId, query_text: &str) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&pair.0).update(query_text.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
    }
}
