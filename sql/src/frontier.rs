//! The frontier in the catalogue: pages of the live web and requests to services, those that wait and what became of the others.
//!
//! Hosts take turns: the next page is one of the host that was asked least, and within a host the nearest to a seed come
//! first. `page_hosts`, kept by triggers, has the counts for it.

use crate::catalogue::{signed, statement, unsigned};
use crate::jobs::{job_pages, lease};
use crate::{Catalogue, Error};
use rusqlite::Transaction;
use shards::{Commit, Job, JobKind, PageLink};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The state of a source whose pages were put back into the frontier.
const RETRYING: &str = "retrying";
/// Pages looked at in one go at most while the order is brought up to date.
const MAX_LOOK: usize = 1 << 16;

impl Catalogue {
    /// Adds pages to the frontier of a source; those it knows are left as they are.
    ///
    /// # Errors
    /// `NoSource` when there is none of this number.
    pub fn add_pages(&self, source: u64, pages: &[PageLink]) -> Result<(), Error> {
        self.try_write("add pages", |transaction| {
            self.require_source(transaction, source)?;
            insert_pages(transaction, source, pages).map_err(Error::catalogue("add pages", self.path()))
        })
    }

    /// Leases pages as one job: a `Pages` job that was left open by a dead process, else a new one of at most `limit` waiting pages,
    /// shared among hosts in turn. Of each host at most `per_host` pages are asked for by all sources together. `None` when no page
    /// waits that may be asked for.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn lease_pages(&self, source: u64, limit: usize, per_host: u64) -> Result<Option<Job>, Error> {
        self.write("lease pages", |transaction| {
            if let Some(job) = lease(transaction, source, JobKind::Pages)? {
                return Ok(Some(job));
            }
            let hosts = hosts_in_turn(transaction, source, limit, per_host)?;
            let shares = shares(&hosts, limit);
            if shares.is_empty() {
                return Ok(None);
            }
            let values = (signed(source), JobKind::Pages.name(), "", "leased");
            let id = transaction.query_row(statement!("job_add"), values, |row| unsigned(row, 0))?;
            let mut take = transaction.prepare_cached(statement!("pages_lease"))?;
            for (host, share) in shares {
                take.execute((signed(source), signed(id), host, signed(share)))?;
            }
            let pages = job_pages(transaction, id)?;
            Ok(Some(Job { id, source, kind: JobKind::Pages, payload: String::new(), pages }))
        })
    }

    /// Brings the order of a source's next `limit` waiting pages up to date: `rank` gives a page's depth by now, which is never less than
    /// an earlier one, or nothing for a request that is of no use until the cap is raised. Only what has changed is written.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn rank_pages(&self, source: u64, limit: usize, rank: &dyn Fn(&str) -> Option<u32>) -> Result<(), Error> {
        self.write("order pages", |transaction| {
            let (mut look, mut full) = (limit, 0);
            // Ranks only grow: when the first ones have theirs, no later page belongs before them.
            while !rank_next(transaction, source, look, limit, rank, &mut full)? {
                look = look.saturating_mul(4).min(MAX_LOOK).max(limit);
            }
            if full > 0 {
                transaction.execute(statement!("outcome_add"), ("page:full", signed(full)))?;
            }
            Ok(())
        })
    }

    /// Puts the pages of these outcomes back into the frontier of a source, takes their counts back, and moves the source to `retrying` if
    /// there are any; gives their number.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be written.
    pub fn retry_pages(&self, source: u64, outcomes: &[String]) -> Result<u64, Error> {
        self.try_write("put pages back", |transaction| {
            let back = put_back(transaction, source, outcomes).map_err(Error::catalogue("put pages back", self.path()))?;
            if back > 0 {
                self.move_source(transaction, source, RETRYING)?;
            }
            Ok(back)
        })
    }

    /// Pages that were asked for, whatever came of it.
    ///
    /// # Errors
    /// `Catalogue` when the file cannot be read.
    pub fn pages_done(&self, source: u64) -> Result<u64, Error> {
        self.count("count pages", statement!("pages_done"), source)
    }
}

