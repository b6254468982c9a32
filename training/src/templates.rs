//! Sentences into which a class name is put, so that a class reads like a caption.
//!
//! Lists are data: `templates/*.txt`, one sentence a line, `{}` where the name goes or `{s}` for its English plural, lines that
//! begin with `#` are remarks.

use crate::Error;
use std::path::Path;

/// The lists that come with the program.
const LISTS: &[(&str, &str)] = &[
    ("plain", include_str!("../templates/plain.txt")),
    ("simple", include_str!("../templates/simple.txt")),
    ("counted", include_str!("../templates/counted.txt")),
    ("cifar", include_str!("../templates/cifar.txt")),
    ("imagenet7", include_str!("../templates/imagenet7.txt")),
];

/// The most sentences of a list; the longest published one has 80.
const MAX_SENTENCES: usize = 10_000;
/// The most bytes of a file.
const MAX_FILE: u64 = 1 << 20;

/// A list of templates, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(Vec<String>);

impl Templates {
    /// The names of the lists that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LISTS.iter().map(|(name, _)| *name)
    }

    /// The list of this name, or the one in the file of this name.
    ///
    /// # Errors
    /// `Templates` when there is neither, or a sentence has no place for the name.
    pub fn find(name: &str) -> Result<Self, Error> {
        if let Some((_, text)) = LISTS.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text);
        }
        let bad = |why: String| Error::Templates { name: name.to_string(), why };
        let path = Path::new(name);
        let length = std::fs::metadata(path).map(|file| file.len()).map_err(|error| {
            let known: Vec<&str> = Self::names().collect();
            bad(format!("neither one of {} nor a file that can be read ({error})", known.join(", ")))
        })?;
        if length > MAX_FILE {
            return Err(bad(format!("the file has {length} bytes, at most {MAX_FILE} are read")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let bad = |why: String| Err(Error::Templates { name: name.to_string(), why });
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let sentences: Vec<String> = lines.map(str::to_string).collect();
        if let Some(sentence) = sentences.iter().find(|sentence| !sentence.contains("{}") && !sentence.contains("{s}")) {
            return bad(format!("neither {{}} nor {{s}} in {sentence:?}"));
        }
        match sentences.len() {
            1..=MAX_SENTENCES => Ok(Templates(sentences)),
            count => bad(format!("expected 1 to {MAX_SENTENCES} sentences, found {count}")),
        }
    }

    /// The sentences, with their `{}` and `{s}`.
    pub fn sentences(&self) -> &[String] {
        &self.0
    }

    /// Every sentence with `class` in it.
    pub fn fill<'a>(&'a self, class: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0.iter().map(move |sentence| sentence.replace("{}", class).replace("{s}", &plural(class)))
    }
}

/// The regular English plural of the last word.
fn plural(name: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match name.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_as_published() {
        let counts: Vec<usize> = Templates::names().map(|name| Templates::find(name).expect("a list").sentences().len()).collect();
        assert_eq!(counts, [1, 1, 6, 18, 7]);
        let simple = Templates::find("simple").expect("a list");
        assert_eq!(simple.fill("dog").collect::<Vec<_>>(), ["a photo of a dog."]);
    }

    #[test]
    fn plurals_are_regular() {
        let all = ["cross", "box", "dish", "boy", "berry", "red ring"].map(plural);
        assert_eq!(all, ["crosses", "boxes", "dishes", "boys", "berries", "red rings"]);
    }

    #[test]
    fn files_are_read_and_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.txt");
        let find = |text: &str| {
            std::fs::write(&path, text).expect("written");
            Templates::find(path.to_str().expect("a name"))
        };
        assert_eq!(find("# remark\n\n a {} and a {}\n").expect("read").fill("cat").collect::<Vec<_>>(), ["a cat and a cat"]);
        assert_eq!(find("two {s}").expect("read").fill("red cross").collect::<Vec<_>>(), ["two red crosses"]);
        assert!(find("a photo\n").expect_err("refused").to_string().contains("neither {} nor {s}"));
        assert!(find("# nothing\n").is_err());
        let unknown = Templates::find("nothing-such").expect_err("refused").to_string();
        assert!(unknown.contains("plain, simple, counted, cifar"), "{unknown}");
    }
}
