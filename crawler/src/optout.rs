//! What owners say against use, outside `robots.txt`: `X-Robots-Tag`, robots meta tags, and the TDM reservation.
//!
//! A header's value is `[user-agent:] directive, directive`. Several may occur, and proxies join them with commas, so a
//! user-agent prefix holds for the directives up to the next one. `name:` is a prefix only when `name` is not itself a
//! directive with a value, such as `unavailable_after: date`.

use reqwest::header::HeaderMap;

/// Directives that carry a value after a colon (Google's robots meta specification).
const VALUED: [&str; 5] = ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview", "tdm-policy"];
/// Header text read at most; more says nothing new.
const MAX_TEXT: usize = 16 << 10;

/// The directives that concern us, gathered over headers and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    /// The first one that refuses use of the content: `noai`, `noimageai`, `noindex`, `noimageindex`, `none`, `tdm-reservation`.
    pub(crate) refusal: Option<&'static str>,
    /// Links are not to be followed.
    pub(crate) nofollow: bool,
}

impl Directives {
    /// Reads a response's headers on behalf of the crawler named `agent` (lower case). Where it is not named, what is said to the crawlers
    /// `also` (lower case) holds for it too.
    pub(crate) fn of_headers(headers: &HeaderMap, agent: &str, also: &[String]) -> Self {
        let mut directives = Directives::default();
        let values: Vec<String> =
            headers.get_all("x-robots-tag").iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()).collect();
        let named = values.iter().any(|value| parts(value).any(|(name, _)| name == Some(agent)));
        for value in &values {
            directives.read_header(value, |name| name == agent || name == "*" || !named && also.iter().any(|also| name == also));
        }
        if headers.get_all("tdm-reservation").iter().any(|value| value.as_bytes().trim_ascii() == b"1") {
            directives.refuse("tdm-reservation");
        }
        directives
    }

    /// Reads one `X-Robots-Tag` value, in lower case; `is_us` says whether a name means us.
    fn read_header(&mut self, value: &str, is_us: impl Fn(&str) -> bool) {
        let mut for_us = true;
        for (name, words) in parts(value) {
            for_us = name.map_or(for_us, &is_us);
            if for_us {
                self.read_directives(words);
            }
        }
    }

    /// Reads a `meta` element of a page: its name and content.
    pub(crate) fn read_meta(&mut self, name: &str, content: &str, agent: &str) {
        let name = name.trim();
        if name.eq_ignore_ascii_case("robots") || name.eq_ignore_ascii_case(agent) {
            self.read_directives(&content[..content.floor_char_boundary(MAX_TEXT)]);
        } else if name.eq_ignore_ascii_case("tdm-reservation") {
            // TDMRep: the page's own statement overrides the header's, in both directions.
            match content.trim() {
                "1" => self.refuse("tdm-reservation"),
                "0" if self.refusal == Some("tdm-reservation") => self.refusal = None,
                _ => {}
            }
        }
    }

    /// Reads directives; they should stand between commas, and are found between other signs too.
    fn read_directives(&mut self, text: &str) {
        for part in text.split([',', ';']) {
            let is_valued =
                part.split_once(':').is_some_and(|(name, _)| VALUED.iter().any(|known| name.trim().eq_ignore_ascii_case(known)));
            // A value is no directive.
            let words = if is_valued { "" } else { part };
            words.split(|c: char| matches!(c, '"' | '\'') || c.is_whitespace()).for_each(|word| self.read_directive(word));
        }
    }

    fn read_directive(&mut self, directive: &str) {
        match directive.to_ascii_lowercase().as_str() {
            "noai" => self.refuse("noai"),
            "noimageai" => self.refuse("noimageai"),
            "noindex" => self.refuse("noindex"),
            "noimageindex" => self.refuse("noimageindex"),
            "none" => {
                self.refuse("none");
                self.nofollow = true;
            }
            "nofollow" => self.nofollow = true,
            _ => {}
        }
    }

    fn refuse(&mut self, why: &'static str) {
        // A reservation can be lifted by the page, so anything else takes its place.
        if self.refusal.is_none() || self.refusal == Some("tdm-reservation") {
            self.refusal = Some(why);
        }
    }
}

