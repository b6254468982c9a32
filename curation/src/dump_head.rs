//! The head of a dump: what its wiki is called and how it names its namespaces.

use crate::dump_source::{Place, Source, Unpacker};
use crate::{Error, Namespaces};
use memchr::memmem;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::path::Path;

/// The longest head, in bytes; Wikipedia's have about 4,000.
const MAX_HEAD: usize = 4 << 20;

/// What a dump says of itself before its first page.
#[derive(Clone, Debug, Default)]
pub struct DumpHead {
    /// The wiki's name in its database, such as `enwiki`; empty when the dump does not say.
    pub database: String,
    /// The namespaces whose links are no text, as this wiki names them.
    pub namespaces: Namespaces,
}

impl DumpHead {
    /// Reads a dump up to its first page. Whether it is compressed is seen from its first bytes.
    ///
    /// # Errors
    /// `Shards` when it cannot be read, `NotADump` when it does not begin with a `mediawiki` element, `Dump` when it is damaged
    /// already there.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut source = Source::open(path)?;
        let (mut head, mut unpacker) = (Vec::new(), Unpacker::default());
        let mut place = Place { offset: 0, stream: 0, inner: 0 };
        while memmem::find(&head, b"<page").is_none() && head.len() <= MAX_HEAD {
            let next = source.next()?;
            let ended = next.is_none();
            if let Some((piece, xml)) = unpacker.push(next, path) {
                place = if head.is_empty() { piece.place } else { place };
                head.extend(xml?);
            }
            if ended {
                break;
            }
        }
        let end = memmem::find(&head, b"<page").unwrap_or(head.len().min(MAX_HEAD));
        parse(&head[..end], path, place)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    Root,
    SiteInfo,
    Database,
    Namespaces,
    Namespace { hidden: bool },
    Other,
}

fn parse(xml: &[u8], path: &Path, place: Place) -> Result<DumpHead, Error> {
    let not = |why: String| Error::NotADump { path: path.to_path_buf(), why };
    let mut reader = Reader::from_reader(xml);
    let mut head = DumpHead::default();
    let (mut elements, mut seen) = (Vec::new(), false);
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(_) if !seen => return Err(not("it is not XML".to_string())),
            Err(why) => return Err(place.plus(reader.buffer_position() as usize).damaged(path, why)),
        };
        match event {
            Event::Start(tag) => {
                elements.push(element(elements.last().copied(), &tag).map_err(not)?);
                seen = true;
            }
            Event::Empty(tag) => {
                element(elements.last().copied(), &tag).map_err(not)?;
            }
            Event::End(_) => drop(elements.pop()),
            Event::Text(text) => match elements.last() {
                Some(Element::Database) => head.database = String::from_utf8_lossy(&text).trim().to_string(),
                Some(Element::Namespace { hidden: true }) => head.namespaces.hide(&String::from_utf8_lossy(&text)),
                _ => {}
            },
            Event::Eof if !seen => return Err(not("it holds no element".to_string())),
            Event::Eof => return Ok(head),
            _ => {}
        }
    }
}

/// What an element is; an error where it shows that the file is no dump.
fn element(parent: Option<Element>, tag: &BytesStart<'_>) -> Result<Element, String> {
    use Element::*;
    Ok(match (parent, tag.local_name().as_ref()) {
        (None, b"mediawiki") => Root,
        // Bytes of some other format must not reach a terminal as a name.
        (None, other) if other.len() > 40 || !other.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_:.!".contains(byte)) => {
            return Err("it is not XML".to_string());
        }
        (None, other) => return Err(format!("its first element is <{}>, expected <mediawiki>", String::from_utf8_lossy(other))),
        (Some(Root), b"siteinfo") => SiteInfo,
        (Some(SiteInfo), b"dbname") => Database,
        (Some(SiteInfo), b"namespaces") => Namespaces,
        (Some(Namespaces), b"namespace") => {
            let key = tag.try_get_attribute("key").ok().flatten();
            let hidden = key.is_some_and(|key| crate::Namespaces::HIDDEN_KEYS.iter().any(|hidden| hidden.as_bytes() == &*key.value));
            Namespace { hidden }
        }
        _ => Other,
    })
}
