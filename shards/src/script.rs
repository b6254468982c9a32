//! The script that a text is written in: the nearest to its language that can be told without a model.

/// First letters of Unicode's blocks, and the script from there on; `""` for what tells nothing.
const BLOCKS: [(u32, &str); 31] = [
    (0x0041, "Latin"),
    (0x005b, ""),
    (0x0061, "Latin"),
    (0x007b, ""),
    (0x00c0, "Latin"),
    (0x0250, ""),
    (0x0370, "Greek"),
    (0x0400, "Cyrillic"),
    (0x0530, "Armenian"),
    (0x0590, "Hebrew"),
    (0x0600, "Arabic"),
    (0x0900, "Devanagari"),
    (0x0980, "Bengali"),
    (0x0a00, "other"),
    (0x0b80, "Tamil"),
    (0x0c00, "other"),
    (0x0e00, "Thai"),
    (0x0e80, "other"),
    (0x10a0, "Georgian"),
    (0x1100, "Hangul"),
    (0x1200, "other"),
    (0x1e00, "Latin"),
    (0x1f00, "Greek"),
    (0x2000, ""),
    (0x2e80, "Han"),
    (0x3000, ""),
    (0x3040, "Kana"),
    (0x3100, "other"),
    (0x3400, "Han"),
    (0xa000, "other"),
    (0xac00, "Hangul"),
];
/// Blocks above the last of [`BLOCKS`].
const HIGH: [(u32, &str); 7] =
    [(0xd7b0, ""), (0xf900, "Han"), (0xfb00, ""), (0xfb50, "Arabic"), (0xfe00, ""), (0x20000, "Han"), (0x32000, "")];

/// The script of most letters of a text: `Latin`, `Cyrillic`, `Han`, ..., `other`; `none` when it has no letter. A text with kana is
/// `Kana`, whatever else is in it: Japanese mixes it with Han.
pub fn script(text: &str) -> &'static str {
    let mut counts: Vec<(&'static str, u32)> = Vec::new();
    for found in text.chars().map(of_letter).filter(|script| !script.is_empty()) {
        match counts.iter_mut().find(|(script, _)| *script == found) {
            Some((_, count)) => *count += 1,
            None => counts.push((found, 1)),
        }
    }
    if counts.iter().any(|(script, _)| *script == "Kana") {
        return "Kana";
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or("none", |(script, _)| script)
}

fn of_letter(letter: char) -> &'static str {
    let code = letter as u32;
    let table: &[(u32, &str)] = if code >= HIGH[0].0 { &HIGH } else { &BLOCKS };
    let at = table.partition_point(|(first, _)| *first <= code);
    if at == 0 { "" } else { table[at - 1].1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_of_many_languages() {
        let expected = [
            ("a red fox, 12", "Latin"),
            ("Straße über Łódź", "Latin"),
            ("красная лиса", "Cyrillic"),
            ("κόκκινη αλεπού", "Greek"),
            ("红色的狐狸", "Han"),
            ("赤い狐", "Kana"),
            ("붉은 여우", "Hangul"),
            ("ثعلب أحمر", "Arabic"),
            ("लाल लोमड़ी", "Devanagari"),
            ("12 — 34!", "none"),
            ("", "none"),
            ("IMG лиса лиса", "Cyrillic"),
        ];
        for (text, script) in expected {
            assert_eq!(super::script(text), script, "{text}");
        }
    }

    #[test]
    fn blocks_ascend() {
        assert!(BLOCKS.iter().chain(&HIGH).map(|(first, _)| first).is_sorted());
    }
}
