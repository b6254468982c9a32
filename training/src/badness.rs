//! Whether a text looks as if it had been read in the wrong encoding: letters stand beside each other that never do in
//! any language.
//!
//! The classes of letters and the neighbourhoods are those of `ftfy` 6.3's heuristic (Robyn Speer, Apache-2.0), since equal
//! tokens need equal judgement. Here they are masks of bits: each letter has one, and a rule is a row of masks.

use crate::words::is_word;
use std::collections::HashMap;
use std::sync::LazyLock;

const COMMON: u64 = 1;
const CONTROL: u64 = 1 << 1;
const BAD: u64 = 1 << 2;
const LAW: u64 = 1 << 3;
const MONEY: u64 = 1 << 4;
const OPENING: u64 = 1 << 5;
const CLOSING: u64 = 1 << 6;
const NUMERIC: u64 = 1 << 7;
const FACES: u64 = 1 << 8;
const UPPER: u64 = 1 << 9;
const LOWER: u64 = 1 << 10;
const UPPER_COMMON: u64 = 1 << 11;
const LOWER_COMMON: u64 = 1 << 12;
const BOX: u64 = 1 << 13;
/// Plain letters of ASCII.
const SMALL: u64 = 1 << 14;
const CAPITAL: u64 = 1 << 15;
const PLAIN: u64 = SMALL | CAPITAL;
const WHITE: u64 = 1 << 16;
/// Letters and digits of any script, and the underscore.
const WORD: u64 = 1 << 17;
const NOT_PLAIN: u64 = 1 << 18;
const IN_LINE: u64 = 1 << 19;
/// The first bit of those that stand for the letters named in rules.
const FIRST_NAMED: u32 = 20;

/// Members of the classes; `-` between two letters means all from one to the other.
const CLASSES: [(u64, &str); 14] = [
    (COMMON, "\u{a0}\u{ad}´·–-―’…"),
    (CONTROL, "\u{80}-\u{9f}"),
    (BAD, "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\u{fffd}"),
    (LAW, "§¶"),
    (MONEY, "¢£¥₧€"),
    (OPENING, "¡©«¿΄΅‘‚“„•‹\u{f8ff}"),
    (CLOSING, "®»˝”›™"),
    (NUMERIC, "±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"),
    (FACES, "°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"),
    (UPPER, "À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"),
    (LOWER, "ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"),
    (UPPER_COMMON, "ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я"),
    (LOWER_COMMON, "ά-ωа-џ"),
    (BOX, "│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"),
];
/// A text without any of these is sound.
const SUSPECT: u64 = CONTROL | BAD | LAW | MONEY | OPENING | CLOSING | NUMERIC | UPPER | LOWER | BOX;
/// Likewise, letters of other classes.
const SUSPECT_LETTERS: &str = "Ù°Ђ";

const SIGNS: u64 = BOX | OPENING | CLOSING | MONEY | NUMERIC | LAW;
const ACCENTED: u64 = LOWER | UPPER;
const QUOTES: u64 = OPENING | CLOSING;
const ARABIC: (u64, &str) = (COMMON | MONEY | BAD | NUMERIC | OPENING, "ŸŠ®°µ»");
const BETWEEN: u64 = CONTROL | BAD | QUOTES | MONEY;

