//! Reads a MediaWiki XML dump, plain or bzip2, on several threads.
//!
//! Each thread takes the next piece of the file, decompresses it, and reads the pages that lie wholly in it. What is left at both ends
//! is joined with the neighbours' in file order ([`Seams`]) and read by whoever completed it. So all threads decompress and read,
//! nothing is handed over but the ends of pieces, and memory holds a few pieces for each thread, whatever the file.

use crate::Error;
use crate::dump_head::DumpHead;
use crate::dump_page::{Article, DumpCounts, read_pages};
use crate::dump_source::{Piece, Place, Source, Unpacker};
use memchr::memmem;
use shards::Meter;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};

/// The longest page, in bytes of XML: eight times what is kept of its text.
const MAX_PAGE: usize = 64 << 20;
/// Pieces for each thread that may wait for an earlier one.
const AHEAD: u64 = 8;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DumpRead {
    pub(crate) counts: DumpCounts,
    /// BLAKE3 of the file, in hex.
    pub(crate) hash: String,
}

/// Gives every article of a dump to one of the workers, each of which has a thread of its own; the order is not defined.
///
/// `meter` counts bytes of the file as it lies on disk.
///
/// # Errors
/// `NotADump` or `Dump` for a bad file, `Shards` when it cannot be read, and whatever `take` answers.
pub(crate) fn read_dump<W: Send>(
    path: &Path,
    workers: &mut [W],
    meter: &Meter,
    take: impl Fn(&mut W, &DumpHead, Article) -> Result<(), Error> + Sync,
) -> Result<DumpRead, Error> {
    let head = DumpHead::read(path)?;
    let threads = workers.len() as u64;
    let reading = Reading {
        path,
        meter,
        ahead: AHEAD * threads,
        source: Mutex::new(Some(Source::open(path)?)),
        seams: Mutex::new(Seams::default()),
        moved: Condvar::new(),
        outcome: Mutex::new(Outcome::default()),
    };
    std::thread::scope(|scope| {
        for worker in workers.iter_mut() {
            let (reading, head, take) = (&reading, &head, &take);
            scope.spawn(move || reading.work(&mut |article| take(worker, head, article)));
        }
    });
    reading.finish(|article| match workers.first_mut() {
        Some(worker) => take(worker, &head, article),
        None => Ok(()),
    })
}

/// What all threads share.
struct Reading<'a> {
    path: &'a Path,
    meter: &'a Meter,
    ahead: u64,
    /// `None` once it has ended or failed.
    source: Mutex<Option<Source>>,
    seams: Mutex<Seams>,
    /// Told whenever the seams have moved on.
    moved: Condvar,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    counts: DumpCounts,
    hash: String,
    length: u64,
    /// Of several, the one nearest to the file's beginning.
    error: Option<(u64, Error)>,
}

/// A poisoned lock means that another worker panicked, and the scope passes that panic on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

type Take<'t> = dyn FnMut(Article) -> Result<(), Error> + 't;

