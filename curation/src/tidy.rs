//! The last touch to plain text: what markup leaves behind goes.

/// Collapses blanks, drops empty lines, invisible marks and brackets that have lost their content.
pub(crate) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let start = out.len();
        let mut rest = line.trim();
        while !rest.is_empty() {
            if out.len() > start && !out.ends_with([' ', '(']) {
                out.push(' ');
            }
            let bare = out[start..].ends_with('(');
            let plain = if bare { 0 } else { plain_words(rest.as_bytes()) };
            let (words, after) = rest.split_at(if plain > 0 { plain } else { rest.find(char::is_whitespace).unwrap_or(rest.len()) });
            if plain > 0 {
                out.push_str(words)
            } else {
                tidy_word(words, &mut out, start)
            }
            rest = after.trim_start();
        }
        out.truncate(start + out[start..].trim_end().len());
        if out.len() > start {
            out.push('\n');
        }
    }
    out
}

/// Adds a word to a line that begins at `start` of `out`.
fn tidy_word(word: &str, out: &mut String, start: usize) {
    // Soft hyphens and direction marks are layout; inside a word they would make another word of it.
    for c in word.chars().filter(|c| !matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')) {
        let bare = out[start..].ends_with('(');
        if bare && c == ')' {
            out.pop();
        } else if !bare || !matches!(c, ',' | ';') {
            out.push(c);
        }
    }
}

/// Length of the words with which `text` begins that need no tidying: ASCII without brackets that open, one blank between them.
fn plain_words(text: &[u8]) -> usize {
    let plain = |at: usize| text.get(at).is_some_and(|byte| byte.is_ascii_graphic() && *byte != b'(');
    let (mut end, mut at) = (0, 0);
    while plain(at) {
        while plain(at) {
            at += 1;
        }
        match text.get(at) {
            None => return at,
            Some(b' ') => (end, at) = (at, at + 1),
            Some(_) => return end,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_collapse_and_what_is_empty_goes() {
        assert_eq!(tidy(" a  b\tc \n\n \nd\u{3000}e\n"), "a b c\nd e\n");
        assert_eq!(tidy("Cat ( ; , ) and (, dog) x(y) end."), "Cat and (dog) x(y) end.\n");
        assert_eq!(tidy("so\u{AD}ft \u{200E}mark ()"), "soft mark\n");
    }
}