/// A host with waiting pages.
struct Host {
    name: String,
    /// Pages it was asked for.
    asked: u64,
    /// Pages it may give.
    room: u64,
}

/// Hosts with waiting pages, those asked least first.
fn hosts_in_turn(transaction: &Transaction, source: u64, limit: usize, per_host: u64) -> rusqlite::Result<Vec<Host>> {
    let mut statement = transaction.prepare_cached(statement!("hosts_in_turn"))?;
    let values = (signed(source), signed(limit as u64), signed(per_host));
    let host = |row: &rusqlite::Row| Ok(Host { name: row.get(0)?, asked: unsigned(row, 1)?, room: unsigned(row, 2)? });
    statement.query_map(values, host)?.collect()
}

/// Shares `limit` pages out: one after the other to the host that was asked least.
fn shares(hosts: &[Host], limit: usize) -> Vec<(&str, u64)> {
    let mut shares = vec![0; hosts.len()];
    let mut turns: BinaryHeap<Reverse<(u64, usize)>> = hosts.iter().enumerate().map(|(at, host)| Reverse((host.asked, at))).collect();
    for _ in 0..limit {
        let Some(Reverse((asked, at))) = turns.pop() else { break };
        shares[at] += 1;
        if shares[at] < hosts[at].room {
            turns.push(Reverse((asked + 1, at)));
        }
    }
    hosts.iter().zip(shares).filter(|(_, share)| *share > 0).map(|(host, share)| (host.name.as_str(), share)).collect()
}

