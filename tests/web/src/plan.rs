//! The truth about the small web: what was planted where, and what must become of it. Knows nothing of how pages look.

use crate::words::{vocabulary, words_of};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Reasons for which the plan expects a refusal: outcomes of the crawl and reasons of the selection.
pub mod reason {
    use shards::outcome;

    /// The crawl must not ask for it: `robots.txt` forbids it.
    pub const ROBOTS: &str = outcome::ROBOTS;
    /// The server answers that there is nothing for us, or redirects to nowhere.
    pub const HTTP_4XX: &str = outcome::HTTP_4XX;
    /// The server answers that it failed.
    pub const HTTP_5XX: &str = outcome::HTTP_5XX;
    /// The connection is cut, whenever it is tried.
    pub const CONNECT: &str = outcome::CONNECT;
    /// The answer is too slow, whenever it is tried.
    pub const TIMEOUT: &str = outcome::TIMEOUT;
    /// It leads to an address that is not for the web.
    pub const ADDRESS: &str = outcome::UNSAFE_ADDRESS;
    /// It says to be larger than any picture.
    pub const TOO_BIG: &str = outcome::TOO_BIG;
    /// Its owner refuses the use.
    pub const OPT_OUT: &str = outcome::OPTED_OUT;
    /// What arrives is no picture.
    pub const NOT_IMAGE: &str = outcome::NOT_IMAGE;
    /// What arrives is no whole picture.
    pub const DECODE: &str = outcome::DECODE;
    /// The caption contains no query.
    pub const UNMATCHED: &str = outcome::UNMATCHED;
    /// Outside the cap when seen.
    pub const FULL: &str = outcome::FULL;
    /// Outside the cap at the end.
    pub const BALANCE: &str = "balance";
    /// A side is too short.
    pub const MIN_SIDE: &str = "min-side";
    /// The picture is of one colour.
    pub const FLAT: &str = "flat";
    /// The caption is on too many pictures.
    pub const CAPTION_REPEATED: &str = "caption-repeated";
    /// The same bytes or pixels as another picture.
    pub const EXACT_DUPLICATE: &str = "exact-duplicate";
    /// Nearly the same pixels as another picture.
    pub const NEAR_DUPLICATE: &str = "near-duplicate";
}

/// What must become of a planted pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is in the selection.
    Kept,
    /// It is a copy: it shares the sample of its original, or is refused as a duplicate of it, or the other way round.
    Merged,
    /// It is refused for this reason (see [`reason`]).
    Refused(&'static str),
    /// It is never seen, because nothing that may be read leads to it.
    Absent,
}

/// A picture and a caption that stand together on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// The picture's place: its canonical path with its query on the main host, `//HOST/PATH` on others, `data:HASH` in a page.
    pub image_path: String,
    /// A page it stands on; if there are several, the first.
    pub page_path: String,
    /// The caption in its cleaned form.
    pub caption: String,
    /// What must become of it.
    pub expect: Expect,
    /// The class it shows, if any, such as `striped red circle`.
    pub class: Option<String>,
    /// The pair it copies, as an index of [`Plan::planted`].
    pub copy_of: Option<usize>,
    /// Whether the copy differs from its original in a few pixels, sizes or shades.
    pub near: bool,
}

/// The truth about one web.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Every planted pair.
    pub planted: Vec<Planted>,
    /// Pictures without any caption: no pair may have them.
    pub uncaptioned: Vec<String>,
    /// Hosts besides the main one from which to crawl, such as `photos.localhost`.
    pub hosts: Vec<String>,
    /// Places that must never be asked for: forbidden, refused, or not worth it.
    pub forbidden: Vec<String>,
    /// Hosts that ask for a wait between two requests.
    pub delays: Vec<(String, Duration)>,
    /// Beginnings of places without end, and the most requests that a crawler may lose there.
    pub endless: Vec<(String, u64)>,
    /// The picture of every page of the calendar, and its caption.
    pub(crate) logo: (String, String),
    /// Words that are frequent in the dump, but never in prose: none may become a query.
    pub decoys: Vec<String>,
    /// The most pictures that one caption may have; curate with this `--max-pictures`.
    pub max_pictures: u32,
    /// The 96 classes that are shown, by name.
    pub seen: Vec<String>,
    /// The 24 classes that are held out: all their words are seen, never together.
    pub unseen: Vec<String>,
    /// The cap for which the plan holds: no pair that shows a class is touched by it. Crawl and curate with this `--per-query`.
    pub per_query: u64,
    /// The queries of captions that the cap must thin out, with the number of pairs that have them: at least twice
    /// [`Plan::per_query`], and these pairs match nothing else.
    pub capped: Vec<(String, u64)>,
    /// Every word of a caption that is a query once the dump was counted with a least count of 100 or less.
    pub vocabulary: Vec<String>,
}

impl Plan {
    /// Pairs seen (fetched or not) for each word of the vocabulary: what the cap calls n.
    pub fn pairs_per_query(&self) -> BTreeMap<String, u64> {
        let vocabulary: HashSet<&str> = vocabulary().into_iter().collect();
        let mut counts = BTreeMap::new();
        for planted in self.planted.iter().filter(|planted| planted.expect != Expect::Absent) {
            let words: HashSet<String> = words_of(&planted.caption).into_iter().collect();
            for word in words.into_iter().filter(|word| vocabulary.contains(word.as_str())) {
                *counts.entry(word).or_insert(0) += 1;
            }
        }
        counts
    }

    /// Whether the cap may refuse pairs with this caption: all their queries have more than `per_query` pairs.
    pub(crate) fn may_be_capped(&self, counts: &BTreeMap<String, u64>, caption: &str, per_query: u64) -> bool {
        words_of(caption).iter().filter_map(|word| counts.get(word)).all(|&n| n > per_query)
    }

    /// For each pair, the original that it is a copy of, or itself.
    pub(crate) fn originals(&self) -> Vec<usize> {
        let root = |mut at: usize| {
            // Copies of copies are short chains, and each points to an earlier pair.
            while let Some(before) = self.planted[at].copy_of {
                at = before;
            }
            at
        };
        // Pairs of one picture with several captions belong together too.
        let mut first: HashMap<&str, usize> = HashMap::new();
        self.planted.iter().enumerate().map(|(at, planted)| root(*first.entry(&planted.image_path).or_insert(at))).collect()
    }

    /// The number of picture files that are copies of another one.
    pub fn duplicates(&self) -> usize {
        let copies = self.planted.iter().filter(|planted| planted.copy_of.is_some() && planted.expect == Expect::Merged);
        copies.map(|planted| planted.image_path.as_str()).collect::<HashSet<_>>().len()
    }
}
