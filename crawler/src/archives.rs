//! Archives of the web as sources: the pages of WARC files, and of the WAT files that Common Crawl makes of them.
//!
//! A file is read in parts: each ends when it has as many pairs as a job may have, and says where the next one begins.

use crate::capture::{self, Capture};
use crate::page::{Page, Reading};
use crate::place::{Place, Places};
use crate::urls::web_url;
use crate::warc::{Position, Records};
use crate::{Error, wat};
use serde::{Deserialize, Serialize};
use std::io::{Chain, Cursor, Read};
use url::Url;

/// What the records of an archive hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveKind {
    /// Pages as servers sent them.
    Warc,
    /// Common Crawl's extract of them: links with their texts, as JSON.
    Wat,
}

impl ArchiveKind {
    /// The name in `--source` and in [`shards::Candidate`]'s `source`.
    pub fn name(self) -> &'static str {
        match self {
            ArchiveKind::Warc => "warc",
            ArchiveKind::Wat => "wat",
        }
    }

    /// What the names of its files end in.
    fn endings(self) -> &'static [&'static str] {
        match self {
            ArchiveKind::Warc => &[".warc", ".warc.gz"],
            ArchiveKind::Wat => &[".wat", ".wat.gz"],
        }
    }
}

/// The files that a source names, up to `limit`.
///
/// # Errors
/// `Archive` and `Missing` when a folder or list cannot be read, `Contact` for a list on a public server without one.
pub(crate) fn expand(places: &Places, kind: ArchiveKind, text: &str, limit: Option<u64>) -> Result<Vec<Part>, Error> {
    let files = places.expand(text, kind.name(), kind.endings())?;
    let alone = files == [Place::parse(text)];
    let parts = files.into_iter().map(|place| {
        // A working folder may be another one tomorrow.
        let place = match place {
            Place::File(path) => Place::File(path.canonicalize().unwrap_or(path)),
            place => place,
        };
        Part { archive: place.to_string(), kind, alone, from: Position::default() }
    });
    Ok(parts.take(limit.map_or(usize::MAX, |limit| limit as usize)).collect())
}

/// What is left of a file from a position: the input of a `Plan` job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Path or address.
    pub(crate) archive: String,
    pub(crate) kind: ArchiveKind,
    /// Whether the user named this very file: then there must be an archive. One of thousands in a list may be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) alone: bool,
    #[serde(flatten)]
    pub(crate) from: Position,
}

/// A page of an archive.
pub(crate) struct Captured {
    pub(crate) page: Page,
    pub(crate) url: Url,
    /// When it was fetched, in milliseconds since 1970 UTC; 0 when its record does not say.
    pub(crate) found_ms: i64,
}

/// What a record came to.
pub(crate) enum Item {
    Page(Box<Captured>),
    /// A record of another kind.
    Other,
    /// A record that cannot be read, and why.
    Damaged(&'static str),
}

/// A file whose first bytes were looked at.
type Input = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// Reads the pages of a part.
pub(crate) struct Pages {
    /// Whether it is read from its beginning.
    from_start: bool,
    records: Records<Input>,
    part: Part,
    enough: u32,
    also: Vec<String>,
}

impl Pages {
    /// Opens the file of a part; `None` when it is one of several and not there. Pages are read as a [`Reading`] with `enough` and `also` is.
    ///
    /// # Errors
    /// As [`Places::open`].
    pub(crate) fn open(places: &Places, part: Part, enough: u32, also: &[String]) -> Result<Option<Self>, Error> {
        let place = Place::parse(&part.archive);
        let input = match places.open(&place, part.from.offset) {
            Ok(input) => input,
            Err(Error::Missing { place }) if !part.alone => {
                tracing::warn!(place, "there is no such archive");
                return Ok(None);
            }
            Err(Error::Missing { .. }) if place.is_many() => {
                let why =
                    "there is no such file; folders and patterns are read on this machine only, of files elsewhere a list (.paths, .txt)";
                return Err(Error::Archive { place: part.archive, why: why.to_string() });
            }
            Err(error) => return Err(error),
        };
        let records = Records::new(input, part.from, place.is_packed()).map_err(|error| broken(&part, &error))?;
        let from_start = part.from.offset == 0 && part.from.skip == 0;
        Ok(Some(Pages { from_start, records, part, enough, also: also.to_vec() }))
    }

