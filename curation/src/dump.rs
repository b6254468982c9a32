//! The articles of a MediaWiki XML dump, plain or bzip2, one after the other.
//!
//! An article is a page of the main namespace (0) that is no redirect and whose model is wikitext, as its last
//! revision has it. Knows XML and nothing of what stands in the text. The memory in use is bounded by [`MAX_TEXT`], whatever the file.

use crate::dump_source::Source;
use crate::{Error, Namespaces};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::path::{Path, PathBuf};

/// The longest text of a page, in bytes; what follows is dropped. MediaWiki stores at most 2 MiB ($wgMaxArticleSize).
const MAX_TEXT: usize = 8 << 20;
/// The longest piece of XML (a tag, or text between two tags or entities), in bytes.
const MAX_PIECE: usize = 64 << 20;
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

/// The elements that matter; all others are `Other`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Root,
    SiteInfo,
    Namespaces,
    Namespace { hidden: bool },
    Page,
    Title,
    Number,
    Revision,
    Model,
    Text,
    Other,
}

impl Element {
    /// Whether its text is wanted.
    fn is_field(self) -> bool {
        use Element::*;
        matches!(self, Title | Number | Model | Text | Namespace { hidden: true })
    }
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

/// A dump being read; an iterator over its articles, in file order. Ends after its first error.
pub struct Dump {
    reader: Reader<Source>,
    path: PathBuf,
    buffer: Vec<u8>,
    elements: Vec<Element>,
    field: Vec<u8>,
    field_cut: bool,
    page: Page,
    namespaces: Namespaces,
    counts: DumpCounts,
    ended: bool,
}

impl Dump {
    /// Opens a dump and reads up to its first element. Whether it is compressed is seen from its first bytes.
    ///
    /// # Errors
    /// `Shards` when it cannot be opened, `NotADump` when it does not begin with a `mediawiki` element, `Dump` when it is
    /// damaged already there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let source = Source::open(path, MAX_PIECE)?;
        let mut dump = Dump {
            reader: Reader::from_reader(source),
            path: path.to_path_buf(),
            buffer: Vec::new(),
            elements: Vec::new(),
            field: Vec::new(),
            field_cut: false,
            page: Page::default(),
            namespaces: Namespaces::default(),
            counts: DumpCounts::default(),
            ended: false,
        };
        // The text of a page may hold a lone ampersand in dumps that other programs wrote.
        dump.reader.config_mut().allow_dangling_amp = true;
        while dump.elements.is_empty() {
            if dump.step()?.is_some() || dump.ended {
                return Err(dump.not_a_dump("it holds no element".to_string()));
            }
        }
        Ok(dump)
    }

    /// The namespaces whose links are no text, as the dump's head names them; complete from the first article on.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Bytes of the file that were read, compressed ones if it is compressed.
    pub fn position(&self) -> u64 {
        self.reader.get_ref().position()
    }

    /// The BLAKE3 hash of the bytes read: of the whole file once the iterator has ended without error.
    pub fn hash(&self) -> blake3::Hash {
        self.reader.get_ref().hash()
    }

    /// What was read so far.
    pub fn counts(&self) -> DumpCounts {
        self.counts
    }

    fn not_a_dump(&self, why: String) -> Error {
        Error::NotADump { path: self.path.clone(), why }
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Error {
        let source = self.reader.get_ref();
        let xml = self.reader.buffer_position();
        let (offset, why) = if source.is_compressed() {
            (source.position(), format!("{why} (byte {xml} of the XML in it)"))
        } else {
            (xml, why.to_string())
        };
        Error::Dump { path: self.path.clone(), offset, why }
    }

    /// Reads one piece of XML; gives an article when that piece ended one.
    fn step(&mut self) -> Result<Option<Article>, Error> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.reader.get_mut().allow(MAX_PIECE);
        let event = self.reader.read_event_into(&mut buffer);
        let article = match event {
            Ok(event) => self.take(event),
            Err(_) if self.elements.is_empty() && self.counts.pages == 0 && !self.reader.get_ref().is_compressed() => {
                Err(self.not_a_dump("it is not XML".to_string()))
            }
            Err(quick_xml::Error::Io(why)) if why.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("the compressed data breaks off"))
            }
            Err(quick_xml::Error::Io(why)) => Err(self.damaged(why)),
            Err(why) => Err(self.damaged(why)),
        };
        // A page of 60 MB must not leave a buffer of that size behind.
        buffer.shrink_to(1 << 20);
        self.buffer = buffer;
        article
    }

    fn take(&mut self, event: Event<'_>) -> Result<Option<Article>, Error> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::Empty(tag) => {
                self.start(&tag)?;
                return self.end();
            }
            Event::End(_) => return self.end(),
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
            Event::Eof if self.elements.is_empty() => self.ended = true,
            Event::Eof => return Err(self.damaged("the XML breaks off before </mediawiki>")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Error> {
        use Element::*;
        if self.elements.len() >= MAX_DEPTH {
            return Err(self.damaged(format!("elements are nested deeper than {MAX_DEPTH}")));
        }
        let name = tag.local_name();
        let element = match (self.elements.last(), name.as_ref()) {
            (None, b"mediawiki") => Root,
            (None, other) => {
                // Bytes of some other format must not reach a terminal as a name.
                if other.len() > 40 || !other.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.!".contains(byte)) {
                    return Err(self.not_a_dump("it is not XML".to_string()));
                }
                let other = String::from_utf8_lossy(other);
                return Err(self.not_a_dump(format!("its first element is <{other}>, expected <mediawiki>")));
            }
            (Some(Root), b"siteinfo") => SiteInfo,
            (Some(SiteInfo), b"namespaces") => Namespaces,
            (Some(Namespaces), b"namespace") => {
                let key = tag.try_get_attribute("key").ok().flatten();
                Namespace {
                    hidden: key.is_some_and(|key| crate::Namespaces::HIDDEN_KEYS.iter().any(|hidden| hidden.as_bytes() == &*key.value)),
                }
            }
            (Some(Root), b"page") => {
                self.page = self::Page::default();
                Page
            }
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
        if element.is_field() {
            self.field.clear();
            self.field_cut = false;
        }
        self.elements.push(element);
        Ok(())
    }

    /// Adds text to the field being read, up to its cap.
    fn add(&mut self, bytes: &[u8]) {
        if self.elements.last().is_some_and(|element| element.is_field()) {
            let room = MAX_TEXT - self.field.len();
            self.field_cut |= bytes.len() > room;
            self.field.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn end(&mut self) -> Result<Option<Article>, Error> {
        let Some(element) = self.elements.pop() else { return Ok(None) };
        if element.is_field() {
            // Bytes that are no UTF-8 become replacement characters: they spoil a word, not a dump of a million pages.
            let text = String::from_utf8_lossy(&self.field).into_owned();
            match element {
                Element::Title => self.page.title = text,
                Element::Number => self.page.namespace = text,
                Element::Model => self.page.model = text,
                Element::Text => (self.page.text, self.page.shortened) = (text, self.field_cut),
                _ => self.namespaces.hide(&text),
            }
            self.field.clear();
            self.field.shrink_to(1 << 20);
        }
        Ok(if element == Element::Page { self.article() } else { None })
    }

    /// The page just ended, if it is an article.
    fn article(&mut self) -> Option<Article> {
        let page = std::mem::take(&mut self.page);
        self.counts.pages += 1;
        if page.namespace.trim() != "0" {
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

impl Iterator for Dump {
    type Item = Result<Article, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(Some(article)) => return Some(Ok(article)),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
