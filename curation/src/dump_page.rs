//! The pages of a piece of dump: XML to articles. Knows nothing of files or threads, nor of what stands in the text.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The longest text of a page, in bytes; what follows is dropped. MediaWiki stores at most 2 MiB ($wgMaxArticleSize).
pub(crate) const MAX_TEXT: usize = 8 << 20;
/// The deepest nesting of elements; MediaWiki's own dumps have 6.
const MAX_DEPTH: usize = 32;

/// A page's text as its authors wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// Its title.
    pub title: String,
    /// Its wikitext.
    pub text: String,
}

/// What a dump held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpCounts {
    /// All pages.
    pub pages: u64,
    /// Pages that were given out as articles.
    pub articles: u64,
    /// Redirects in the main namespace.
    pub redirects: u64,
    /// Articles whose text was cut at 8 MiB.
    pub shortened: u64,
}

impl DumpCounts {
    pub(crate) fn add(&mut self, other: DumpCounts) {
        self.pages += other.pages;
        self.articles += other.articles;
        self.redirects += other.redirects;
        self.shortened += other.shortened;
    }
}

/// The elements that matter; all others are `Other`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Page,
    Title,
    Number,
    Revision,
    Model,
    Text,
    Other,
}

/// The page being read.
#[derive(Default)]
struct Page {
    title: String,
    namespace: String,
    model: String,
    text: String,
    redirect: bool,
    shortened: bool,
}

/// What is wrong with a piece of XML, and at which of its bytes.
pub(crate) struct BadXml {
    pub(crate) at: usize,
    pub(crate) why: String,
}

/// Reads whole pages, gives each article to `take` and counts them all.
///
/// An article is a page of the main namespace (0) that is no redirect and whose model is wikitext, as its last revision has it.
pub(crate) fn read_pages(xml: &[u8], mut take: impl FnMut(Article)) -> Result<DumpCounts, BadXml> {
    let mut pages = Pages { elements: Vec::new(), field: Vec::new(), cut: false, page: Page::default(), counts: DumpCounts::default() };
    let mut reader = Reader::from_reader(xml);
    // The text of a page may hold a lone ampersand in dumps that other programs wrote.
    reader.config_mut().allow_dangling_amp = true;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string());
        let more = event.and_then(|event| pages.take(event, &mut take));
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(pages.counts),
            Err(why) => return Err(BadXml { at: reader.buffer_position() as usize, why }),
        }
    }
}

struct Pages {
    elements: Vec<Element>,
    field: Vec<u8>,
    cut: bool,
    page: Page,
    counts: DumpCounts,
}

impl Pages {
    /// Takes one piece of XML; false at the end.
    fn take(&mut self, event: Event<'_>, take: &mut impl FnMut(Article)) -> Result<bool, String> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end(take);
            }
            Event::End(_) => self.end(take),
            Event::Text(text) if self.elements.is_empty() && !text.trim_ascii().is_empty() => {
                return Err("text stands between pages".to_string());
            }
            Event::Text(text) => self.add(&text),
            Event::CData(text) => self.add(&text),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok().flatten() {
                Some(c) => self.add(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => match quick_xml::escape::resolve_predefined_entity(&String::from_utf8_lossy(&name)) {
                    Some(text) => self.add(text.as_bytes()),
                    // Unknown names stay as they are: no entity that the file declares is ever expanded.
                    None => [b"&", &*name, b";"].iter().for_each(|part| self.add(part)),
                },
            },
            Event::Eof if self.elements.is_empty() => return Ok(false),
            Event::Eof => return Err("a page breaks off".to_string()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(true)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        use Element::*;
        if self.elements.len() >= MAX_DEPTH {
            return Err(format!("elements are nested deeper than {MAX_DEPTH}"));
        }
        let name = tag.local_name();
        let element = match (self.elements.last(), name.as_ref()) {
            (None, b"page") => {
                self.page = self::Page::default();
                Page
            }
            (None, _) => return Err("expected <page>".to_string()),
            (Some(Page), b"title") => Title,
            (Some(Page), b"ns") => Number,
            (Some(Page), b"redirect") => {
                self.page.redirect = true;
                Other
            }
            (Some(Page), b"revision") => {
                // Dumps with full history list old revisions first: the last one wins.
                self.page.text.clear();
                self.page.model.clear();
                Revision
            }
            (Some(Revision), b"model") => Model,
            (Some(Revision), b"text") => Text,
            _ => Other,
        };
        self.field.clear();
        self.cut = false;
        self.elements.push(element);
        Ok(())
    }

    /// Adds text to the field being read, up to its cap.
    fn add(&mut self, bytes: &[u8]) {
        use Element::*;
        let wanted = match self.elements.last() {
            Some(Title | Number | Model) => true,
            // Half of a dump are templates, categories and the like: their text is not even copied.
            Some(Text) => !self.page.redirect && matches!(self.page.namespace.as_str(), "0" | ""),
            _ => false,
        };
        if wanted {
            let room = MAX_TEXT - self.field.len();
            self.cut |= bytes.len() > room;
            self.field.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn end(&mut self, take: &mut impl FnMut(Article)) {
        let Some(element) = self.elements.pop() else { return };
        // Bytes that are no UTF-8 become replacement characters: they spoil a word, not a dump of a million pages.
        let mut text = || {
            let field = std::mem::take(&mut self.field);
            String::from_utf8(field).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        match element {
            Element::Title => self.page.title = text(),
            Element::Number => self.page.namespace = text().trim().to_string(),
            Element::Model => self.page.model = text(),
            Element::Text => (self.page.text, self.page.shortened) = (text(), self.cut),
            Element::Page => {
                let article = self.article();
                article.into_iter().for_each(take);
            }
            Element::Revision | Element::Other => {}
        }
    }

    /// The page just ended, if it is an article.
    fn article(&mut self) -> Option<Article> {
        let page = std::mem::take(&mut self.page);
        self.counts.pages += 1;
        if page.namespace != "0" {
            return None;
        }
        // Dumps before version 0.4 of the format mark redirects only in the text.
        if page.redirect || page.text.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("#redirect")) {
            self.counts.redirects += 1;
            return None;
        }
        // Dumps before version 0.8 have no model: everything was wikitext.
        if !matches!(page.model.trim(), "" | "wikitext") {
            return None;
        }
        self.counts.articles += 1;
        self.counts.shortened += u64::from(page.shortened);
        Some(Article { title: page.title, text: page.text })
    }
}
