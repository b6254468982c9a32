//! The leaf room: what a pair, a sample and a manifest are, and how they lie on disk.
//!
//! Every other room of diptych meets here and nowhere else, so this crate knows nothing of networks, queries, models
//! or SQL. It holds
//!
//! - identities: [`PairId`], [`ImageId`], the cleaned caption ([`clean_caption`]) and the canonical URL ([`canonical_url`]);
//! - rows: [`Candidate`], [`PoolRow`], [`Sample`], [`Reason`], each a [`Row`] of a Parquet table ([`TableWriter`], [`TableReader`]);
//! - files: [`AtomicFile`] and [`AtomicFolder`] (nothing half-written at a final path), [`TarWriter`] and [`TarReader`], [`Meta`];
//! - manifests made of others: [`shuffle`] packs the samples of one into shuffled tars, [`import`] makes one of foreign data;
//! - addresses: `s3://`, `gs://` and `https://` wherever a path to read from stands ([`Stored`], [`beside`]);
//! - takedown: [`Removed`], which readers obey, [`take_down`] and [`erase`], which rewrite;
//! - pictures: [`decode`] under [`Limits`], [`Jpeg`] for reduced ones, [`Received`] on their way in with [`ResizeMode`], [`Measures`] and [`Encoding`];
//! - [`Job`] and [`Commit`], the words in which the crawler and the catalogue speak of work;
//! - [`Meter`], the counter that the program draws as progress.
//!
//! The formats are written down in `FORMAT.md` at the root.

mod area;
mod caption;
mod census;
mod encoding;
mod erase;
mod error;
mod files;
mod folder;
mod ids;
mod import;
mod jpeg;
mod ledger;
mod leftovers;
mod measure;
mod mend;
mod meta;
mod meter;
pub mod outcome;
mod pack;
mod picture;
mod received;
mod removed;
mod resize;
mod rows;
mod script;
mod shuffle;
mod simd;
mod store;
mod sum;
mod table;
mod takedown;
mod tar;
mod urls;

pub use caption::{MAX_CAPTION_CHARS, clean_caption};
pub use encoding::Encoding;
pub use erase::{ERASED, erase};
pub use error::Error;
pub use files::{AtomicFile, hash_file, remove_temporaries, sync_folder, write_atomic};
pub use folder::AtomicFolder;
pub use ids::{ImageId, PairId};
pub use import::{
    IMPORT_KINDS, ImportOptions, ImportSummary, PoolImport, PoolSource, Queries, Segment, import, pool_sources, tables_without_tar,
};
pub use jpeg::{Jpeg, jpeg_size};
pub use ledger::{Commit, HostDelta, Job, JobKind, NewJob, PageLink, SegmentTotals, TakenUp};
pub use leftovers::leftovers;
pub use measure::{Measures, THUMBNAIL_SIDE, flatness, perceptual_hash, pixel_hash, thumbnail};
pub use mend::{Expected, Mended, mend, rebuild_manifest, rebuild_pool};
pub use meta::{FORMAT_VERSION, Meta};
pub use meter::Meter;
pub use pack::{SUMS, write_json};
pub use picture::{Format, Limits, Picture, PictureError, decode, encode_jpeg, png_bytes};
pub use received::Received;
pub use removed::{REMOVED, Removed, url_name};
pub use resize::{ResizeMode, resize_exact, shrink};
pub use rows::{Candidate, PoolRow, Reason, Removal, Sample};
pub use script::script;
pub use shuffle::{ShuffleOptions, ShuffleSummary, shuffle};
pub use store::{ReadAt, Stored, beside, is_address, read as read_file};
pub use sum::check_sum;
pub use table::{BadCell, Cell, Row, TableReader, TableWriter, caught, column};
pub use takedown::{REPLACES, TakenDown, rewrite, take_down};
pub use tar::{Extent, Header, Member, TarReader, TarWriter, member_at, member_sum, read_extent};
pub use urls::{canonical_text, canonical_url, escaped_byte};

#[cfg(test)]
mod hostile_tests;
