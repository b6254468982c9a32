//! URL lists as sources: each list is one, whose rows are recorded as plan jobs; one that has changed since is planned again.

use crate::columns::Asked;
use crate::layout::{payload, read_payload};
use crate::urls::{self, EMPTY, Stretch};
use crate::{CrawlOptions, Error, Ledger, lists};
use shards::{Commit, Job, JobKind, NewJob};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The kind of a list's source.
const KIND: &str = "urls";
/// The state of a source of which nothing is recorded.
const NEW: &str = "new";
/// The state of a source whose rows are being planned.
pub(crate) const PLANNING: &str = "planning";

/// The lists of a source.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) lists: Vec<List>,
    /// Files of a folder or pattern that cannot be read.
    pub(crate) unreadable: u64,
}

/// A list in the catalogue.
pub(crate) struct List {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) state: String,
    /// Plan jobs that are still to be done, leased.
    pub(crate) plans: VecDeque<Job>,
}

/// The folder of unpacked lists.
pub(crate) fn unpacked(options: &CrawlOptions) -> PathBuf {
    options.corpus.join("lists")
}

/// Opens each list that `path` names, up to the limit of rows in all. A list that cannot be read is passed over in a folder or pattern.
///
/// # Errors
/// `List` when the list that is named itself cannot be read or has no rows, or a folder or pattern names none; `Files` and `Ledger`.
pub(crate) fn open(path: &Path, asked: Asked<'_>, options: &CrawlOptions, ledger: &dyn Ledger) -> Result<Opened, Error> {
    let lists::Named { files, is_one } = match lists::expand(path) {
        // Its rows are planned, and what is left of them is taken up without it.
        Err(Error::List { why, .. }) if is_planned_and_gone(path, asked, options, ledger)? => {
            tracing::warn!(list = %path.display(), why, "the list is gone; it was read before");
            return Ok(Opened::default());
        }
        named => named?,
    };
    let mut left = options.limit;
    let mut opened = Opened::default();
    for file in files {
        if left == Some(0) {
            break;
        }
        match open_one(&file, asked, left, is_one, options, ledger) {
            Ok((list, rows)) => {
                opened.lists.push(list);
                left = left.map(|left| left.saturating_sub(rows));
            }
            Err(Error::List { path, why }) if !is_one => {
                tracing::warn!(list = %path.display(), why, "left out a list that cannot be read");
                opened.unreadable += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(opened)
}

/// Opens a list; gives the rows that count against a limit too. Nothing is recorded of one that cannot be read.
fn open_one(
    path: &Path,
    asked: Asked<'_>,
    limit: Option<u64>,
    is_one: bool,
    options: &CrawlOptions,
    ledger: &dyn Ledger,
) -> Result<(List, u64), Error> {
    let location = location(path, asked, limit);
    let planned = planned(&location, ledger)?;
    let now = std::fs::metadata(path).map_err(|error| Error::List { path: path.to_path_buf(), why: error.to_string() })?.len();
    let before = planned.as_ref().and_then(Stretch::size_then).filter(|&before| before != now);
    let is_planned = planned.is_some() && before.is_none();
    // Under a limit its rows are counted each time, for the lists after it.
    let cut = || urls::cut(path, &unpacked(options), asked, limit, options.sizes.candidates as u64);
    let stretches = if is_planned && limit.is_none() { Vec::new() } else { cut()? };
    if is_one && !is_planned && stretches.is_empty() {
        return Err(Error::List { path: path.to_path_buf(), why: EMPTY.to_string() });
    }
    let (id, mut state) = ledger.source(KIND, &location).map_err(Error::ledger("open a source"))?;
    if !is_planned {
        if let Some(before) = before {
            tracing::warn!(list = %path.display(), before, now, "a list has another size than when it was read: all its rows are planned \
                again, those seen before count as duplicates");
        }
        let jobs: Result<Vec<NewJob>, Error> =
            stretches.iter().map(|stretch| Ok(NewJob { kind: JobKind::Plan, payload: payload(stretch)? })).collect();
        ledger.add_jobs(id, &jobs?, PLANNING).map_err(Error::ledger("record jobs"))?;
        state = PLANNING.to_string();
    }
    let plans = without_stale(lease_plans(id, ledger)?, now, ledger)?;
    let rows = stretches.iter().map(|stretch| stretch.rows).sum();
    Ok((List { id, path: path.to_path_buf(), state, plans }, rows))
}

/// Whether a list that is no longer there was read to its end.
fn is_planned_and_gone(path: &Path, asked: Asked<'_>, options: &CrawlOptions, ledger: &dyn Ledger) -> Result<bool, Error> {
    let path = settled(path);
    if path.exists() {
        return Ok(false);
    }
    let known = ledger.find_source(KIND, &location(&path, asked, options.limit)).map_err(Error::ledger("find a source"))?;
    Ok(known.is_some_and(|(_, state)| state != NEW && state != PLANNING))
}

/// The path by which a file is recorded, links and dots resolved, also if the file is there no more.
pub(crate) fn settled(path: &Path) -> PathBuf {
    let folder = || path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).canonicalize().ok();
    let gone = || Some(folder()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(gone).unwrap_or_else(|| path.to_path_buf())
}

/// The location of a list's source. Other columns or another limit make another source; rows that both have are seen once.
fn location(path: &Path, asked: Asked<'_>, limit: Option<u64>) -> String {
    let columns = [("url", asked.url), ("caption", asked.caption)];
    let columns = columns.into_iter().filter_map(|(name, column)| Some(format!("{name}={}", column?)));
    let parts: Vec<String> = columns.chain(limit.map(|limit| format!("rows={limit}"))).collect();
    let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
    format!("{}{query}", path.display())
}

/// The newest stretch that was planned of a source; `None` when there is none.
fn planned(location: &str, ledger: &dyn Ledger) -> Result<Option<Stretch>, Error> {
    let known = ledger.find_source(KIND, location).map_err(Error::ledger("find a source"))?;
    let Some((id, _)) = known.filter(|(_, state)| state != NEW) else { return Ok(None) };
    let newest = ledger.newest_plan(id).map_err(Error::ledger("find a job"))?;
    Ok(newest.and_then(|payload| serde_json::from_str(&payload).ok()))
}

/// Leases the plan jobs of a source that are open.
pub(crate) fn lease_plans(id: u64, ledger: &dyn Ledger) -> Result<VecDeque<Job>, Error> {
    let mut plans = VecDeque::new();
    while let Some(job) = ledger.next_job(id, JobKind::Plan).map_err(Error::ledger("lease a job"))? {
        plans.push_back(job);
    }
    Ok(plans)
}

/// Ends jobs of a list as it was before it changed: jobs of the list as it is now have their rows too.
fn without_stale(plans: VecDeque<Job>, now: u64, ledger: &dyn Ledger) -> Result<VecDeque<Job>, Error> {
    let mut current = VecDeque::new();
    for job in plans {
        let stretch: Stretch = read_payload(&job)?;
        if stretch.size_then().is_none_or(|then| then == now) {
            current.push_back(job);
        } else {
            ledger.commit(&job, &Commit::default()).map_err(Error::ledger("end a job"))?;
        }
    }
    Ok(current)
}
