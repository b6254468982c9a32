//! The catalogue of a corpus, and SQL over everything in it.