impl Reading<'_> {
    fn work(&self, take: &mut Take<'_>) {
        let ending = Ending(self);
        let mut unpacker = Unpacker::default();
        loop {
            match self.step(&mut unpacker, take) {
                Ok(true) => {}
                Ok(false) => return std::mem::forget(ending),
                Err((number, error)) => return self.fail(number, error),
            }
        }
    }

    /// Keeps the error that stands first in the file.
    fn fail(&self, number: u64, error: Error) {
        let mut outcome = lock(&self.outcome);
        if outcome.error.as_ref().is_none_or(|(first, _)| *first > number) {
            outcome.error = Some((number, error));
        }
    }

    /// The next piece of the file; `None` at its end.
    fn next(&self) -> Option<Piece> {
        let mut slot = lock(&self.source);
        let source = slot.as_mut()?;
        match source.next() {
            Ok(Some(piece)) => return Some(piece),
            Ok(None) => {
                let mut outcome = lock(&self.outcome);
                (outcome.hash, outcome.length) = (source.hash(), source.position());
            }
            // What stands before it is read all the same: an error there comes first.
            Err(error) => self.fail(u64::MAX, error),
        }
        *slot = None;
        None
    }

    /// Takes one piece, and does all that the one before it makes possible; false at the end. Errors come with the piece's number.
    fn step(&self, unpacker: &mut Unpacker, take: &mut Take<'_>) -> Result<bool, (u64, Error)> {
        let piece = self.next();
        let more = piece.is_some();
        if let Some((piece, xml)) = unpacker.push(piece, self.path) {
            self.piece(&piece, xml, take).map_err(|error| (piece.number, error))?;
        }
        // The first piece comes out with the second.
        Ok(more)
    }

    /// Reads a piece and what it completes.
    fn piece(&self, piece: &Piece, xml: Result<Vec<u8>, Error>, take: &mut Take<'_>) -> Result<(), Error> {
        let xml = xml?;
        let (middle, fragment) = cut(&xml, piece.place);
        self.read(&xml[middle.clone()], piece.place.plus(middle.start), take)?;
        drop(xml);
        for span in self.join(piece.number, fragment)? {
            self.read(&span.xml, span.place, take)?;
        }
        self.meter.add(piece.length);
        Ok(())
    }

    /// Reads whole pages.
    fn read(&self, xml: &[u8], place: Place, take: &mut Take<'_>) -> Result<(), Error> {
        let mut refused = Ok(());
        let counts = read_pages(xml, |article| {
            if refused.is_ok() {
                refused = take(article);
            }
        });
        refused?;
        let counts = counts.map_err(|bad| place.plus(bad.at).damaged(self.path, bad.why))?;
        let mut outcome = lock(&self.outcome);
        outcome.counts.add(counts);
        self.meter.say(format!("{} articles", outcome.counts.articles));
        Ok(())
    }

    /// Hands in a piece's ends; gives the pages that are whole now. Waits while this thread is far ahead of the slowest.
    fn join(&self, number: u64, fragment: Fragment) -> Result<Vec<Span>, Error> {
        let mut seams = lock(&self.seams);
        let spans = seams.add(number, fragment);
        self.moved.notify_all();
        let far = |seams: &mut Seams| !seams.failed && number > seams.next + self.ahead;
        let seams = self.moved.wait_while(seams, far).unwrap_or_else(|poisoned| poisoned.into_inner());
        if seams.carry.len() > MAX_PAGE {
            return Err(seams.place().damaged(self.path, format!("a page has more than {MAX_PAGE} bytes")));
        }
        Ok(spans)
    }

    /// Reads what follows the last piece's last page, and gives the result.
    fn finish(self, mut take: impl FnMut(Article) -> Result<(), Error>) -> Result<DumpRead, Error> {
        let mut outcome = std::mem::take(&mut *lock(&self.outcome));
        if let Some((_, error)) = outcome.error.take() {
            return Err(error);
        }
        let seams = std::mem::take(&mut *lock(&self.seams));
        let place = seams.place();
        let Some(rest) = seams.carry.trim_ascii_end().strip_suffix(b"</mediawiki>") else {
            let why = "the XML breaks off before </mediawiki>".to_string();
            return Err(Error::Dump { path: self.path.to_path_buf(), offset: outcome.length, why });
        };
        let hash = std::mem::take(&mut outcome.hash);
        *lock(&self.outcome) = outcome;
        // A dump without any page is nothing but its head, which was read before.
        if seams.begun {
            self.read(rest, place, &mut take)?;
        }
        let counts = lock(&self.outcome).counts;
        Ok(DumpRead { counts, hash })
    }
}

/// Stops all threads when one ends before the file, be it by an error or by a panic: the others would wait for its piece.
struct Ending<'r, 'a>(&'r Reading<'a>);

impl Drop for Ending<'_, '_> {
    fn drop(&mut self) {
        *lock(&self.0.source) = None;
        lock(&self.0.seams).failed = true;
        self.0.moved.notify_all();
    }
}

/// The ends of a piece: up to its first page, and from its last whole page on.
struct Fragment {
    before: Vec<u8>,
    /// `None` when no page begins in the piece: all of it is in `before`.
    after: Option<(Vec<u8>, Place)>,
}

/// Finds the whole pages of a piece. In XML no `<` stands in text, so the marks are tags wherever they are found.
fn cut(xml: &[u8], place: Place) -> (std::ops::Range<usize>, Fragment) {
    let Some(start) = memmem::find(xml, b"<page>") else {
        return (0..0, Fragment { before: xml.to_vec(), after: None });
    };
    let end = memmem::rfind(xml, b"</page>").map_or(start, |end| (end + 7).max(start));
    (start..end, Fragment { before: xml[..start].to_vec(), after: Some((xml[end..].to_vec(), place.plus(end))) })
}

/// Pages that lay over the border of pieces.
struct Span {
    xml: Vec<u8>,
    place: Place,
}

/// Joins the ends of pieces in the order of the file.
#[derive(Default)]
struct Seams {
    next: u64,
    waiting: BTreeMap<u64, Fragment>,
    carry: Vec<u8>,
    /// Where `carry` begins.
    carried: Option<Place>,
    /// Whether the first page has been met: what stands before is the head.
    begun: bool,
    failed: bool,
}

impl Seams {
    fn place(&self) -> Place {
        self.carried.unwrap_or(Place { offset: 0, stream: 0, inner: 0 })
    }

    fn add(&mut self, number: u64, fragment: Fragment) -> Vec<Span> {
        self.waiting.insert(number, fragment);
        let mut spans = Vec::new();
        while let Some(Fragment { before, after }) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.carry.extend(before);
            if let Some((after, place)) = after {
                let span = Span { xml: std::mem::replace(&mut self.carry, after), place: self.place() };
                self.carried = Some(place);
                if std::mem::replace(&mut self.begun, true) && !span.xml.trim_ascii().is_empty() {
                    spans.push(span);
                }
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests;
