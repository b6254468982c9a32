//! What a job gives: a tar of images, its rows, and the decision on every candidate, all in place before the job is done.
//!
//! Files appear under their names first, then one transaction of the ledger makes them count; what lies there without a
//! commit is swept at the next start.

use crate::Error;
use crate::ingest::Ingested;
use crate::layout::{Layout, job_of, sample_key};
use crate::seen::tables;
use rustc_hash::FxHashSet;
use shards::{Candidate, PoolRow, SegmentTotals, TableReader, TableWriter, TarWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Images waiting to be written; with the usual 30 KB each, 2 MB.
const QUEUE: usize = 64;

/// Makes the segment count, in one transaction.
pub(crate) type CommitStep = Box<dyn FnOnce(&SegmentTotals) -> Result<(), Error> + Send>;

enum Entry {
    /// A stored image and the pairs that it belongs to.
    Image(Vec<Candidate>, Box<Ingested>),
    /// The end of the job.
    Finish(Box<Finish>),
}

/// What the end of a job needs.
pub(crate) struct Finish {
    /// Every pair that the job decided.
    pub(crate) candidates: Vec<Candidate>,
    /// Notes of the candidates table.
    pub(crate) notes: Vec<(&'static str, String)>,
    /// Pairs that are left to a later job, written as a plan file unless empty.
    pub(crate) rest: Vec<Candidate>,
    /// The last step.
    pub(crate) commit: CommitStep,
}

/// Writes a job's segment on a thread of its own. Dropped unfinished, it leaves no file.
pub(crate) struct SegmentWriter {
    sender: SegmentSender,
    thread: JoinHandle<Result<SegmentTotals, Error>>,
}

/// The end at which images are handed in; one for each fetch.
#[derive(Clone)]
pub(crate) struct SegmentSender {
    sender: mpsc::Sender<Entry>,
    size: Arc<AtomicU64>,
}

impl SegmentSender {
    /// Hands in an image; `false` when the writer has failed, which [`SegmentWriter::finish`] explains.
    pub(crate) async fn send(&self, pairs: Vec<Candidate>, image: Ingested) -> bool {
        self.sender.send(Entry::Image(pairs, Box::new(image))).await.is_ok()
    }

    /// Bytes of the tar so far.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }
}

impl SegmentWriter {
    /// Begins the segment of `job`. `held` lives as long as the thread does.
    pub(crate) fn start(layout: Layout, job: u64, held: impl Send + 'static) -> Self {
        let (sender, mut entries) = mpsc::channel(QUEUE);
        let size = Arc::new(AtomicU64::new(0));
        let written = size.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let mut segment = Segment { layout, job, tar: None, rows: Vec::new() };
            let result = loop {
                match entries.blocking_recv() {
                    Some(Entry::Image(pairs, image)) => {
                        if let Err(error) = segment.append(&pairs, &image) {
                            break Err(error);
                        }
                        written.store(segment.tar.as_ref().map_or(0, TarWriter::size), Ordering::Relaxed);
                    }
                    Some(Entry::Finish(finish)) => break segment.finish(*finish),
                    None => break Err(Error::Worker("the job was given up".to_string())),
                }
            };
            drop(held);
            result
        });
        SegmentWriter { sender: SegmentSender { sender, size }, thread }
    }

    /// The end at which images are handed in.
    pub(crate) fn sender(&self) -> SegmentSender {
        self.sender.clone()
    }

    /// Puts all files in place and commits.
    ///
    /// # Errors
    /// `Files` on a full disk or the like, `Ledger` when the commit is refused; none of the files counts then.
    pub(crate) async fn finish(self, finish: Finish) -> Result<SegmentTotals, Error> {
        // When the thread has failed already, its own answer says why.
        let _ = self.sender.sender.send(Entry::Finish(Box::new(finish))).await;
        drop(self.sender);
        self.thread.await?
    }
}

struct Segment {
    layout: Layout,
    job: u64,
    /// Begun with the first image.
    tar: Option<TarWriter>,
    rows: Vec<PoolRow>,
}

