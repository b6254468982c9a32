//! Which link targets are shown as text and which are files, categories and links to other languages.

use rustc_hash::FxHashSet;

/// How much of a link target is looked at for a namespace, in bytes; the longest names of namespaces are about 40.
const MAX_PREFIX: usize = 80;

/// Endings of link targets that are files even where the namespace's name is not known.
const FILE_ENDINGS: [&str; 12] = [".jpg", ".jpeg", ".png", ".gif", ".svg", ".tif", ".tiff", ".webp", ".ogg", ".ogv", ".oga", ".webm"];

/// The namespaces whose links are not part of an article's text.
#[derive(Clone, Debug)]
pub struct Namespaces {
    hidden: FxHashSet<String>,
}

impl Default for Namespaces {
    /// The English names, which every wiki understands.
    fn default() -> Self {
        Namespaces { hidden: ["file", "image", "media", "category"].map(String::from).into_iter().collect() }
    }
}

impl Namespaces {
    /// The keys of media, file and category namespaces in a dump's `siteinfo`.
    pub(crate) const HIDDEN_KEYS: [&'static str; 3] = ["-2", "6", "14"];

    /// Adds a name as the dump's wiki writes it, such as `Datei`.
    pub(crate) fn hide(&mut self, name: &str) {
        self.hidden.insert(name.trim().to_lowercase().replace('_', " "));
    }

    /// Whether a link without a leading colon is not shown: a file, a category, or, without a label, the same article in
    /// another language (`de:Katze`).
    pub(crate) fn hides(&self, target: &str, labelled: bool) -> bool {
        let head = &target[..target.floor_char_boundary(MAX_PREFIX)];
        let Some((prefix, _)) = head.split_once(':') else { return false };
        let prefix = prefix.trim();
        let tail = target[target.ceil_char_boundary(target.len().saturating_sub(5))..].trim_end().to_ascii_lowercase();
        self.hidden.contains(&prefix.to_lowercase().replace('_', " "))
            || FILE_ENDINGS.iter().any(|ending| tail.ends_with(ending))
            || !labelled && is_language(prefix)
    }
}

/// Whether a prefix has the form of a language code: two or three letters, or with a hyphen (`zh-yue`, `simple` aside).
fn is_language(prefix: &str) -> bool {
    let (main, rest) = prefix.split_once('-').unwrap_or((prefix, "x"));
    let letters = |part: &str, longest| (1..=longest).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    (main.len() >= 2 && letters(main, 3) || prefix == "simple") && rest.split('-').all(|part| letters(part, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_categories_and_languages_are_hidden() {
        let mut namespaces = Namespaces::default();
        namespaces.hide("Datei");
        for target in
            ["File:a.jpg", "image: b", "Datei:x", "Category:Cats", "Fichier:Chat.JPG", "de:Katze", "zh-min-nan:Niau", "simple:Cat"]
        {
            assert!(namespaces.hides(target, false), "{target}");
        }
        for target in ["Cat", "Star Wars: Episode I", "Fichier:Chat", "wikt:cat", "é:x", ""] {
            assert!(!namespaces.hides(target, false), "{target}");
        }
        assert!(!namespaces.hides("de:Katze", true));
        assert!(namespaces.hides("File:a.jpg", true));
    }
}
