//! Plan jobs: a stretch of a URL list or of an archive becomes a file of candidates, matched and counted before anything is fetched.
//!
//! So the counts of the cap are final when the first image of a finite source is asked for, and exactly the inside set is fetched.

use crate::Error;
use crate::archives::{Captured, Item, Pages, Part};
use crate::engine::{Engine, settle};
use crate::layout::{FetchPayload, payload, read_payload};
use crate::links::recorded_address;
use crate::offer::{Origin, candidates};
use crate::page::Place;
use crate::segment::{PLAN, write_plan};
use crate::summary::{NOT_UTF8, REPEATED, Tally};
use crate::urls::{Row, Rows, Stretch, read};
use serde::Deserialize;
use shards::{Candidate, Commit, Job, JobKind, NewJob, canonical_url, outcome};
use std::sync::Arc;
use std::time::Instant;

/// The input of a `Plan` job.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Part(Part),
    Stretch(Box<Stretch>),
}

/// Runs a `Plan` job; may block for as long as reading and matching 10,000 pairs takes.
///
/// # Errors
/// `List` and `Archive` when the source cannot be read, `Contact` for a public host without one, `Files` and `Ledger`.
pub(crate) fn run(engine: &Arc<Engine>, job: &Job) -> Result<Tally, Error> {
    match read_payload(job)? {
        Input::Stretch(stretch) => plan_stretch(engine, job, &stretch),
        Input::Part(part) => plan_part(engine, job, part),
    }
}

fn plan_stretch(engine: &Arc<Engine>, job: &Job, stretch: &Stretch) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let mut candidates = Vec::with_capacity(stretch.rows as usize);
    let Rows { rows, not_utf8 } = read(stretch)?;
    tally.rows = rows.len() as u64;
    if not_utf8 > 0 {
        tally.outcomes.insert(NOT_UTF8.to_string(), not_utf8);
    }
    for row in rows {
        match row {
            Row::Bad(why) => tally.count(format!("row:{why}")),
            Row::Pair(candidate) => match engine.claim(*candidate, &mut tally) {
                Some(candidate) => candidates.push(candidate),
                None => tally.count("row:duplicate_url"),
            },
        }
    }
    commit(engine, job, candidates, None, &tally)?;
    engine.meter.add(stretch.rows);
    Ok(tally)
}

/// Reads pages of an archive until they give as many pairs as a job may have; what is left becomes a job of its own.
fn plan_part(engine: &Arc<Engine>, job: &Job, part: Part) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let source = format!("{}:{}", part.kind.name(), part.archive);
    let Some(mut pages) = Pages::open(&engine.places, part, engine.enough(), engine.fetcher.also_obeyed())? else {
        tally.count("archive:missing");
        commit(engine, job, Vec::new(), None, &tally)?;
        return Ok(tally);
    };
    let sizes = &engine.options.sizes;
    let deadline = Instant::now() + sizes.time;
    let mut found: Vec<Candidate> = Vec::new();
    let (rest, (damaged, oversize)) = loop {
        let before = (pages.rest(), pages.passed_over());
        if tally.pages > 0 && Instant::now() > deadline {
            break (Some(before.0), before.1);
        }
        match pages.next()? {
            None => break (None, pages.passed_over()),
            Some(Item::Other) => {}
            Some(Item::Damaged(why)) => tally.count(format!("record:{why}")),
            Some(Item::Page(captured)) => {
                if !found.is_empty() && found.len() + captured.page.captions() > sizes.candidates {
                    // It is read again by the next job; nothing was taken of it.
                    break (Some(before.0), before.1);
                }
                take(engine, *captured, &source, &mut found, &mut tally);
            }
        }
    };
    for (why, count) in [("record:damaged", damaged), ("record:too_big", oversize)] {
        if count > 0 {
            *tally.outcomes.entry(why.to_string()).or_default() += count;
        }
    }
    engine.meter.add(found.len() as u64);
    commit(engine, job, found, rest, &tally)?;
    Ok(tally)
}

/// Takes the pairs of an archived page.
fn take(engine: &Arc<Engine>, captured: Captured, source: &str, found: &mut Vec<Candidate>, tally: &mut Tally) {
    let Captured { page, url, found_ms } = captured;
    let refusal = page.directives.refusal;
    tally.pages += 1;
    // The page may call itself otherwise than it was asked for. What cannot be read of takedowns is better left out.
    if !engine.removed().is_ok_and(|removed| removed.url(&canonical_url(&url)).is_none()) {
        return tally.count("page:removed");
    }
    tally.count(if refusal.is_some() { "page:opted_out" } else { "page:ok" });
    for (why, count) in [("image:no-caption", page.uncaptioned), ("image:json", page.unreadable)] {
        if count > 0 {
            *tally.outcomes.entry(why.to_string()).or_default() += count;
        }
    }
    let page_url = recorded_address(&url, page.canonical.as_ref());
    let origin = Origin { page_url: &page_url, source, found_ms, licence: &page.licence };
    for image in page.images {
        let Place::Url(url) = &image.place else {
            // Its bytes would have to be kept until the counts are final.
            tally.count("image:data");
            continue;
        };
        let image_url = canonical_url(url);
        for candidate in candidates(image, &image_url, origin) {
            match engine.claim(candidate, tally) {
                Some(mut candidate) => {
                    if let Some(why) = refusal.filter(|_| candidate.outcome.is_empty()) {
                        settle(&mut candidate, outcome::OPTED_OUT, &format!("page: {why}"));
                    }
                    found.push(candidate);
                }
                None => tally.count(REPEATED),
            }
        }
    }
}

/// Puts the candidates where a `Fetch` job will find them, and makes the job done.
fn commit(engine: &Arc<Engine>, job: &Job, candidates: Vec<Candidate>, rest: Option<Part>, tally: &Tally) -> Result<(), Error> {
    // A public image needs a contact, before anything is counted.
    for candidate in candidates.iter().filter(|candidate| candidate.outcome.is_empty()) {
        if let Ok(url) = url::Url::parse(&candidate.image_url) {
            engine.fetcher.require_contact(&url)?;
        }
    }
    engine.metrics.count_others(tally);
    let mut jobs = Vec::new();
    if !candidates.is_empty() {
        let source = job.source.to_string();
        write_plan(&engine.layout, job.id, PLAN, &[("source", &source)], candidates)?;
        jobs.push(NewJob { kind: JobKind::Fetch, payload: payload(&FetchPayload { plan: job.id })? });
    }
    if let Some(rest) = rest {
        jobs.push(NewJob { kind: JobKind::Plan, payload: payload(&rest)? });
    }
    let commit = Commit { jobs, ..tally.commit() };
    engine.ledger.commit(job, &commit).map_err(Error::ledger("commit a job"))
}
