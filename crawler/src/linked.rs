//! An image as the list of links of a WAT record names it.

use crate::mend::mend;
use crate::wat::Text;
use memchr::memchr2;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// The object of a link.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Image<'a> {
    #[serde(default, borrow)]
    pub(crate) path: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) url: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) alt: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) title: Text<'a>,
}

impl<'a> Image<'a> {
    /// Reads an object; `None` when it is none.
    pub(crate) fn read(object: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(object).ok()?;
        Self::read_plain(text).or_else(|| serde_json::from_str(text).ok()).or_else(|| Self::read_mended(text))
    }

    /// Reads an object that is JSON once its strings are mended.
    fn read_mended(text: &str) -> Option<Self> {
        let mended = mend(text.as_bytes());
        let image: Image<'_> = serde_json::from_slice(&mended).ok()?;
        let own = |text: Text<'_>| Text(Cow::Owned(text.0.into_owned()));
        Some(Image { path: own(image.path), url: own(image.url), alt: own(image.alt), title: own(image.title) })
    }

    /// What an object says that was read as a value.
    pub(crate) fn of_value(value: &'a Value) -> Option<Self> {
        let text = |name: &str| Text(Cow::Borrowed(value.get(name).and_then(Value::as_str).unwrap_or_default()));
        value.get("path").map(|_| Image { path: text("path"), url: text("url"), alt: text("alt"), title: text("title") })
    }

    /// Reads the form that nearly all have: names and strings without blanks between them and without escapes. `None` for any other.
    fn read_plain(text: &'a str) -> Option<Self> {
        if text.bytes().fold(false, |found, byte| found | (byte < b' ')) {
            return None;
        }
        let (mut path, mut url, mut alt, mut title) = (None, None, None, None);
        let mut rest = text.strip_prefix('{')?;
        loop {
            let (name, after) = string(rest)?;
            let (value, after) = string(after.strip_prefix(':')?)?;
            let field = match name {
                "path" => &mut path,
                "url" => &mut url,
                "alt" => &mut alt,
                "title" => &mut title,
                _ => &mut None,
            };
            if field.replace(value).is_some() {
                return None;
            }
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None if after == "}" => break,
                None => return None,
            }
        }
        let text = |value: Option<&'a str>| Text(Cow::Borrowed(value.unwrap_or_default()));
        Some(Image { path: text(Some(path?)), url: text(url), alt: text(alt), title: text(title) })
    }
}

/// A string without escapes, and what follows it.
fn string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = memchr2(b'"', b'\\', text.as_bytes())?;
    (text.as_bytes()[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is read the short way is what serde reads.
        #[test]
        fn both_ways_agree(
            fields in proptest::collection::vec(("path|url|alt|title|rel", "[\\PC\\\\\"{},:\n]{0,8}"), 0..6),
            spoil in proptest::option::of((any::<prop::sample::Index>(), "[\"\\\\{},: \n0]")),
        ) {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{}", Value::from(value.as_str()))).collect();
            let mut text = format!("{{{}}}", fields.join(","));
            if let Some((at, with)) = spoil {
                let at = text.floor_char_boundary(at.index(text.len()));
                text.insert_str(at, &with);
            }
            if let Some(image) = Image::read_plain(&text) {
                prop_assert_eq!(Some(image), serde_json::from_str(&text).ok());
            }
        }
    }
}
