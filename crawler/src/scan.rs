//! The pairs of finite sources, listed without a corpus: nothing is matched, fetched or kept.

use crate::archives::{self, Captured, Item, Pages};
use crate::engine::ENOUGH;
use crate::offer::{Origin, candidates};
use crate::page::Place as ImagePlace;
use crate::place::Places;
use crate::urls::{Row, cut, read};
use crate::{CrawlOptions, Error, Source, lists};
use serde::Serialize;
use shards::{Candidate, ImageId, canonical_url};
use std::io::Write;
use std::path::Path;

/// Rows of a list read at a time.
const ROWS: u64 = 10_000;

/// What was seen in sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Pairs listed; one that occurs twice counts twice.
    pub pairs: u64,
    /// Pages with at least one image, and rows of lists.
    pub pages: u64,
    /// Records and rows that could not be read.
    pub damaged: u64,
    /// Files that were named but are not there.
    pub missing: u64,
}

/// A line of output.
#[derive(Serialize)]
struct Line<'a> {
    url: &'a str,
    caption: &'a str,
    field: &'a str,
    page_url: &'a str,
    source: &'a str,
    found_ms: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    nearby: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    licence: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    opt_out: &'a str,
    pair_id: String,
}

/// Writes the pairs of URL lists and archives to `out`, one JSON object a line, in the sources' order. Blocks.
///
/// # Errors
/// `Usage` for sources that only a crawl can read, `List`, `Archive` and `Contact` when one cannot be read, `Output` when `out` refuses.
pub fn scan(options: &CrawlOptions, out: &mut dyn Write) -> Result<Scanned, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Worker(error.to_string()))?;
    let _inside = runtime.enter();
    let mut scan = Scan { options, places: Places::new(options)?, out, seen: Scanned::default() };
    for source in &options.sources {
        match source {
            Source::Urls { path, url, caption } => scan.lists(path, url.as_deref(), caption.as_deref())?,
            Source::Archive { kind, place } => {
                for part in archives::expand(&scan.places, *kind, place, options.limit)? {
                    scan.archive(part)?;
                }
            }
            _ => return Err(Error::Usage("only urls:, warc: and wat: sources can be listed; crawl the others".to_string())),
        }
    }
    scan.out.flush().map_err(Error::Output)?;
    Ok(scan.seen)
}

struct Scan<'a> {
    options: &'a CrawlOptions,
    places: Places,
    out: &'a mut dyn Write,
    seen: Scanned,
}

impl Scan<'_> {
    fn lists(&mut self, path: &Path, url: Option<&str>, caption: Option<&str>) -> Result<(), Error> {
        let unpacked = tempfile::tempdir().map_err(Error::Output)?;
        let mut left = self.options.limit;
        for file in lists::expand(path)? {
            for stretch in cut(&file, unpacked.path(), url, caption, left, ROWS)? {
                left = left.map(|left| left.saturating_sub(stretch.rows));
                for row in read(&stretch)? {
                    self.seen.pages += 1;
                    match row {
                        Row::Pair(pair) => self.write(&pair, "")?,
                        Row::Bad(_) => self.seen.damaged += 1,
                    }
                }
            }
        }
        Ok(())
    }

    fn archive(&mut self, part: archives::Part) -> Result<(), Error> {
        let source = format!("{}:{}", part.kind.name(), part.archive);
        let mut pages = match Pages::open(&self.places, part, ENOUGH * self.options.image_size) {
            Err(Error::Missing { place }) => {
                tracing::warn!(place, "there is no such archive");
                self.seen.missing += 1;
                return Ok(());
            }
            pages => pages?,
        };
        while let Some(item) = pages.next()? {
            match item {
                Item::Page(captured) => self.page(*captured, &source)?,
                Item::Damaged(_) => self.seen.damaged += 1,
                Item::Other => {}
            }
        }
        let (damaged, oversize) = pages.passed_over();
        self.seen.damaged += damaged + oversize;
        Ok(())
    }

    fn page(&mut self, captured: Captured, source: &str) -> Result<(), Error> {
        let Captured { page, url, found_ms } = captured;
        self.seen.pages += 1;
        let page_url = canonical_url(&url);
        let origin = Origin { page_url: &page_url, source, found_ms, licence: &page.licence };
        for image in page.images {
            let image_url = match &image.place {
                ImagePlace::Url(url) => canonical_url(url),
                ImagePlace::Data(bytes) => format!("data:{}", ImageId::of(bytes)),
            };
            for pair in candidates(image, &image_url, origin) {
                self.write(&pair, page.directives.refusal.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn write(&mut self, pair: &Candidate, opt_out: &str) -> Result<(), Error> {
        self.seen.pairs += 1;
        let line = Line {
            url: &pair.image_url,
            caption: &pair.caption,
            field: &pair.field,
            page_url: &pair.page_url,
            source: &pair.source,
            found_ms: pair.found_ms,
            nearby: &pair.nearby,
            licence: &pair.licence,
            author: &pair.author,
            opt_out,
            pair_id: pair.pair_id.to_string(),
        };
        serde_json::to_writer(&mut *self.out, &line).map_err(|error| Error::Output(error.into()))?;
        self.out.write_all(b"\n").map_err(Error::Output)
    }
}