/// Rows of neighbours: each is of one of these classes or one of these letters.
const RULES: &[&[(u64, &str)]] = &[
    &[(CONTROL, "")],
    &[(BAD | ACCENTED | SIGNS, ""), (BAD, "")],
    &[(PLAIN, ""), (LOWER_COMMON | UPPER_COMMON, ""), (BAD, "")],
    &[(BAD, ""), (ACCENTED | SIGNS, "")],
    &[(LOWER | LOWER_COMMON | BOX | CLOSING | MONEY | NUMERIC, ""), (UPPER, "")],
    &[(BOX | CLOSING | MONEY | NUMERIC, ""), (LOWER, "")],
    &[(LOWER | BOX | CLOSING, ""), (MONEY, "")],
    &[(WHITE, ""), (UPPER, ""), (MONEY, "")],
    &[(UPPER | BOX, ""), (NUMERIC | LAW, "")],
    &[(ACCENTED | BOX | MONEY | CLOSING, ""), (OPENING, ""), (NUMERIC, "")],
    &[(ACCENTED | MONEY | NUMERIC | BOX | LAW, ""), (CLOSING, ""), (OPENING, "")],
    &[(MONEY | NUMERIC | BOX, ""), (OPENING, "")],
    &[(SMALL, ""), (UPPER, ""), (OPENING | MONEY, "")],
    &[(BOX, ""), (FACES, "")],
    &[(ACCENTED | MONEY | NUMERIC | QUOTES | LAW, ""), (BOX, "")],
    &[(BOX, ""), (CLOSING, "")],
    &[(ACCENTED, ""), (QUOTES, ""), (WORD, "")],
    &[(0, "Œœ"), (NOT_PLAIN, "")],
    &[(UPPER, ""), (0, "°")],
    &[(0, "ÂÃÎÐ"), (QUOTES, "€œŠš¢£Ÿž\u{a0}\u{ad}®©°·»–—´")],
    &[(0, "×"), (0, "²³")],
    &[(0, "ØÙ"), ARABIC, (0, "ØÙ"), ARABIC],
    &[(0, "à"), (0, "²µ¹¼½¾")],
    &[(0, "√"), (0, "±∂†≠®™´≤≥¥µø")],
    &[(0, "≈"), (0, "°¢")],
    &[(0, "‚"), (0, "Ä"), (0, "ìîïòôúùû†°¢π")],
    &[(0, "‚"), (0, "âó"), (0, "àä°ê")],
    &[(0, "в"), (0, "Ђ")],
    &[(0, "ВГРС"), (BETWEEN, "°µ"), (0, "ВГРС")],
    &[(0, "Г"), (0, "ў"), (0, "В"), (0, "Ђ"), (0, "В"), (IN_LINE, ""), (PLAIN, " ")],
    &[(0, "Ã"), (0, "\u{a0}¡")],
    &[(SMALL, ""), (0, "ÃÂ"), (0, " ")],
    &[(SMALL, ""), (WHITE, ""), (0, "ÃÂ"), (0, " ")],
    &[(SMALL | CLOSING, ".,?!"), (0, "Â"), (QUOTES, " ")],
    &[(0, "β"), (0, "€"), (0, "™\u{a0}Ά\u{ad}®°")],
    &[(0, "ΒΓΞΟ"), (BETWEEN, "°"), (0, "ΒΓΞΟ")],
    &[(0, "ā"), (0, "€")],
];

/// Rules and letters as masks.
struct Masks {
    /// By code point, up to the last letter of the table that lies close; what letters are by nature is there too.
    near: Vec<u64>,
    far: HashMap<char, u64>,
    rules: Vec<Vec<u64>>,
    /// For each bit of a letter's mask the rules (a bit each) that a letter with it may begin, and be the second of.
    openings: [[u64; 64]; 2],
    suspect: u64,
}

/// The letters of the table below this lie close to each other.
const NEAR: usize = 0x25d0;

static MASKS: LazyLock<Masks> = LazyLock::new(|| {
    let mut all: HashMap<char, u64> = HashMap::new();
    for (class, members) in CLASSES {
        expand(members).for_each(|letter| *all.entry(letter).or_default() |= class);
    }
    let mut named: HashMap<&str, u64> = HashMap::new();
    let mut bit = |letters: &'static str, all: &mut HashMap<char, u64>| {
        let next = 1 << (FIRST_NAMED + named.len() as u32);
        let bit = if letters.is_empty() { 0 } else { *named.entry(letters).or_insert(next) };
        letters.chars().for_each(|letter| *all.entry(letter).or_default() |= bit);
        bit
    };
    let suspect = SUSPECT | bit(SUSPECT_LETTERS, &mut all);
    let rules: Vec<Vec<u64>> =
        RULES.iter().map(|rule| rule.iter().map(|(classes, letters)| classes | bit(letters, &mut all)).collect()).collect();
    let mut openings = [[0; 64]; 2];
    for (number, rule) in rules.iter().enumerate() {
        for (place, opening) in openings.iter_mut().enumerate() {
            let mask = rule.get(place).copied().unwrap_or(u64::MAX);
            (0..64).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| opening[bit] |= 1 << number);
        }
    }
    let mask = |letter: char| all.get(&letter).copied().unwrap_or(0) | nature(letter);
    let near = (0..NEAR as u32).map(|code| char::from_u32(code).map_or(0, mask)).collect();
    Masks { near, far: all.into_iter().filter(|(letter, _)| *letter as usize >= NEAR).collect(), rules, openings, suspect }
});

fn expand(members: &str) -> impl Iterator<Item = char> {
    let letters: Vec<char> = members.chars().collect();
    let is_range = |at: usize| letters.get(at) == Some(&'-') && at > 0 && at + 1 < letters.len();
    let mut out = Vec::new();
    for (at, &letter) in letters.iter().enumerate() {
        if is_range(at) { out.extend(letters[at - 1]..=letters[at + 1]) } else { out.push(letter) }
    }
    out.into_iter()
}

impl Masks {
    /// What the table says of a letter, at least.
    fn listed(&self, letter: char) -> u64 {
        match self.near.get(letter as usize) {
            Some(mask) => *mask,
            None if letter >= '\u{f8ff}' => self.far.get(&letter).copied().unwrap_or(0),
            None => 0,
        }
    }