/// The parts of a header's value between commas: the crawler that it names, if it does, and the directives behind.
fn parts(value: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    value[..value.floor_char_boundary(MAX_TEXT)].split(',').filter_map(|part| {
        let part = part.trim().trim_matches('"');
        match part.split_once(':') {
            Some((name, _)) if VALUED.contains(&name.trim()) => None,
            Some((name, rest)) if is_agent(name.trim()) => {
                // With its version or without.
                let name = name.trim();
                Some((Some(name.split('/').next().unwrap_or(name)), rest))
            }
            _ => Some((None, part)),
        }
    })
}

/// Whether `name` can be a crawler's name: no blanks, begins with a letter.
fn is_agent(name: &str) -> bool {
    name == "*"
        || name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(values: &[&str]) -> Directives {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-robots-tag", value.parse().expect("a value"));
        }
        Directives::of_headers(&headers, "diptych", &["img2dataset".to_string(), "gptbot".to_string()])
    }

    #[test]
    fn directives_refuse() {
        for word in ["noai", "NoImageAI", "noindex", "noimageindex", "none"] {
            assert_eq!(header(&[word]).refusal, Some(word.to_ascii_lowercase()).as_deref(), "{word}");
            assert_eq!(header(&["noarchive", &format!("nosnippet , {word}")]).refusal, Some(word.to_ascii_lowercase()).as_deref());
        }
        assert_eq!(header(&["all, index, follow, max-image-preview: none"]), Directives::default());
        assert_eq!(header(&["nofollow"]), Directives { refusal: None, nofollow: true });
        assert!(header(&["none"]).nofollow);
    }

    #[test]
    fn agents_are_told_from_valued_directives() {
        assert_eq!(header(&["googlebot: noindex, noai"]), Directives::default());
        assert_eq!(header(&["Diptych: noai"]).refusal, Some("noai"));
        assert_eq!(header(&["otherbot: noindex, diptych: noimageai"]).refusal, Some("noimageai"));
        assert_eq!(header(&["unavailable_after: Wed, 25 Jun 2010 15:00:00 GMT, noai"]).refusal, Some("noai"));
        assert_eq!(header(&["otherbot: none", "noindex"]).refusal, Some("noindex"));
        assert_eq!(header(&["diptych/0.1: noai"]).refusal, Some("noai"));
        assert_eq!(header(&["GPTBot: noai"]).refusal, Some("noai"));
        assert_eq!(header(&["img2dataset: noai", "diptych: all"]).refusal, None, "we are named");
        for loose in ["noindex nofollow", "nofollow;noindex", "\"noindex\"", "otherbot: all, diptych: follow noindex"] {
            assert_eq!(header(&[loose]).refusal, Some("noindex"), "{loose}");
        }
    }

    #[test]
    fn meta_tags_and_reservations() {
        let mut page = Directives::default();
        page.read_meta("googlebot", "noindex", "diptych");
        page.read_meta("description", "noai", "diptych");
        assert_eq!(page, Directives::default());
        page.read_meta("robots", "index, follow, max-image-preview: none, Max-Snippet: -1 none", "diptych");
        assert_eq!(page, Directives::default());
        page.read_meta("ROBOTS", "index, NOAI", "diptych");
        assert_eq!(page.refusal, Some("noai"));
        let mut headers = HeaderMap::new();
        headers.insert("tdm-reservation", "1".parse().expect("a value"));
        let mut reserved = Directives::of_headers(&headers, "diptych", &[]);
        assert_eq!(reserved.refusal, Some("tdm-reservation"));
        reserved.read_meta("tdm-reservation", "0", "diptych");
        assert_eq!(reserved.refusal, None);
        headers.insert("tdm-reservation", "2".parse().expect("a value"));
        assert_eq!(Directives::of_headers(&headers, "diptych", &[]).refusal, None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in "[ -~é]{0,200}") {
            let mut directives = Directives::default();
            directives.read_header(&value, |name| name == "diptych");
            directives.read_meta("robots", &value, "diptych");
        }
    }
}
