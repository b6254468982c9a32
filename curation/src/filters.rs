//! The rules a pair must pass, their names, and the filters that look at one pair alone.
//!
//! A filter is a pure function of a pool row. What needs other pairs is in `duplicates.rs` and `balance.rs`; the one
//! number about other pairs used here, in how many pictures a caption occurs, is handed in.

use crate::Error;
use crate::pool::Facts;

/// A rule of a selection. The order of the variants is the order in which they are applied: the first that refuses a
/// pair is its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rule {
    MinSide,
    Aspect,
    CaptionWords,
    CaptionRepeated,
    Flat,
    ExactDuplicate,
    NearDuplicate,
    Balance,
}

const ORDER: [Rule; 8] = [
    Rule::MinSide,
    Rule::Aspect,
    Rule::CaptionWords,
    Rule::CaptionRepeated,
    Rule::Flat,
    Rule::ExactDuplicate,
    Rule::NearDuplicate,
    Rule::Balance,
];

/// The names of all rules in the order in which they are applied, as they stand in `reasons.parquet`.
pub const RULES: [&str; 8] =
    ["min-side", "aspect", "caption-words", "caption-repeated", "flat", "exact-duplicate", "near-duplicate", "balance"];

impl Rule {
    pub(crate) fn all() -> impl Iterator<Item = Rule> {
        ORDER.into_iter()
    }

    pub(crate) fn name(self) -> &'static str {
        RULES[self as usize]
    }
}

/// The thresholds, and which rules are not applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// Names out of [`RULES`] that are not applied. With `exact-duplicate` off, every pair becomes a sample of its own;
    /// with it or `near-duplicate` off, duplicates still share their group, so that a split does not cut them.
    pub off: Vec<String>,
    /// `min-side`: the smallest shorter side, in pixels, of the picture as it was received.
    pub min_side: u32,
    /// `aspect`: the largest ratio of the longer to the shorter side.
    pub max_aspect: f64,
    /// `caption-words`: the smallest number of words with a letter in them, of any script.
    pub min_words: usize,
    /// `caption-repeated`: the largest number of different pictures that may have this caption, over the whole pool.
    pub max_pictures: u32,
    /// `flat`: the share of equal-coloured pixels from which on a picture counts as blank.
    pub flatness: f32,
}

impl Default for Filters {
    fn default() -> Self {
        Filters {
            off: Vec::new(),
            // DataComp's basic filter (2304.14108, appendix) and ALIGN (2102.05918, 2.1) ask for 200, for training at 224.
            // 64 only removes what can be no illustration: icons, buttons, avatars and tracking pixels.
            min_side: 64,
            // DataComp's basic filter and ALIGN: 3. Beyond are banners and rules.
            max_aspect: 3.0,
            // MetaCLIP (2309.16671) has no minimum; DataComp's more than 2 words and 5 characters are meant for English
            // and would lose all of Chinese. One word with a letter removes dates, numbers and lines of punctuation.
            min_words: 1,
            // ALIGN drops captions found on more than 10 of its 1.8 billion pictures. In a corpus of one domain, where
            // "red circle" is a wanted caption of hundreds, that would cost the core; boilerplate such as "logo" goes far
            // beyond 1,000 at any scale where it matters, and below it the balancing is enough.
            max_pictures: 1000,
            // Counted in colours of 4 bits a channel (`shards::flatness`): at most one pixel in 50 differs from the rest.
            flatness: 0.98,
        }
    }
}

impl Filters {
    /// Checks that the rules switched off exist.
    pub fn check(&self) -> Result<(), Error> {
        match self.off.iter().find(|name| !RULES.contains(&name.as_str())) {
            Some(name) => Err(Error::UnknownRule { name: name.clone(), known: RULES.join(", ") }),
            None => Ok(()),
        }
    }

    pub(crate) fn on(&self, rule: Rule) -> bool {
        !self.off.iter().any(|name| name == rule.name())
    }

    /// The first filter that refuses the pair; `pictures` is the number of pictures with its caption.
    pub(crate) fn refusal(&self, row: &Facts, pictures: u32) -> Option<Rule> {
        Rule::all().find(|&rule| self.on(rule) && self.refuses(rule, row, pictures))
    }

