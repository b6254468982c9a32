//! The JSON member of a sample, as img2dataset, DataComp and diptych write it.

use crate::{PairId, Sample, canonical_url, clean_caption};
use serde_json::Value;
use url::Url;

/// Captions of one sample at most.
pub(super) const MAX_CAPTIONS: usize = 1000;

/// What a record says; fields that are missing or odd are empty.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    /// `caption` as img2dataset writes it, and `captions` as we do.
    pub(super) captions: Vec<String>,
    /// The canonical image URL.
    pub(super) url: String,
    pub(super) page_url: String,
    /// DataComp's name of the pair.
    pub(super) uid: Option<u128>,
    /// Sides before resizing.
    pub(super) original: Option<(u32, u32)>,
    /// Of the bytes as they were received.
    pub(super) sha256: Option<String>,
    pair_ids: Vec<PairId>,
}

impl Record {
    pub(super) fn read(text: &str) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return Record::default() };
        let list = |name: &str| fields.get(name).and_then(Value::as_array).into_iter().flatten();
        let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let side = |name: &str| fields.get(name).and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
        let address = |name: &str| Url::parse(word(name)).map_or(String::new(), |url| canonical_url(&url));
        Record {
            captions: fields
                .get("caption")
                .into_iter()
                .chain(list("captions"))
                .filter_map(Value::as_str)
                .take(MAX_CAPTIONS)
                .map(clean_caption)
                .collect(),
            // Pictures that stood in their page are named `data:HASH` already.
            url: if word("url").starts_with("data:") { word("url").chars().take(100).collect() } else { address("url") },
            page_url: address("page_url"),
            uid: Some(word("uid")).filter(|uid| uid.len() == 32).and_then(|uid| u128::from_str_radix(uid, 16).ok()),
            original: side("original_width").zip(side("original_height")),
            sha256: Some(word("sha256"))
                .filter(|hash| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .map(str::to_lowercase),
            pair_ids: list("pair_ids").filter_map(Value::as_str).filter_map(|id| id.parse().ok()).take(MAX_CAPTIONS).collect(),
        }
    }

    /// Puts where the picture came from into its sample.
    pub(super) fn fill(&self, sample: &mut Sample) {
        sample.image_url = self.url.clone();
        sample.page_url = self.page_url.clone();
        sample.pair_ids = match (self.pair_ids.len() == sample.captions.len(), self.url.is_empty()) {
            (true, _) => self.pair_ids.clone(),
            (false, true) => Vec::new(),
            (false, false) => sample.captions.iter().map(|caption| PairId::new(&self.url, caption)).collect(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_three_programs() {
        let theirs = Record::read(
            r#"{"caption":"a  fox","url":"HTTP://e.org:80/a#b","key":"000010005","uid":"0000000000000001000000000000000f","original_width":7,"original_height":9,"sha256":"xyz"}"#,
        );
        assert_eq!((theirs.captions[0].as_str(), theirs.url.as_str()), ("a fox", "http://e.org/a"));
        assert_eq!((theirs.uid, theirs.original, theirs.sha256), (Some((1 << 64) + 15), Some((7, 9)), None));
        assert_eq!(Record::read(&format!(r#"{{"sha256":"{}"}}"#, "AB".repeat(32))).sha256, Some("ab".repeat(32)));
        let ours = Record::read(&format!(r#"{{"caption":"a","captions":["a","b"],"pair_ids":["{}"],"url":"data:12"}}"#, PairId([1; 16])));
        assert_eq!((ours.captions.len(), ours.url.as_str(), ours.pair_ids.len()), (3, "data:12", 1));
        for odd in ["", "[]", "{", r#"{"caption":7,"url":[],"uid":"é","captions":{}}"#] {
            assert_eq!(Record::read(odd), Record::default(), "{odd}");
        }
    }
}
