//! `diptych import`: other datasets as manifests, and downloads of img2dataset and DataComp as the pool of a corpus.

use crate::cli;
use crate::corpus::{self, AS_IMPORTED, check_list, copy_list};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use shards::{
    Commit, IMPORT_KINDS, ImportOptions, JobKind, Meta, Meter, NewJob, PairId, PoolImport, PoolSource, Segment, TableReader, hash_file,
    pool_sources, table_row, tables_without_tar,
};
use sql::Catalogue;
use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::path::Path;

/// What stands between a tar's path and its size, and that of its table, in the input of a job. Without it an earlier version recorded it.
const BYTES: &str = "?bytes=";
/// Remarks on one tar that are printed.
const MAX_REMARKS: usize = 5;
/// State of a source whose tars are recorded as jobs, and of one that is wholly read.
const READING: &str = "fetching";
const DONE: &str = "done";

/// Imports another dataset and says what was found.
///
/// # Errors
/// Usage for an unknown kind or flags that do not fit it; otherwise what reading or writing met.
pub fn run(flags: &cli::Import) -> Result<(), Failure> {
    let kinds = IMPORT_KINDS.iter().filter_map(|kind| kind.split_once(':'));
    let is_known =
        kinds.clone().any(|(kind, _)| flags.from.split_once(':').is_some_and(|(given, place)| given == kind && !place.is_empty()));
    if !is_known {
        return Err(Failure::Usage(format!("{:?} is none of {}", flags.from, IMPORT_KINDS.join(", "))));
    }
    if flags.subset.is_some() && !flags.from.starts_with("datacomp:") {
        return Err(Failure::Usage("--subset goes with datacomp: only".to_string()));
    }
    let options = ImportOptions { split: flags.split.clone(), subset: flags.subset.clone(), ..ImportOptions::default() };
    match (&flags.corpus, &flags.out) {
        (Some(corpus), _) => to_pool(flags, corpus, &options),
        (None, Some(out)) => to_manifest(flags, out, &options),
        (None, None) => Err(Failure::Usage("--out DIR or --corpus DIR says where it goes".to_string())),
    }
}

fn to_manifest(flags: &cli::Import, out: &Path, options: &ImportOptions) -> Result<(), Failure> {
    let progress = Progress::start("import", Unit::Things("samples"));
    let summary = shards::import(&flags.from, out, options, &progress.meter)?;
    drop(progress);
    eprintln!("imported {} samples, {} classes", summary.samples, summary.classes);
    for (reason, count) in &summary.left_out {
        eprintln!("  left out {count}: {reason}");
    }
    println!("{}", out.join("manifest.parquet").display());
    Ok(())
}

/// Adds a job for each tar, then does those that are open: killed, it goes on with the tar it was at.
fn to_pool(flags: &cli::Import, corpus: &Path, options: &ImportOptions) -> Result<(), Failure> {
    let Some(sources) = pool_sources(&flags.from)? else {
        return Err(Failure::Usage("--corpus takes img2dataset:DIR and datacomp:DIR: only they say where pictures come from".to_string()));
    };
    let matcher = open(flags, corpus)?;
    let catalogue = Catalogue::open(&corpus.join("catalog.sqlite"))?;
    let _lock = lock(corpus)?;
    let (kind, place) = flags.from.split_once(':').unwrap_or_default();
    let subset = flags.subset.as_ref().map_or(Ok(String::new()), |file| Ok::<_, Failure>(format!("?subset={}", hash_file(file)?)))?;
    let (source, _) = catalogue.source(kind, &format!("{}{subset}", Path::new(place).canonicalize()?.display()))?;
    let jobs = jobs(&sources, &catalogue.payloads(source, JobKind::Fetch)?)?;
    if !jobs.is_empty() {
        catalogue.add_jobs(source, &jobs, READING)?;
    }
    for table in tables_without_tar(&sources)? {
        eprintln!("{}: its tar is not there; the same command reads it when it is", table.display());
    }
    catalogue.reopen()?;
    sweep(corpus, &catalogue)?;
    let queries = matcher.as_ref().map(|matcher| move |caption: &str| matcher.queries(caption));
    let queries = queries.as_ref().map(|queries| queries as shards::Queries);
    let mut import = PoolImport::new(corpus, options, queries, seen(corpus)?)?;

    let progress = Progress::start("import", Unit::Things("pairs"));
    let meter: &Meter = &progress.meter;
    let (mut totals, mut remarks) = (Segment::default().totals, Vec::new());
    while let Some(job) = catalogue.next_job(source, JobKind::Fetch)? {
        let tar = tar_of(&job.payload);
        let from = sources.iter().find(|from| from.tar.display().to_string() == tar).cloned();
        let from: PoolSource = from.ok_or_else(|| Failure::Usage(format!("{tar} is no longer there")))?;
        meter.say(tar.to_string());
        let segment = import.write(&from, job.id)?;
        let commit =
            Commit { segment: Some(segment.totals.clone()), counters: segment.counters, outcomes: segment.outcomes, ..Commit::default() };
        catalogue.commit(&job, &commit)?;
        remarks.extend(segment.remarks.iter().take(MAX_REMARKS).cloned());
        remarks.extend(segment.remarks.len().checked_sub(MAX_REMARKS + 1).map(|more| format!("{tar}: and {} more", more + 1)));
        meter.add(segment.totals.candidates);
        totals.candidates += segment.totals.candidates;
        totals.pairs += segment.totals.pairs;
    }
    catalogue.set_source_state(source, DONE)?;
    drop(progress);
    remarks.iter().for_each(|remark| eprintln!("{remark}"));
    eprintln!("imported {} pairs of {} new candidates into the pool", totals.pairs, totals.candidates);
    println!("{}", corpus.display());
    Ok(())
}

