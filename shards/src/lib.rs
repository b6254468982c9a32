//! The leaf room: what a pair, a sample and a manifest are, and how they lie on disk.
//!
//! Every other room of diptych meets here and nowhere else, so this crate knows nothing of networks, queries, models
//! or SQL. It holds
//!
//! - identities: [`PairId`], [`ImageId`], the cleaned caption ([`clean_caption`]) and the canonical URL ([`canonical_url`]);
//! - rows: [`Candidate`], [`PoolRow`], [`Sample`], [`Reason`], each a [`Row`] of a Parquet table ([`TableWriter`], [`TableReader`]);
//! - files: [`AtomicFile`] and [`AtomicFolder`] (nothing half-written at a final path), [`TarWriter`] and [`TarReader`], [`Meta`];
//! - manifests made of others: [`shuffle`] packs the samples of one into shuffled tars, [`import`] makes one of foreign data;
//! - pictures: [`decode`] under [`Limits`], [`ResizeMode`], [`encode_jpeg`], [`Measures`] taken once at ingest;
//! - [`Job`] and [`Commit`], the words in which the crawler and the catalogue speak of work;
//! - [`Meter`], the counter that the program draws as progress.
//!
//! The formats are written down in `FORMAT.md` at the root.

mod caption;
mod error;
mod files;
mod folder;
mod ids;
mod import;
mod ledger;
mod measure;
mod meta;
mod meter;
mod pack;
mod picture;
mod resize;
mod rows;
mod shuffle;
mod sum;
mod table;
mod tar;
mod urls;

pub use caption::{MAX_CAPTION_CHARS, clean_caption};
pub use error::Error;
pub use files::{AtomicFile, hash_file, remove_temporaries, sync_folder, write_atomic};
pub use folder::AtomicFolder;
pub use ids::{ImageId, PairId};
pub use import::{ImportOptions, ImportSummary, import};
pub use ledger::{Commit, HostDelta, Job, JobKind, NewJob, PageLink, SegmentTotals};
pub use measure::{Measures, THUMBNAIL_SIDE, flatness, perceptual_hash, pixel_hash, thumbnail};
pub use meta::{FORMAT_VERSION, Meta};
pub use meter::Meter;
pub use picture::{Format, Limits, Picture, PictureError, decode, encode_jpeg, png_bytes};
pub use resize::{ResizeMode, resize_exact};
pub use rows::{Candidate, PoolRow, Reason, Sample};
pub use shuffle::{ShuffleOptions, ShuffleSummary, shuffle};
pub use sum::check_sum;
pub use table::{BadCell, Cell, Row, TableReader, TableWriter, column};
pub use tar::{Extent, Header, Member, TarReader, TarWriter, member_at, member_sum, read_extent};
pub use urls::canonical_url;