    /// What is left of the file.
    pub(crate) fn rest(&mut self) -> Part {
        Part { from: self.records.position(), ..self.part.clone() }
    }

    /// Records passed over so far: damaged ones, and those too long to be read.
    pub(crate) fn passed_over(&self) -> (u64, u64) {
        (self.records.damaged, self.records.oversize)
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// `Archive` when the file cannot be read, and when one that was named alone holds no record.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Error> {
        let Some(record) = self.records.next().map_err(|error| broken(&self.part, &error))? else { return self.end() };
        if self.part.kind == ArchiveKind::Wat && (record.field("WARC-Type") != Some("metadata") || !wat::has_images(record.block)) {
            return Ok(Some(Item::Other));
        }
        let uri = record.field("WARC-Target-URI").map(|uri| uri.trim_start_matches('<').trim_end_matches('>'));
        let Some(url) = uri.and_then(|uri| web_url(None, uri)) else { return Ok(Some(Item::Other)) };
        let record_ms = record.field("WARC-Date").and_then(milliseconds).unwrap_or(0);
        let page = match self.part.kind {
            ArchiveKind::Wat => match wat::read(record.block, &url, &self.also) {
                Some(Some(page)) => page,
                Some(None) => return Ok(Some(Item::Other)),
                None => return Ok(Some(Item::Damaged("json"))),
            },
            ArchiveKind::Warc => match capture::read(&record, &url, Reading { enough: self.enough, also: &self.also, links: None }) {
                Capture::Page(page) => *page,
                Capture::Other => return Ok(Some(Item::Other)),
                Capture::Damaged(why) => return Ok(Some(Item::Damaged(why))),
            },
        };
        // An extract is made later than the page was fetched.
        let found_ms = milliseconds(&page.fetched).unwrap_or(record_ms);
        Ok(Some(Item::Page(Box::new(Captured { page, url, found_ms }))))
    }

    /// The end of the file, which is none if it holds something else altogether.
    fn end(&self) -> Result<Option<Item>, Error> {
        if self.part.alone && self.from_start && self.records.whole + self.records.oversize == 0 {
            let why = "it holds no whole WARC record: expected heads that begin with WARC/1.0 or so, plain or in gzip members";
            return Err(Error::Archive { place: self.part.archive.clone(), why: why.to_string() });
        }
        Ok(None)
    }
}

fn broken(part: &Part, error: &std::io::Error) -> Error {
    Error::Archive { place: part.archive.clone(), why: error.to_string() }
}

/// Milliseconds since 1970 of a time such as `2026-01-31T12:30:00Z`; fractions of seconds are left out.
fn milliseconds(time: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok().filter(|number| *number >= 0);
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, with years that begin in March so that leap days come last.
    let years = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(milliseconds("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(milliseconds("2026-11-24T02:45:33.123456Z"), Some(1_795_488_333_000));
        for bad in ["", "2026", "2026-13-01T00:00:00Z", "2026-01-01", "abcd-01-01T00:00:00Z"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_are_written_flat() {
        let part =
            Part { archive: "a.wat.gz".into(), kind: ArchiveKind::Wat, alone: false, from: Position { offset: 7, skip: 2, packed: None } };
        let text = serde_json::to_string(&part).expect("written");
        assert_eq!(text, r#"{"archive":"a.wat.gz","kind":"wat","offset":7,"skip":2}"#);
        assert_eq!(serde_json::from_str::<Part>(&text).expect("read"), part);
        let later = Part { alone: true, from: Position { packed: Some(true), ..part.from }, ..part };
        let text = serde_json::to_string(&later).expect("written");
        assert_eq!(text, r#"{"archive":"a.wat.gz","kind":"wat","alone":true,"offset":7,"skip":2,"packed":true}"#);
        assert_eq!(serde_json::from_str::<Part>(&text).expect("read"), later);
    }
}
