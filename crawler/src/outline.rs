//! What of a WAT record has to be read as JSON: the links that mention images, and little around them.
//!
//! A record's brackets say where its lists and objects are; those that cannot matter are left out by them alone: all that nobody asks for,
//! and metas, links of the head and headers that do not mention a word that has a meaning to us.

use crate::brackets::{Brackets, brackets};
use crate::fetch::AGENT;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What the path of an image begins with, as it stands in a record.
pub(crate) static MARK: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"\"IMG@"));
/// Letters may be written as escapes; what has any is read.
const ESCAPE: &str = "\\u00";
/// Names of metas, headers and relations that mean something: see `optout` and `wat`.
const METAS: [&str; 4] = ["robots", AGENT, "tdm-reservation", ESCAPE];
const HEADERS: [&str; 3] = ["x-robots-tag", "tdm-reservation", ESCAPE];
const RELATIONS: [&str; 3] = ["license", "canonical", ESCAPE];
/// Bytes looked through for words at a time.
const STRETCH: usize = 256;

/// A record, cut.
pub(crate) struct Outline<'a> {
    /// The objects in the list of links that mention images.
    pub(crate) images: Vec<&'a [u8]>,
    /// The record without its links and what else does not matter.
    pub(crate) around: Vec<u8>,
}

/// Objects that are looked into.
#[derive(Clone, Copy)]
enum Place {
    Record,
    Envelope,
    Payload,
    Response,
    Html,
    Head,
}

/// What to do with what is in an object.
enum Choice {
    Enter(Place),
    Keep,
    Leave,
    /// The list of links.
    Links,
    /// A list whose objects are kept if they mention one of these words.
    Weigh(&'static [&'static str]),
    /// The list of metas, in which the crawlers that are obeyed are such words too.
    WeighMetas,
    /// An object that is kept if it does.
    WeighAll(&'static [&'static str]),
}

impl Place {
    fn choose(self, key: &[u8]) -> Choice {
        match (self, key) {
            (Place::Record, b"Envelope") => Choice::Enter(Place::Envelope),
            (Place::Envelope, b"Payload-Metadata") => Choice::Enter(Place::Payload),
            (Place::Envelope, b"WARC-Header-Metadata") => Choice::Keep,
            (Place::Payload, b"HTTP-Response-Metadata") => Choice::Enter(Place::Response),
            (Place::Response, b"Headers") => Choice::WeighAll(&HEADERS),
            (Place::Response, b"HTML-Metadata") => Choice::Enter(Place::Html),
            (Place::Html, b"Head") => Choice::Enter(Place::Head),
            (Place::Html, b"Links") => Choice::Links,
            (Place::Head, b"Metas") => Choice::WeighMetas,
            (Place::Head, b"Link") => Choice::Weigh(&RELATIONS),
            _ => Choice::Leave,
        }
    }
}

/// Cuts a record; `also` are crawlers (lower case) whose metas mean something. `None` when it is unusual or broken: its brackets do not close, its names are written with escapes, it has no list of links.
pub(crate) fn outline<'a>(text: &'a [u8], also: &[String]) -> Option<Outline<'a>> {
    let Brackets { spots, is_utf8, is_closed } = brackets(text)?;
    let first = *spots.first()? as usize;
    if !is_utf8 || !is_closed || text[first] != b'{' {
        return None;
    }
    let around = Vec::with_capacity(2048);
    let mut walk = Walk { text, also, spots: &spots[1..], copied: 0, around, images: None };
    walk.object(Place::Record)?;
    let Walk { spots: [], copied, mut around, images, .. } = walk else { return None };
    around.extend_from_slice(&text[copied..]);
    Some(Outline { images: images?, around })
}

struct Walk<'a, 'b> {
    text: &'a [u8],
    /// Crawlers that are obeyed.
    also: &'b [String],
    /// Brackets that are still to come.
    spots: &'b [u32],
    /// What is before this is in `around`, or left out.
    copied: usize,
    around: Vec<u8>,
    images: Option<Vec<&'a [u8]>>,
}

