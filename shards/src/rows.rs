//! The rows that rooms hand to each other. Column meanings are part of the format (`FORMAT.md`).

use crate::{Extent, ImageId, PairId, outcome, table_row};

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
        /// Where the caption stood: `alt`, `title`, `figcaption`, `aria-label`; `column` in a URL list, `description` or `title` in a search.
        field: String,
        /// The queries it matches, ascending, as ids of `queries.parquet`.
        query_ids: Vec<u32>,
        /// `ok`, or why not: one of the words of [`crate::outcome`], such as `unmatched`, `full`, `robots`, `http_4xx`, `timeout`; `removed`
        /// when it was taken down since: URLs and caption are empty then, and `detail` is the outcome before.
        outcome: String,
        /// The outcome in words, such as `404 Not Found`.
        detail: String,
        /// Requests made for it.
        attempts: u32,
        /// When it was decided, in milliseconds since 1970 UTC.
        time_ms: i64,
        /// Where it was found: `web:HOST`, `urls:FILE`, `wat:FILE`, `warc:FILE`, or a search service such as `openverse:QUERY`.
        source: String,
        /// When its page was fetched or its service asked, in milliseconds since 1970 UTC; 0 when the source does not say.
        found_ms: i64,
        /// The words that stand around the image on its page, cut short; empty when the source does not say.
        nearby: String,
        /// A hint of the licence: a name or an address as found; empty when there is none.
        licence: String,
        /// Who made the image, as the source says; empty when it does not.
        author: String,
        /// Further columns of a URL list, a JSON object; empty when there are none.
        extra: String,
    }
}

impl Candidate {
    /// A pair as it is found, not yet matched and not decided. `image_url` is canonical, `caption` cleaned.
    pub fn new(image_url: String, page_url: String, caption: String, field: &str) -> Self {
        Candidate {
            pair_id: PairId::new(&image_url, &caption),
            image_url,
            page_url,
            caption,
            field: field.to_string(),
            query_ids: Vec::new(),
            outcome: String::new(),
            detail: String::new(),
            attempts: 0,
            time_ms: 0,
            source: String::new(),
            found_ms: 0,
            nearby: String::new(),
            licence: String::new(),
            author: String::new(),
            extra: String::new(),
        }
    }
}

table_row! {
    /// A fetched pair: one row of `pool/SSSSS.parquet`, beside `pool/SSSSS.tar`. The columns up to `sha256` are
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
        /// SHA-256 of the bytes received, 64 hex digits, by which others can check theirs; null where they were not at hand, and in files
        /// written before there was the column.
        sha256: Option<String>,
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

table_row! {
    /// What was taken down: one row of `removed.parquet`, which all readers of the folder obey.
    pub struct Removal in "removed" {
        /// What `value` is: `url`, `host`, `image`, `pixels` or `pair` that is not to be used; `held` for a manifest that had a
        /// sample of it.
        by: String,
        /// BLAKE3 of the canonical URL, host, image id, pixel hash, pair id, or BLAKE3 of the manifest.
        value: String,
        /// The request that it follows from, as `url HASH`, `host NAME`, `hash HASH` or `pair ID`.
        because: String,
        /// When it was asked for, in milliseconds since 1970 UTC.
        time_ms: i64,
    }
}

impl Candidate {
    /// Whether it was fetched and stored and then taken down.
    pub fn was_removed_from_pool(&self) -> bool {
        self.outcome == outcome::REMOVED && self.detail == outcome::OK
    }

    /// Takes the pair down: nothing of it stays but its id, so that it is not seen as new again.
    pub fn take_down(&mut self) {
        let before = std::mem::replace(&mut self.outcome, outcome::REMOVED.to_string());
        if before != outcome::REMOVED {
            self.detail = before;
        }
        for text in [&mut self.image_url, &mut self.page_url, &mut self.caption, &mut self.nearby, &mut self.author, &mut self.extra] {
            text.clear();
        }
    }
}

impl PoolRow {
    /// The JSON member of the sample: img2dataset's fields, then ours, then those of the list that are neither. `pair` is the candidate that
    /// was fetched.
    pub fn record(&self, pair: &Candidate) -> String {
        let mut record = serde_json::json!({
            "caption": self.caption,
            "url": self.url,
            "key": self.key,
            "status": "success",
            "error_message": null,
            "width": self.width,
            "height": self.height,
            "original_width": self.original_width,
            "original_height": self.original_height,
            "sha256": self.sha256,
            "pair_id": self.pair_id.to_string(),
            "image_id": self.image_id.to_string(),
            "page_url": self.page_url,
            "field": pair.field,
            "source": pair.source,
            "found_ms": pair.found_ms,
        });
        if let serde_json::Value::Object(record) = &mut record {
            let hints = [("nearby", &pair.nearby), ("licence", &pair.licence), ("author", &pair.author)];
            for (name, value) in hints.into_iter().filter(|(_, value)| !value.is_empty()) {
                record.insert(name.to_string(), value.as_str().into());
            }
            // What is no object was not written by us; the pair is worth more than it.
            for (name, value) in serde_json::from_str::<serde_json::Map<_, _>>(&pair.extra).unwrap_or_default() {
                record.entry(name).or_insert(value);
            }
        }
        record.to_string()
    }

    /// Where its members lie in the segment's tar: picture, caption, record.
    pub fn members(&self) -> [Extent; 3] {
        let extent = |offset, length| Extent { offset, length };
        [self.image(), extent(self.text_offset, self.text_length), extent(self.json_offset, self.json_length)]
    }

    /// Where the image lies in the segment's tar.
    pub fn image(&self) -> Extent {
        Extent { offset: self.image_offset, length: self.image_length }
    }
}

impl Sample {
    /// Where its members lie in its tar: picture, caption, record; those of no length are not there.
    pub fn members(&self) -> [Extent; 3] {
        [self.image(), self.text(), self.json()]
    }

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