impl Segment {
    /// Writes an image once for each of its pairs: every sample of the tar stands alone, as readers of tars expect.
    fn append(&mut self, pairs: &[Candidate], image: &Ingested) -> Result<(), Error> {
        let tar = match &mut self.tar {
            Some(tar) => tar,
            none => none.insert(TarWriter::create(&self.layout.tar(self.job))?),
        };
        for pair in pairs {
            let key = sample_key(self.job, self.rows.len());
            let mut row = PoolRow {
                url: pair.image_url.clone(),
                caption: pair.caption.clone(),
                key,
                status: "success".to_string(),
                width: image.sides.0,
                height: image.sides.1,
                original_width: image.original.0,
                original_height: image.original.1,
                sha256: Some(image.sha256.clone()),
                pair_id: pair.pair_id,
                image_id: image.image_id,
                page_url: pair.page_url.clone(),
                query_ids: pair.query_ids.clone(),
                pixel_hash: image.measures.pixel_hash.clone(),
                perceptual_hash: image.measures.perceptual_hash,
                thumbnail: image.measures.thumbnail.clone(),
                flatness: image.measures.flatness,
                image_offset: 0,
                image_length: 0,
                text_offset: 0,
                text_length: 0,
                json_offset: 0,
                json_length: 0,
            };
            let picture = tar.append(&format!("{}.{}", row.key, image.format), &image.bytes)?;
            let text = tar.append(&format!("{}.txt", row.key), row.caption.as_bytes())?;
            let json = tar.append(&format!("{}.json", row.key), row.record(pair).as_bytes())?;
            (row.image_offset, row.image_length) = (picture.offset, picture.length);
            (row.text_offset, row.text_length) = (text.offset, text.length);
            (row.json_offset, row.json_length) = (json.offset, json.length);
            self.rows.push(row);
        }
        Ok(())
    }

    fn finish(self, finish: Finish) -> Result<SegmentTotals, Error> {
        let (layout, job) = (self.layout.clone(), self.job);
        let done = self.put_in_place(finish);
        if done.is_err() {
            // They do not count; taking them away now only spares the next start the sweep.
            for path in [layout.tar(job), layout.pool(job), layout.candidates(job), layout.plan(job)] {
                let _ = std::fs::remove_file(path);
            }
        }
        done
    }

    fn put_in_place(self, finish: Finish) -> Result<SegmentTotals, Error> {
        let mut totals = SegmentTotals { candidates: finish.candidates.len() as u64, pairs: self.rows.len() as u64, bytes: 0 };
        let notes: Vec<(&str, &str)> = finish.notes.iter().map(|(key, value)| (*key, value.as_str())).collect();
        if let Some(tar) = self.tar {
            totals.bytes = tar.finish()?;
            TableWriter::write_all(&self.layout.pool(self.job), &notes, self.rows)?;
        }
        TableWriter::write_all(&self.layout.candidates(self.job), &notes, finish.candidates)?;
        if !finish.rest.is_empty() {
            write_plan(&self.layout, self.job, REST, &notes, finish.rest)?;
        }
        (finish.commit)(&totals)?;
        Ok(totals)
    }
}

/// Marks of plan files, in their note `made-by`.
pub(crate) const PLAN: &str = "plan";
/// See [`PLAN`].
pub(crate) const REST: &str = "rest";

/// Writes pairs that a later job will decide.
pub(crate) fn write_plan(layout: &Layout, job: u64, made_by: &str, notes: &[(&str, &str)], rows: Vec<Candidate>) -> Result<(), Error> {
    let notes: Vec<(&str, &str)> = notes.iter().copied().chain([("made-by", made_by)]).collect();
    TableWriter::write_all(&layout.plan(job), &notes, rows)?;
    Ok(())
}

/// Removes what unfinished jobs left: temporary files, segments without a commit, plan files of jobs that will be done
/// again, and plan files whose pairs have been decided.
///
/// # Errors
/// `Files` when a leftover cannot be read or removed, and when there are files of jobs that the catalogue never had.
pub(crate) fn sweep(layout: &Layout, newest: u64, committed: &FxHashSet<u64>, open_plans: &FxHashSet<u64>) -> Result<(), Error> {
    let folders = ["pool", "candidates", "plans"].map(|folder| layout.folder(folder));
    shards::leftovers(&folders[2..], newest, |_| true)?;
    let left = shards::leftovers(&folders[..2], newest, |job| committed.contains(&job))?;
    for folder in &folders {
        shards::remove_temporaries(folder)?;
    }
    left.iter().try_for_each(|path| remove(path))?;
    let plans = tables(&layout.folder("plans"))?;
    let mut decided = FxHashSet::default();
    if !plans.is_empty() {
        for path in tables(&layout.folder("candidates"))? {
            decided.extend(TableReader::<Candidate>::open(&path)?.note("plan").and_then(|plan| plan.parse::<u64>().ok()));
        }
    }
    for path in plans {
        let Some(job) = job_of(&path) else { continue };
        let by_rest = TableReader::<Candidate>::open(&path)?.note("made-by") == Some(REST);
        let unfinished = if by_rest { !committed.contains(&job) } else { open_plans.contains(&job) };
        if unfinished || decided.contains(&job) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    tracing::debug!(path = %path.display(), "swept a leftover");
    Ok(std::fs::remove_file(path).map_err(shards::Error::io("remove", path))?)
}
