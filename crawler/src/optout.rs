//! What owners say against use, outside `robots.txt`: `X-Robots-Tag`, robots meta tags, and the TDM reservation.
//!
//! A header's value is `[user-agent:] directive, directive`. Several may occur, and proxies join them with commas, so a
//! user-agent prefix holds for the directives up to the next one. `name:` is a prefix only when `name` is not itself a
//! directive with a value, such as `unavailable_after: date`.

use reqwest::header::HeaderMap;

/// Directives that carry a value after a colon (Google's robots meta specification).
const VALUED: [&str; 5] = ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview", "tdm-policy"];
/// The name that means every crawler.
const ROBOTS: &str = "robots";
/// Header text read at most; more says nothing new.
const MAX_TEXT: usize = 16 << 10;

/// The directives that concern us, gathered over headers and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    /// The first one that refuses use of the content: `noai`, `noimageai`, `noindex`, `noimageindex`, `none`, `tdm-reservation`.
    pub(crate) refusal: Option<&'static str>,
    /// Links are not to be followed.
    pub(crate) nofollow: bool,
    /// Something is said to us by name: then what is said to others is not meant for us.
    named: bool,
}

impl Directives {
    /// Reads a response's headers on behalf of the crawler named `agent` (lower case). Where it is not named, what is said to the crawlers
    /// `also` (lower case) holds for it too.
    pub(crate) fn of_headers(headers: &HeaderMap, agent: &str, also: &[String]) -> Self {
        let values: Vec<String> =
            headers.get_all("x-robots-tag").iter().map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase()).collect();
        let named = values.iter().any(|value| parts(value).any(|(name, _)| name == Some(agent)));
        let mut directives = Directives { named, ..Directives::default() };
        let is_us = |name: &str| name == agent || name == "*" || name == ROBOTS || !named && also.iter().any(|also| name == also.as_str());
        for value in &values {
            directives.read_header(value, is_us);
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

/// The `meta` elements of a page, read on top of what its headers say.
pub(crate) struct Metas<'a> {
    ours: Directives,
    /// What is said to the crawlers `also`.
    others: Directives,
    agent: &'a str,
    also: &'a [String],
}

impl<'a> Metas<'a> {
    /// Begins with what the headers say; `agent` and `also` as in [`Directives::of_headers`].
    pub(crate) fn new(headers: Directives, agent: &'a str, also: &'a [String]) -> Self {
        Metas { ours: headers, others: Directives::default(), agent, also }
    }

    /// Reads the name and content of one element. A name may be a list of crawlers.
    pub(crate) fn read(&mut self, name: &str, content: &str) {
        if name.trim().eq_ignore_ascii_case("tdm-reservation") {
            // TDMRep: the page's own statement overrides the header's, in both directions.
            match content.trim() {
                "1" => self.ours.refuse("tdm-reservation"),
                "0" if self.ours.refusal == Some("tdm-reservation") => self.ours.refusal = None,
                _ => {}
            }
            return;
        }
        let (mut to_us, mut to_others) = (false, false);
        for name in name[..name.floor_char_boundary(MAX_TEXT)].split([',', ';', ' ']).map(str::trim) {
            let is_named = name.eq_ignore_ascii_case(self.agent);
            self.ours.named |= is_named;
            to_us |= is_named || name.eq_ignore_ascii_case(ROBOTS);
            to_others |= self.also.iter().any(|also| name.eq_ignore_ascii_case(also));
        }
        let content = &content[..content.floor_char_boundary(MAX_TEXT)];
        if to_us {
            self.ours.read_directives(content);
        } else if to_others {
            self.others.read_directives(content);
        }
    }

    /// What all of them say.
    pub(crate) fn done(self) -> Directives {
        let Metas { mut ours, others, .. } = self;
        if !ours.named {
            others.refusal.into_iter().for_each(|why| ours.refuse(why));
            ours.nofollow |= others.nofollow;
        }
        ours
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

    fn metas(headers: Directives, list: &[(&str, &str)]) -> Directives {
        let also = ["img2dataset".to_string(), "gptbot".to_string()];
        let mut metas = Metas::new(headers, "diptych", &also);
        list.iter().for_each(|(name, content)| metas.read(name, content));
        metas.done()
    }

    #[test]
    fn directives_refuse() {
        for word in ["noai", "NoImageAI", "noindex", "noimageindex", "none"] {
            assert_eq!(header(&[word]).refusal, Some(word.to_ascii_lowercase()).as_deref(), "{word}");
            assert_eq!(header(&["noarchive", &format!("nosnippet , {word}")]).refusal, Some(word.to_ascii_lowercase()).as_deref());
        }
        assert_eq!(header(&["all, index, follow, max-image-preview: none"]), Directives::default());
        assert_eq!(header(&["nofollow"]), Directives { nofollow: true, ..Directives::default() });
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
        let others = [("googlebot", "noindex"), ("description", "noai")];
        assert_eq!(metas(Directives::default(), &others), Directives::default());
        let valued = [("robots", "index, follow, max-image-preview: none, Max-Snippet: -1 none")];
        assert_eq!(metas(Directives::default(), &valued), Directives::default());
        assert_eq!(metas(Directives::default(), &[("ROBOTS", "index, NOAI")]).refusal, Some("noai"));
        let mut headers = HeaderMap::new();
        headers.insert("tdm-reservation", "1".parse().expect("a value"));
        let reserved = Directives::of_headers(&headers, "diptych", &[]);
        assert_eq!(reserved.refusal, Some("tdm-reservation"));
        assert_eq!(metas(reserved, &[("tdm-reservation", "0")]).refusal, None);
        headers.insert("tdm-reservation", "2".parse().expect("a value"));
        assert_eq!(Directives::of_headers(&headers, "diptych", &[]).refusal, None);
    }

    #[test]
    fn metas_for_crawlers_that_are_obeyed_bind_us_where_we_are_not_named() {
        let refusal = |list: &[(&str, &str)]| metas(Directives::default(), list).refusal;
        assert_eq!(refusal(&[("GPTBot", "noai,noimageai")]), Some("noai"));
        assert_eq!(refusal(&[("robots, gptbot", "noindex")]), Some("noindex"));
        assert_eq!(refusal(&[("googlebot gptbot", "noindex")]), Some("noindex"));
        assert_eq!(refusal(&[("gptbot", "noai"), ("diptych", "all")]), None);
        assert_eq!(refusal(&[("diptych", "noai"), ("gptbot", "all")]), Some("noai"));
        assert!(metas(Directives::default(), &[("gptbot", "nofollow")]).nofollow);
        assert_eq!(metas(header(&["diptych: all"]), &[("gptbot", "noai")]).refusal, None, "we are named in a header");
        assert_eq!(header(&["robots: noai"]).refusal, Some("noai"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(value in "[ -~é]{0,200}") {
            let mut directives = Directives::default();
            directives.read_header(&value, |name| name == "diptych");
            metas(directives, &[("robots", &value), (&value, "noai")]);
        }
    }
}
