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
    /// Reads a response's headers on behalf of the crawler named `agent` (lower case).
    pub(crate) fn of_headers(headers: &HeaderMap, agent: &str) -> Self {
        let mut directives = Directives::default();
        for value in headers.get_all("x-robots-tag") {
            directives.read_header(&String::from_utf8_lossy(value.as_bytes()), agent);
        }
        if headers.get_all("tdm-reservation").iter().any(|value| value.as_bytes().trim_ascii() == b"1") {
            directives.refuse("tdm-reservation");
        }
        directives
    }

    /// Reads one `X-Robots-Tag` value.
    fn read_header(&mut self, value: &str, agent: &str) {
        let mut for_us = true;
        for part in value[..value.floor_char_boundary(MAX_TEXT)].split(',') {
            let part = part.trim();
            let directive = match part.split_once(':') {
                Some((name, _)) if VALUED.contains(&name.trim().to_ascii_lowercase().as_str()) => continue,
                Some((name, rest)) if is_agent(name.trim()) => {
                    for_us = name.trim().eq_ignore_ascii_case(agent) || name.trim() == "*";
                    rest.trim()
                }
                _ => part,
            };
            if for_us {
                self.read_directive(directive);
            }
        }
    }

    /// Reads a `meta` element of a page: its name and content.
    pub(crate) fn read_meta(&mut self, name: &str, content: &str, agent: &str) {
        let name = name.trim();
        if name.eq_ignore_ascii_case("robots") || name.eq_ignore_ascii_case(agent) {
            content[..content.floor_char_boundary(MAX_TEXT)].split(',').for_each(|part| self.read_directive(part.trim()));
        } else if name.eq_ignore_ascii_case("tdm-reservation") {
            // TDMRep: the page's own statement overrides the header's, in both directions.
            match content.trim() {
                "1" => self.refuse("tdm-reservation"),
                "0" if self.refusal == Some("tdm-reservation") => self.refusal = None,
                _ => {}
            }
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
        Directives::of_headers(&headers, "diptych")
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
    }

    #[test]
    fn meta_tags_and_reservations() {
        let mut page = Directives::default();
        page.read_meta("googlebot", "noindex", "diptych");
        page.read_meta("description", "noai", "diptych");
        assert_eq!(page, Directives::default());
        page.read_meta("ROBOTS", "index, NOAI", "diptych");
        assert_eq!(page.refusal, Some("noai"));
        let mut headers = HeaderMap::new();
        headers.insert("tdm-reservation", "1".parse().expect("a value"));
        let mut reserved = Directives::of_headers(&headers, "diptych");
        assert_eq!(reserved.refusal, Some("tdm-reservation"));
        reserved.read_meta("tdm-reservation", "0", "diptych");
        assert_eq!(reserved.refusal, None);
        headers.insert("tdm-reservation", "2".parse().expect("a value"));
        assert_eq!(Directives::of_headers(&headers, "diptych").refusal, None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in "[ -~é]{0,200}") {
            let mut directives = Directives::default();
            directives.read_header(&value, "diptych");
            directives.read_meta("robots", &value, "diptych");
        }
    }
}