/// Gives the first `look` waiting pages their ranks; whether the first `limit` had theirs.
fn rank_next(
    transaction: &Transaction,
    source: u64,
    look: usize,
    limit: usize,
    rank: &dyn Fn(&str) -> Option<u32>,
    full: &mut u64,
) -> rusqlite::Result<bool> {
    let mut next = transaction.prepare_cached(statement!("pages_next"))?;
    let rows = next.query_map((signed(source), signed(look as u64)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let pages = rows.collect::<rusqlite::Result<Vec<(i64, String, u32)>>>()?;
    let mut settled = true;
    for (at, (id, url, depth)) in pages.iter().enumerate() {
        match rank(url) {
            Some(rank) if rank <= *depth => continue,
            Some(rank) => transaction.prepare_cached(statement!("page_rank"))?.execute((id, rank))?,
            None => {
                *full += 1;
                transaction.prepare_cached(statement!("page_full"))?.execute([id])?
            }
        };
        settled &= at >= limit;
    }
    Ok(settled)
}

fn put_back(transaction: &Transaction, source: u64, outcomes: &[String]) -> rusqlite::Result<u64> {
    let mut sum = 0;
    for outcome in outcomes {
        let back = transaction.execute(statement!("pages_retry"), (signed(source), outcome))? as u64;
        transaction.execute(statement!("outcome_take"), (format!("page:{outcome}"), signed(back)))?;
        sum += back;
    }
    Ok(sum)
}

/// Records what became of a job's pages, and gives those back that were not visited.
pub(crate) fn settle_pages(transaction: &Transaction, source: u64, commit: &Commit) -> rusqlite::Result<()> {
    let mut outcome = transaction.prepare_cached(statement!("page_outcome"))?;
    for (url, name) in &commit.visited {
        outcome.execute((signed(source), url, name))?;
    }
    let mut back = transaction.prepare_cached(statement!("page_back"))?;
    for url in &commit.waiting {
        back.execute((signed(source), url))?;
    }
    Ok(())
}

pub(crate) fn insert_pages(transaction: &Transaction, source: u64, pages: &[PageLink]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(statement!("page_add"))?;
    for page in pages {
        statement.execute((signed(source), &page.url, page.depth))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::empty_catalogue as catalogue;

    fn page(url: &str, depth: u32) -> PageLink {
        PageLink { url: url.into(), depth }
    }

    fn lease(catalogue: &Catalogue, source: u64, limit: usize, per_host: u64) -> Option<Job> {
        catalogue.lease_pages(source, limit, per_host).expect("asked")
    }

    fn urls(job: &Job) -> Vec<&str> {
        job.pages.iter().map(|page| page.url.as_str()).collect()
    }

    #[test]
    fn pages_are_leased_nearest_first_and_known_once() {
        let (_dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("web", "http://a/").expect("added");
        let (other, _) = catalogue.source("web", "http://b/").expect("added");
        let pages = [page("http://a/far", 2), page("http://a/x", 1), page("http://a/y", 1), page("http://a/x", 0)];
        catalogue.add_pages(source, &pages).expect("added");
        catalogue.add_pages(other, &pages[..1]).expect("added");
        assert_eq!(catalogue.jobs_left(source).expect("counted"), 3);
        assert_eq!(lease(&catalogue, source, 0, u64::MAX), None);
        let job = lease(&catalogue, source, 2, u64::MAX).expect("a job");
        assert_eq!(job.pages, [page("http://a/x", 1), page("http://a/y", 1)]);
        assert_eq!(catalogue.jobs_left(source).expect("counted"), 2);
        assert_eq!(lease(&catalogue, source, 2, u64::MAX).expect("a job").pages, [page("http://a/far", 2)]);
        assert_eq!(lease(&catalogue, source, 2, u64::MAX), None);
        catalogue.commit(&job, &Commit::default()).expect("committed");
        assert_eq!(catalogue.pages_done(source).expect("counted"), 2);
        assert_eq!(catalogue.jobs_left(other).expect("counted"), 1);
    }

    #[test]
    fn hosts_take_turns_whatever_the_depth() {
        let (_dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("web", "http://trap/").expect("added");
        let trap: Vec<PageLink> = (0..100).map(|n| page(&format!("http://trap:81/{n}"), 1)).collect();
        let good: Vec<PageLink> = (0..10).map(|n| page(&format!("https://good/{n}?x=/"), 9)).collect();
        catalogue.add_pages(source, &[trap, good, vec![page("http://one/", 30)]].concat()).expect("added");
        let job = lease(&catalogue, source, 12, u64::MAX).expect("a job");
        let of = |host: &str| urls(&job).iter().filter(|url| url.contains(host)).count();
        assert_eq!((of("//trap:81/"), of("//good/"), of("//one/")), (5, 6, 1));
        // With fewer pages than hosts, those asked least are first.
        catalogue.add_pages(source, &[page("http://new/", 40)]).expect("added");
        assert_eq!(urls(&lease(&catalogue, source, 1, u64::MAX).expect("a job")), ["http://new/"]);
        assert_eq!(urls(&lease(&catalogue, source, 1, u64::MAX).expect("a job")), ["http://trap:81/5"]);
    }

    #[test]
    fn a_host_gives_no_more_than_its_bound_over_all_sources() {
        let (_dir, catalogue) = catalogue();
        let (one, _) = catalogue.source("web", "http://a/").expect("added");
        let (two, _) = catalogue.source("web", "http://a/2").expect("added");
        let pages: Vec<PageLink> = (0..10).map(|n| page(&format!("http://a/{n}"), 0)).collect();
        catalogue.add_pages(one, &pages).expect("added");
        catalogue.add_pages(two, &pages).expect("added");
        let job = lease(&catalogue, one, 4, 6).expect("a job");
        assert_eq!(job.pages.len(), 4);
        // A page closed without a request and one that was not begun leave their places to others.
        let visited = vec![("http://a/0".to_string(), "ok".to_string()), ("http://a/1".to_string(), "trap".to_string())];
        let commit = Commit { visited, waiting: vec!["http://a/2".to_string()], ..Commit::default() };
        catalogue.commit(&job, &commit).expect("committed");
        assert_eq!(catalogue.pages_done(one).expect("counted"), 2);
        assert_eq!(lease(&catalogue, two, 9, 6).expect("a job").pages.len(), 4);
        assert_eq!((lease(&catalogue, one, 9, 6), lease(&catalogue, two, 9, 6)), (None, None));
        let more = lease(&catalogue, one, 9, 7).expect("a larger bound takes up what waits");
        assert_eq!(urls(&more), ["http://a/2"]);
    }

    #[test]
    fn pages_of_an_outcome_wait_again() {
        let (_dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("web", "http://a/").expect("added");
        catalogue.add_pages(source, &[page("http://a/ok", 0), page("http://a/slow", 0), page("http://a/down", 0)]).expect("added");
        let job = lease(&catalogue, source, 9, u64::MAX).expect("a job");
        let outcome = |url: &str, name: &str| (format!("http://a/{url}"), name.to_string());
        let visited = vec![outcome("ok", "ok"), outcome("slow", "timeout"), outcome("down", "http_5xx")];
        let outcomes = vec![("page:ok".into(), 1), ("page:timeout".into(), 1), ("page:http_5xx".into(), 1)];
        catalogue.commit(&job, &Commit { visited, outcomes, ..Commit::default() }).expect("committed");
        catalogue.set_source_state(source, "done").expect("moved");
        let words = ["http_5xx".to_string(), "timeout".to_string()];
        assert_eq!(catalogue.retry_pages(source, &["dns".to_string()]).expect("none"), 0);
        assert_eq!(catalogue.source("web", "http://a/").expect("found").1, "done");
        assert_eq!(catalogue.retry_pages(source, &words).expect("put back"), 2);
        assert_eq!(catalogue.source("web", "http://a/").expect("found").1, "retrying");
        let counted = catalogue.outcomes().expect("read");
        assert!(counted.contains(&("page:ok".to_string(), 1)) && counted.contains(&("page:timeout".to_string(), 0)), "{counted:?}");
        let again = lease(&catalogue, source, 9, u64::MAX).expect("a job");
        assert_eq!(urls(&again), ["http://a/slow", "http://a/down"]);
        assert_eq!(catalogue.retry_pages(source, &words).expect("none"), 0, "what waits or is leased is not put back");
    }

    #[test]
    fn order_follows_ranks_that_grow() {
        let (_dir, catalogue) = catalogue();
        let (source, _) = catalogue.source("openverse", "http://a/").expect("added");
        let pages: Vec<PageLink> = (0..5000).map(|n| page(&format!("http://a/?q={n}"), 0)).collect();
        catalogue.add_pages(source, &pages).expect("added");
        let number = |url: &str| url.split_once('=').and_then(|(_, n)| n.parse::<u32>().ok()).expect("a number");
        // All have grown, the last one least; every tenth has enough.
        let rank = |url: &str| Some(5000 - number(url)).filter(|rank| rank % 10 != 0);
        catalogue.rank_pages(source, 3, &rank).expect("ordered");
        let job = lease(&catalogue, source, 3, u64::MAX).expect("a job");
        assert_eq!(urls(&job), ["http://a/?q=4999", "http://a/?q=4998", "http://a/?q=4997"]);
        assert_eq!(catalogue.jobs_left(source).expect("counted"), 1 + 4500 - 3);
        assert!(catalogue.outcomes().expect("read").contains(&("page:full".to_string(), 500)));
        assert_eq!(catalogue.retry_pages(source, &["full".to_string()]).expect("put back"), 500);
    }

    #[test]
    fn pages_are_shared_evenly() {
        let given = |hosts: &[(u64, u64)], limit| {
            let hosts: Vec<Host> = hosts.iter().map(|&(asked, room)| Host { name: "h".into(), asked, room }).collect();
            shares(&hosts, limit).iter().map(|(_, share)| *share).collect::<Vec<_>>()
        };
        assert_eq!(given(&[(0, 9), (0, 1), (0, 9)], 10), [5, 1, 4]);
        assert_eq!(given(&[(0, 9), (0, 9), (0, 9)], 2), [1, 1]);
        assert_eq!(given(&[(0, 9), (5, 9), (99, 9)], 10), [8, 2], "who was asked less catches up");
        assert_eq!(given(&[(0, 2), (7, 2)], 100), [2, 2]);
        assert!(given(&[], 5).is_empty() && given(&[(0, 5)], 0).is_empty());
    }
}
