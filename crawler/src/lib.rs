//! Sources, politeness, fetching, extraction and ingest of image-text pairs.