/// Jobs for the tars that are new, or that have another size than when they were last read: pairs that are known are passed over.
fn jobs(sources: &[PoolSource], recorded: &[String]) -> Result<Vec<NewJob>, Failure> {
    // The newest job of a tar stands last.
    let known: HashMap<&str, &str> = recorded.iter().map(|payload| (tar_of(payload), payload.as_str())).collect();
    let mut jobs = Vec::new();
    for from in sources {
        let tar = from.tar.display().to_string();
        let payload = format!("{tar}{BYTES}{}", from.bytes()?);
        match known.get(tar.as_str()) {
            Some(&before) if before == payload || before == tar => continue,
            Some(_) => eprintln!("{tar}: it or its table has another size than when it was read, so it is read again"),
            None => {}
        }
        jobs.push(NewJob { kind: JobKind::Fetch, payload });
    }
    Ok(jobs)
}

/// The path of a job's tar.
fn tar_of(payload: &str) -> &str {
    payload.rsplit_once(BYTES).map_or(payload, |(tar, _)| tar)
}

/// Opens the corpus or makes it, uncapped unless a cap is asked for: everything that was downloaded is there to be balanced. Gives its
/// query list.
fn open(flags: &cli::Import, corpus: &Path) -> Result<Option<curation::Matcher>, Failure> {
    let list = corpus.join("queries.parquet");
    let given = flags.queries.as_deref().map(check_list).transpose()?;
    let meta = match Meta::read(corpus, "corpus")? {
        Some(meta) => corpus::cap_import(meta, corpus, flags.per_query)?,
        None => {
            let mut meta = Meta::new("corpus")
                .with("seed", 1)
                .with("per_query", flags.per_query.unwrap_or(0))
                .with("headroom", crate::corpus::HEADROOM)
                .with("image_size", 0)
                .with("resize_mode", "no")
                .with("format", AS_IMPORTED);
            if let (Some(file), Some(hash)) = (&flags.queries, &given) {
                copy_list(file, &list)?;
                meta.parents.insert("queries".to_string(), hash.clone());
            }
            meta.write(corpus)?;
            meta
        }
    };
    match (meta.parents.get("queries"), given) {
        (kept, Some(given)) if kept != Some(&given) => Err(Failure::Usage(format!(
            "--queries has hash {given}, but {} was begun with {}; use another --corpus or leave the flag out",
            corpus.display(),
            kept.map_or("no query list".to_string(), |kept| format!("a list of hash {kept}"))
        ))),
        (Some(_), _) => Ok(Some(curation::Matcher::read(&list)?)),
        (None, _) => Ok(None),
    }
}

/// One program at a time fills a corpus.
fn lock(corpus: &Path) -> Result<File, Failure> {
    let path = corpus.join("crawl.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(shards::Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(std::io::Error::other(format!("a crawl or import is at work in {}", corpus.display())).into()),
        Err(TryLockError::Error(error)) => Err(shards::Error::io("lock", &path)(error).into()),
    }
}

/// Removes what a killed import left: files of jobs that are not done.
fn sweep(corpus: &Path, catalogue: &Catalogue) -> Result<(), Failure> {
    let done: HashSet<u64> = catalogue.committed_segments()?.into_iter().collect();
    let folders = ["pool", "candidates"].map(|name| corpus.join(name));
    for path in shards::leftovers(&folders, catalogue.newest_job()?, |job| done.contains(&job))? {
        std::fs::remove_file(&path).map_err(shards::Error::io("remove", &path))?;
    }
    Ok(folders.iter().try_for_each(|folder| shards::remove_temporaries(folder))?)
}

table_row! {
    /// The only column of a candidate that says whether a pair is new.
    struct Pair in "candidates" {
        /// The pair.
        pair_id: PairId,
    }
}

/// Fingerprints of the pairs that the corpus has.
fn seen(corpus: &Path) -> Result<HashSet<u64>, Failure> {
    let mut seen = HashSet::new();
    for name in ["candidates", "plans"] {
        for path in std::fs::read_dir(corpus.join(name)).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|end| end == "parquet") {
                for batch in TableReader::<Pair>::open(&path)? {
                    seen.extend(batch?.iter().map(|row| row.pair_id.fingerprint()));
                }
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tars_are_read_again_when_they_are_new_or_of_another_size() {
        let dir = tempfile::tempdir().expect("a folder");
        let source = |name: &str, bytes: &[u8]| {
            let tar = dir.path().join(name);
            std::fs::write(&tar, bytes).expect("written");
            PoolSource { tar, table: None }
        };
        let sources = [source("0.tar", b"x"), source("1?bytes=.tar", b"yy")];
        let names = |jobs: Vec<NewJob>| jobs.into_iter().map(|job| job.payload).collect::<Vec<_>>();
        let first = names(jobs(&sources, &[]).expect("read"));
        assert!(first.len() == 2 && first[1].ends_with("1?bytes=.tar?bytes=2"), "{first:?}");
        assert!(jobs(&sources, &first).expect("read").is_empty());
        assert!(
            jobs(&sources, &[sources[0].tar.display().to_string(), first[1].clone()]).expect("read").is_empty(),
            "an earlier version's"
        );
        source("0.tar", b"xyz");
        let again = names(jobs(&sources, &first).expect("read"));
        assert_eq!(again, [format!("{}?bytes=3", sources[0].tar.display())]);
        assert!(jobs(&sources, &[first, again].concat()).expect("read").is_empty());
    }
}
