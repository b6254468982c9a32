//! The words of a text, as they are counted for the query list.

use crate::folded::fold;
use unicode_segmentation::UnicodeSegmentation;

/// Calls `found` with each word of `text`, folded as the matching rule folds captions.
///
/// Words are those of Unicode's default segmentation (UAX 29): they hold a letter or number, keep apostrophes (`don't`) and points
/// between numbers (`3.5`), and break at hyphens. Colons break words, which UAX 29 leaves to the language. Scripts written without blanks
/// have no words there: Chinese, Hiragana, Thai and the like give single letters, as in MetaCLIP 2 without a segmenter.
pub fn words(text: &str, mut found: impl FnMut(&str)) {
    // Folding may compose across what would be a boundary of words, never the other way: fold first.
    for part in fold(text).split(':') {
        part.unicode_words().for_each(&mut found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matcher;
    use proptest::prelude::*;

    fn list(text: &str) -> Vec<String> {
        let mut list = Vec::new();
        words(text, |word| list.push(word.to_string()));
        list
    }

    #[test]
    fn words_have_letters_or_numbers() {
        assert_eq!(list("The cat's x-ray: 3.5 (U.S.) — … !"), ["the", "cat's", "x", "ray", "3.5", "u.s"]);
        assert_eq!(list("wikt:foo 9:30 snake_case"), ["wikt", "foo", "9", "30", "snake_case"]);
        assert_eq!(list("ÉTÉ ﬁsh Ａ हिन्दी 黒い猫"), ["été", "fish", "a", "हिन्दी", "黒", "い", "猫"]);
        assert_eq!(list(""), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn a_word_between_blanks_is_found_by_the_matcher(text in "[a-zA-Z0-9'.:_ \\-éÉ猫]{0,30}|\\PC{0,15}") {
            for word in list(&text) {
                prop_assert!(word.chars().any(char::is_alphanumeric));
                let matcher = Matcher::from_texts(vec![word.clone()]);
                prop_assert_eq!(matcher.queries(&format!("the {word} here")), vec![0], "{}", word);
            }
        }
    }
}
