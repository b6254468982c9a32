//! The rows that rooms hand to each other. Column meanings are part of the format (`FORMAT.md`).

use crate::{Extent, ImageId, PairId, table_row};

table_row! {
    /// A pair that was seen, whether or not its image was fetched: one row of `candidates/*.parquet`.
    pub struct Candidate in "candidates" {
        /// The pair.
        pair_id: PairId,
        /// The canonical image URL.
        image_url: String,
        /// The page it was found on; empty for a URL list.
        page_url: String,
        /// The cleaned caption.
        caption: String,
        /// Where the caption stood: `alt`, `title`, `figcaption`, `aria-label`, or `column` for a URL list.
        field: String,
        /// The queries it matches, ascending, as ids of `queries.parquet`.
        query_ids: Vec<u32>,
        /// `ok`, or why not: one of the words of [`crate::outcome`], such as `unmatched`, `full`, `robots`, `http_4xx`, `timeout`.
        outcome: String,
        /// The outcome in words, such as `404 Not Found`.
        detail: String,
        /// Requests made for it.
        attempts: u32,
        /// When it was decided, in milliseconds since 1970 UTC.
        time_ms: i64,
    }
}

table_row! {
    /// A fetched pair: one row of `pool/SSSSS.parquet`, beside `pool/SSSSS.tar`. The columns up to `original_height` are
    /// img2dataset's; the rest say where the members lie and what was measured at ingest.
    pub struct PoolRow in "pool" {
        /// The image URL.
        url: String,
        /// The cleaned caption.
        caption: String,
        /// Segment number and row, nine digits: the tar members' stem.
        key: String,
        /// `success`: only fetched pairs have a row.
        status: String,
        /// Width of the stored image in pixels.
        width: u32,
        /// Height of the stored image in pixels.
        height: u32,
        /// Width as received.
        original_width: u32,
        /// Height as received.
        original_height: u32,
        /// The pair.
        pair_id: PairId,
        /// The image, by the bytes received.
        image_id: ImageId,
        /// The page it was found on; empty for a URL list.
        page_url: String,
        /// The queries it matches, ascending.
        query_ids: Vec<u32>,
        /// Hash of the decoded pixels, 32 hex digits: equal for copies whose bytes differ but pixels do not.
        pixel_hash: String,
        /// 64-bit perceptual hash of the decoded picture.
        perceptual_hash: u64,
        /// 8 x 8 RGB thumbnail of the decoded picture, 192 bytes: confirms what the perceptual hash proposes.
        thumbnail: Vec<u8>,
        /// Share of pixels that have the most frequent colour, 0 to 1.
        flatness: f32,
        /// Offset of the image member's data in the tar, in bytes.
        image_offset: u64,
        /// Length of the image member's data in bytes.
        image_length: u64,
        /// Offset of the caption member's data.
        text_offset: u64,
        /// Length of the caption member's data.
        text_length: u64,
        /// Offset of the JSON member's data.
        json_offset: u64,
        /// Length of the JSON member's data.
        json_length: u64,
    }
}

table_row! {
    /// One image with its captions: one row of a `manifest.parquet`, the only thing that training and evaluation read.
    pub struct Sample in "manifest" {
        /// The tar members' stem, unique within the manifest.
        sample_key: String,
        /// The image, by the bytes received.
        image_id: ImageId,
        /// The pairs that were merged into this sample, in the order of `captions`; empty for imported data.
        pair_ids: Vec<PairId>,
        /// 1 to n captions, without repeats.
        captions: Vec<String>,
        /// The queries of all captions, ascending.
        query_ids: Vec<u32>,
        /// The image URL; empty for imported data.
        image_url: String,
        /// The page; empty for URL lists and imported data.
        page_url: String,
        /// `train`, `val` or `test`.
        split: String,
        /// The class number, if the data has classes (`classes.json` beside the manifest names them).
        label: Option<u32>,
        /// Weight in training, 1 unless a selection says otherwise.
        weight: f32,
        /// Samples that are duplicates of each other share it; a split never cuts a group.
        group_id: u64,
        /// The tar, relative to the manifest's folder.
        shard: String,
        /// Offset of the image member's data in the tar, in bytes.
        image_offset: u64,
        /// Length of the image member's data in bytes.
        image_length: u64,
        /// Offset of the caption member's data; 0 when there is none.
        text_offset: u64,
        /// Length of the caption member's data; 0 when there is none.
        text_length: u64,
        /// Offset of the JSON member's data; 0 when there is none.
        json_offset: u64,
        /// Length of the JSON member's data; 0 when there is none.
        json_length: u64,
        /// Width of the stored image in pixels.
        width: u32,
        /// Height of the stored image in pixels.
        height: u32,
    }
}

table_row! {
    /// What a selection decided about a pair: one row of `reasons.parquet`, which has every pair of the pool.
    pub struct Reason in "reasons" {
        /// The pair.
        pair_id: PairId,
        /// Whether the selection has it.
        kept: bool,
        /// The first rule that refused it, such as `min-side` or `near-duplicate`; `kept` when none did.
        reason: String,
        /// What the rule saw: a size, a share, the pair it duplicates.
        value: String,
    }
}

impl PoolRow {
    /// Where the image lies in the segment's tar.
    pub fn image(&self) -> Extent {
        Extent { offset: self.image_offset, length: self.image_length }
    }
}

impl Sample {
    /// Where the image lies in its tar.
    pub fn image(&self) -> Extent {
        Extent { offset: self.image_offset, length: self.image_length }
    }

    /// Where the caption text lies in its tar.
    pub fn text(&self) -> Extent {
        Extent { offset: self.text_offset, length: self.text_length }
    }

    /// Where the JSON record lies in its tar.
    pub fn json(&self) -> Extent {
        Extent { offset: self.json_offset, length: self.json_length }
    }
}