impl<'a> Walk<'a, '_> {
    /// Goes through an object whose opening bracket is behind, up to and with its closing one.
    fn object(&mut self, place: Place) -> Option<()> {
        loop {
            let open = self.take()?;
            match self.text[open] {
                b'}' => return Some(()),
                b']' => return None,
                bracket => match (place.choose(self.key(open)?), bracket) {
                    (Choice::Enter(place), b'{') => self.object(place)?,
                    (Choice::Enter(_), _) => return None,
                    (Choice::Keep, _) => {
                        self.close()?;
                    }
                    (Choice::Links, b'[') if self.images.is_none() => self.links(open)?,
                    (Choice::Links, _) => return None,
                    (Choice::Weigh(words), b'[') => self.weigh(open, |object| mentions(object, words))?,
                    (Choice::WeighMetas, b'[') => {
                        let also = self.also;
                        self.weigh(open, |object| mentions(object, &METAS) || mentions(object, also))?;
                    }
                    (Choice::WeighAll(words), b'{') => {
                        let close = self.close()?;
                        if !mentions(&self.text[open..close], words) {
                            self.leave_out(open, close);
                        }
                    }
                    (Choice::Weigh(_) | Choice::WeighMetas | Choice::WeighAll(_), _) => return None,
                    (Choice::Leave, _) => {
                        let close = self.close()?;
                        self.leave_out(open, close);
                    }
                },
            }
        }
    }

    fn take(&mut self) -> Option<usize> {
        let (spot, rest) = self.spots.split_first()?;
        self.spots = rest;
        Some(*spot as usize)
    }

    /// The name that stands before a bracket. `None` when none does, or one with escapes.
    fn key(&self, open: usize) -> Option<&'a [u8]> {
        let before = self.text[..open].trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"")?;
        let begin = memchr::memrchr2(b'"', b'\\', before)?;
        (before[begin] == b'"' && before[..begin].last() != Some(&b'\\')).then(|| &before[begin + 1..])
    }

    /// Passes over what the bracket behind opened; where its closing one is.
    fn close(&mut self) -> Option<usize> {
        let mut depth = 1usize;
        for (number, &spot) in self.spots.iter().enumerate() {
            // Opening brackets have this bit, closing ones do not.
            depth = if self.text[spot as usize] & 2 != 0 { depth + 1 } else { depth - 1 };
            if depth == 0 {
                self.spots = &self.spots[number + 1..];
                return Some(spot as usize);
            }
        }
        None
    }

    /// Leaves out what is between two brackets.
    fn leave_out(&mut self, open: usize, close: usize) {
        self.around.extend_from_slice(&self.text[self.copied..=open]);
        self.copied = close;
    }

    /// Leaves out the objects of a list that do not matter.
    fn weigh(&mut self, open: usize, matters: impl Fn(&[u8]) -> bool) -> Option<()> {
        let spots = self.spots;
        let end = self.close()?;
        let kept = matters(&self.text[open..end]);
        self.leave_out(open, end);
        if !kept {
            return Some(());
        }
        let rest = std::mem::replace(&mut self.spots, spots);
        let mut first = true;
        while let Some(begin) = self.take().filter(|begin| *begin < end) {
            let close = self.close()?;
            if matters(&self.text[begin..close]) {
                if !std::mem::take(&mut first) {
                    self.around.push(b',');
                }
                self.around.extend_from_slice(&self.text[begin..=close]);
            }
        }
        self.spots = rest;
        Some(())
    }

    /// Notes the objects of the list of links that mention images, and leaves it out.
    fn links(&mut self, open: usize) -> Option<()> {
        let text = self.text;
        let mut marks = MARK.find_iter(&text[open..]).map(|at| open + at).filter(|at| !is_escaped(text, *at)).peekable();
        let (mut images, mut depth, mut start, mut wanted) = (Vec::new(), 1usize, open, false);
        for (number, &spot) in self.spots.iter().enumerate() {
            let spot = spot as usize;
            while let Some(mark) = marks.peek()
                && *mark < spot
            {
                wanted |= depth == 2;
                marks.next();
            }
            if text[spot] & 2 != 0 {
                depth += 1;
                if depth == 2 {
                    (start, wanted) = (spot, false);
                }
                continue;
            }
            depth -= 1;
            if depth == 1 && wanted {
                images.push(&text[start..=spot]);
            } else if depth == 0 {
                self.spots = &self.spots[number + 1..];
                self.images = Some(images);
                self.leave_out(open, spot);
                return Some(());
            }
        }
        None
    }
}

/// Whether an odd number of backslashes stands before this place.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Whether one of the words occurs in a text, in any case.
fn mentions(text: &[u8], words: &[impl AsRef<str>]) -> bool {
    words.iter().any(|word| {
        let word = word.as_ref().as_bytes();
        if word.is_empty() {
            return false;
        }
        // A stretch begins before the last one's end, so that no word lies across.
        (0..text.len()).step_by(STRETCH).any(|at| {
            let stretch = &text[at..text.len().min(at + STRETCH + word.len())];
            may_mention(stretch, word) && stretch.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
        })
    })
}

/// Whether the second to fourth letter of a word occur, or what looks like them: a loop without branches, for vector instructions.
fn may_mention(text: &[u8], word: &[u8]) -> bool {
    let Some(letters) = word.get(1..4) else { return true };
    let letters = [letters[0] | 0x20, letters[1] | 0x20, letters[2] | 0x20];
    let length = text.len().saturating_sub(2);
    let (Some(second), Some(third)) = (text.get(1..), text.get(2..)) else { return false };
    let (first, second, third) = (&text[..length], &second[..length], &third[..length]);
    let mut found = 0;
    for i in 0..length {
        found |=
            u8::from(first[i] | 0x20 == letters[0]) & u8::from(second[i] | 0x20 == letters[1]) & u8::from(third[i] | 0x20 == letters[2]);
    }
    found != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn brackets_differ_by_a_bit() {
        assert_eq!([b'{', b'['].map(|open| open & 2), [2, 2]);
        assert_eq!([b'}', b']'].map(|close| close & 2), [0, 0]);
    }

    proptest! {
        #[test]
        fn words_are_found_anywhere(before in "[robtsROBTS\\\\u0 -]{0,600}", after in "[robtsROBTS -]{0,300}", put in any::<bool>()) {
            let text = if put { format!("{before}RoBoTs{after}") } else { before + &after };
            let lower = text.to_ascii_lowercase();
            prop_assert_eq!(mentions(text.as_bytes(), &METAS), METAS.iter().any(|word| lower.contains(word)));
        }
    }
}