    fn refuses(&self, rule: Rule, row: &Facts, pictures: u32) -> bool {
        match rule {
            Rule::MinSide => shorter(row) < self.min_side,
            Rule::Aspect => aspect(row) > self.max_aspect,
            Rule::CaptionWords => words(&row.caption) < self.min_words,
            Rule::CaptionRepeated => pictures > self.max_pictures,
            Rule::Flat => row.flatness >= self.flatness,
            Rule::ExactDuplicate | Rule::NearDuplicate | Rule::Balance => false,
        }
    }

    /// What a filter saw in a pair that it refused.
    pub(crate) fn value(rule: Rule, row: &Facts, pictures: u32) -> String {
        match rule {
            Rule::MinSide => shorter(row).to_string(),
            Rule::Aspect => format!("{:.2}", aspect(row)),
            Rule::CaptionWords => words(&row.caption).to_string(),
            Rule::CaptionRepeated => pictures.to_string(),
            Rule::Flat => format!("{:.4}", row.flatness),
            Rule::ExactDuplicate | Rule::NearDuplicate | Rule::Balance => String::new(),
        }
    }

    /// The rule in words with its threshold, for the card.
    pub(crate) fn describe(&self, rule: Rule) -> String {
        match rule {
            Rule::MinSide => format!("shorter side below {} pixels", self.min_side),
            Rule::Aspect => format!("longer side more than {} times the shorter", self.max_aspect),
            Rule::CaptionWords => format!("fewer than {} words with a letter", self.min_words),
            Rule::CaptionRepeated => format!("caption on more than {} different pictures", self.max_pictures),
            Rule::Flat => format!("{:.0} % of the pixels or more have one colour", 100.0 * self.flatness),
            Rule::ExactDuplicate => "same picture and same caption as another pair".to_string(),
            Rule::NearDuplicate => "picture is a copy of a larger one, re-encoded, resized or brightened".to_string(),
            Rule::Balance => "above the cap on pairs for each of its queries".to_string(),
        }
    }
}

fn shorter(row: &Facts) -> u32 {
    row.original_width.min(row.original_height)
}

fn aspect(row: &Facts) -> f64 {
    f64::from(row.original_width.max(row.original_height)) / f64::from(shorter(row).max(1))
}

fn words(caption: &str) -> usize {
    caption.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shards::{ImageId, PairId};

    fn row(width: u32, height: u32, caption: &str, flatness: f32) -> Facts {
        Facts {
            caption: caption.to_string(),
            original_width: width,
            original_height: height,
            pair_id: PairId([0; 16]),
            image_id: ImageId([0; 32]),
            pixel_hash: String::new(),
            perceptual_hash: 0,
            flatness,
        }
    }

    #[test]
    fn each_filter_refuses_at_its_threshold_and_only_there() {
        let filters = Filters::default();
        let reason = |row: Facts, pictures| filters.refusal(&row, pictures).map(Rule::name);
        assert_eq!(reason(row(64, 192, "cat", 0.97), 1000), None);
        assert_eq!(reason(row(63, 64, "cat", 0.0), 1), Some("min-side"));
        assert_eq!(reason(row(0, 0, "cat", 0.0), 1), Some("min-side"));
        assert_eq!(reason(row(64, 193, "cat", 0.0), 1), Some("aspect"));
        assert_eq!(reason(row(64, 64, "12:30 -- 2024", 0.0), 1), Some("caption-words"));
        assert_eq!(reason(row(64, 64, "猫", 0.0), 1), None);
        assert_eq!(reason(row(64, 64, "cat", 0.0), 1001), Some("caption-repeated"));
        assert_eq!(reason(row(64, 64, "cat", 0.98), 1), Some("flat"));
        assert_eq!(reason(row(9, 900, "1", 1.0), 5000), Some("min-side"), "the first reason wins");
    }

    #[test]
    fn rules_are_switched_off_by_name() {
        let filters = Filters { off: vec!["min-side".to_string(), "aspect".to_string()], ..Filters::default() };
        assert!(filters.check().is_ok());
        assert_eq!(filters.refusal(&row(9, 900, "1", 1.0), 1), Some(Rule::CaptionWords));
        let error = Filters { off: vec!["blur".to_string()], ..Filters::default() }.check().expect_err("refused").to_string();
        assert!(error.starts_with("no rule is called \"blur\"; the rules are min-side, aspect,"), "{error}");
    }

    #[test]
    fn names_stand_in_the_order_of_the_rules() {
        assert!(Rule::all().map(|rule| rule as usize).eq(0..RULES.len()));
    }
}