    /// The rules that a letter of this mask may be the first (0) or second (1) of.
    fn opened(&self, place: usize, mut mask: u64) -> u64 {
        let mut rules = 0;
        while mask != 0 {
            rules |= self.openings[place][mask.trailing_zeros() as usize];
            mask &= mask - 1;
        }
        rules
    }

    /// What the table and its nature say of it.
    fn mask(&self, letter: char) -> u64 {
        self.near.get(letter as usize).copied().unwrap_or_else(|| self.listed(letter) | nature(letter))
    }
}

/// The classes that a letter is in whatever the table says.
fn nature(letter: char) -> u64 {
    let own = match letter {
        'a'..='z' => SMALL,
        'A'..='Z' => CAPITAL,
        _ if letter.is_whitespace() || matches!(letter, '\u{1c}'..='\u{1f}') => WHITE | NOT_PLAIN,
        _ => NOT_PLAIN,
    };
    let word = if letter == '_' || is_word(letter) { WORD } else { 0 };
    let line = if letter == '\n' { 0 } else { IN_LINE };
    own | word | line
}

/// Whether the text looks broken.
pub(crate) fn is_bad(text: &str) -> bool {
    let masks = &*MASKS;
    if !text.chars().any(|letter| masks.listed(letter) & masks.suspect != 0) {
        return false;
    }
    // The byte of `à` or of a blank alone at the beginning.
    if text.starts_with("\u{c3} ") || text.starts_with("\u{c2} ") {
        return true;
    }
    let letters: Vec<u64> = text.chars().map(|letter| masks.mask(letter)).collect();
    (0..letters.len()).any(|at| {
        let here = &letters[at..];
        let mut left = masks.opened(0, here[0]) & here.get(1).map_or(u64::MAX, |next| masks.opened(1, *next));
        while left != 0 {
            let rule = &masks.rules[left.trailing_zeros() as usize];
            if rule.len() <= here.len() && rule.iter().zip(here).all(|(rule, letter)| rule & letter != 0) {
                return true;
            }
            left &= left - 1;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_set_of_letters_has_its_bit() {
        let named: std::collections::HashSet<&str> =
            RULES.iter().copied().flatten().map(|(_, letters)| *letters).filter(|letters| !letters.is_empty()).collect();
        assert!(FIRST_NAMED as usize + named.len() + 1 < 64, "{} sets", named.len());
        // No rule could be met by a text that is passed over: each needs a suspect letter.
        let suspect = MASKS.suspect;
        for (rule, row) in RULES.iter().zip(&MASKS.rules) {
            let needs = rule.iter().zip(row).any(|((classes, letters), _)| {
                letters.chars().all(|letter| MASKS.listed(letter) & suspect != 0) && classes & !SUSPECT == 0
            });
            let arabic = rule.len() == 4 && rule[0].1.contains('Ù');
            assert!(needs || arabic, "{rule:?}");
        }
    }

    proptest::proptest! {
        /// Rules that are looked up by their first letters are those that all would find.
        #[test]
        fn no_rule_is_passed_over(text in "[ÂÃaZ œ°ØÙŸ®€™ВГРЂўâäü½±×²³¡«»│░§\u{80}\u{a0}\n.日]{0,12}") {
            let masks = &*MASKS;
            let letters: Vec<u64> = text.chars().map(|letter| masks.mask(letter)).collect();
            let any = (0..letters.len()).any(|at| {
                let here = &letters[at..];
                masks.rules.iter().any(|rule| rule.len() <= here.len() && rule.iter().zip(here).all(|(rule, letter)| rule & letter != 0))
            });
            let suspect = text.chars().any(|letter| masks.listed(letter) & masks.suspect != 0);
            let alone = text.starts_with("\u{c3} ") || text.starts_with("\u{c2} ");
            proptest::prop_assert_eq!(is_bad(&text), suspect && (alone || any));
        }
    }

    /// Answers of ftfy 6.3.
    #[test]
    fn judges_as_ftfy_does() {
        for text in ["cafÃ©", "a\u{80}b", "Ã la mode", "doesnâ€™t", "Ù…Ù„", "вЂ\u{2122}", "√±", "œ ", "ā€", "×²"] {
            assert!(is_bad(text), "{text}");
        }
        for text in
            ["café", "naïve – “quoted” …", "œuvre", "Ñandú", "привет, мир", "50 € £5", "ΑΒΓ αβγ", "© 2024", "日本", "10°C ±1", "ø_ö ò_ó"]
        {
            assert!(!is_bad(text), "{text}");
        }
    }
}
