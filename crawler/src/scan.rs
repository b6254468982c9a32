//! The pairs of finite sources, listed without a corpus: nothing is matched, fetched or kept.

use crate::archives::{self, Captured, Item, Pages};
use crate::columns::Asked;
use crate::engine::ENOUGH;
use crate::lines::Lines;
use crate::links::recorded_address;
use crate::page::Place as ImagePlace;
use crate::place::Places;
use crate::urls::{EMPTY, Row, cut, read};
use crate::{CrawlOptions, Error, Source, lists};
use shards::{Candidate, ImageId, PairId, canonical_url};
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
    /// Records, images of records, and rows that could not be read.
    pub damaged: u64,
    /// Archives of lists that are not there, and lists of a folder or pattern that cannot be read.
    pub missing: u64,
}

/// Writes the pairs of URL lists and archives to `out`, one JSON object a line, in the sources' order. Blocks.
///
/// # Errors
/// `Usage` for sources that only a crawl can read, `List`, `Archive`, `Missing` and `Contact` when one cannot be read, `Output` when
/// `out` refuses.
pub fn scan(options: &CrawlOptions, out: &mut dyn Write) -> Result<Scanned, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Worker(error.to_string()))?;
    let _inside = runtime.enter();
    let mut scan = Scan { options, places: Places::new(options)?, out, lines: Lines::default(), seen: Scanned::default() };
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
    lines: Lines,
    seen: Scanned,
}

impl Scan<'_> {
    fn lists(&mut self, path: &Path, url: Option<&str>, caption: Option<&str>) -> Result<(), Error> {
        let unpacked = tempfile::tempdir().map_err(Error::Output)?;
        let mut left = self.options.limit;
        let lists::Named { files, is_one } = lists::expand(path)?;
        for file in files {
            let stretches = match cut(&file, unpacked.path(), Asked { url, caption, hash: None }, left, ROWS) {
                Ok(stretches) if is_one && stretches.is_empty() => return Err(Error::List { path: file, why: EMPTY.to_string() }),
                Err(Error::List { path, why }) if !is_one => {
                    tracing::warn!(list = %path.display(), why, "left out a list that cannot be read");
                    self.seen.missing += 1;
                    continue;
                }
                stretches => stretches?,
            };
            for stretch in stretches {
                left = left.map(|left| left.saturating_sub(stretch.rows));
                for row in read(&stretch)?.rows {
                    self.seen.pages += 1;
                    match row {
                        Row::Pair(pair) => self.write(&pair, "")?,
                        Row::Bad(_) => self.seen.damaged += 1,
                    }
                }
            }
            if left == Some(0) {
                break;
            }
        }
        Ok(())
    }

    fn archive(&mut self, part: archives::Part) -> Result<(), Error> {
        let source = format!("{}:{}", part.kind.name(), part.archive);
        let Some(mut pages) = Pages::open(&self.places, part, ENOUGH * self.options.image_size, &self.options.also_obeyed())? else {
            self.seen.missing += 1;
            return Ok(());
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
        self.seen.damaged += page.unreadable;
        let page_url = recorded_address(&url, page.canonical.as_ref());
        let opt_out = page.directives.refusal.unwrap_or_default();
        self.lines.begin_page(&page_url, source, found_ms);
        for image in &page.images {
            let image_url = match &image.place {
                ImagePlace::Url(url) => canonical_url(url),
                ImagePlace::Data(bytes) => format!("data:{}", ImageId::of(bytes)),
            };
            let licence = if image.licence.is_empty() { &page.licence } else { &image.licence };
            self.lines.begin_image(&image_url, &image.nearby, licence, &image.author, opt_out);
            for (field, caption) in &image.captions {
                self.seen.pairs += 1;
                self.lines.pair(caption, field, PairId::new(&image_url, caption));
            }
        }
        self.put()
    }

    fn write(&mut self, pair: &Candidate, opt_out: &str) -> Result<(), Error> {
        self.seen.pairs += 1;
        self.lines.begin_page(&pair.page_url, &pair.source, pair.found_ms);
        self.lines.begin_image(&pair.image_url, &pair.nearby, &pair.licence, &pair.author, opt_out);
        self.lines.pair(&pair.caption, &pair.field, pair.pair_id);
        self.put()
    }

    fn put(&mut self) -> Result<(), Error> {
        self.out.write_all(self.lines.done()).map_err(Error::Output)
    }
}
