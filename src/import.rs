//! `diptych import`: other datasets as manifests, and downloads of img2dataset and DataComp as the pool of a corpus.

use crate::cli;
use crate::corpus::{AS_IMPORTED, check_list, copy_list};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use shards::{
    Commit, IMPORT_KINDS, ImportOptions, JobKind, Meta, Meter, NewJob, PairId, PoolImport, PoolSource, Segment, TableReader, hash_file,
    pool_sources, table_row,
};
use sql::Catalogue;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::Path;

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
    let (source, state) = catalogue.source(kind, &format!("{}{subset}", Path::new(place).canonicalize()?.display()))?;
    if state == "new" {
        let jobs: Vec<NewJob> =
            sources.iter().map(|from| NewJob { kind: JobKind::Fetch, payload: from.tar.display().to_string() }).collect();
        catalogue.add_jobs(source, &jobs, READING)?;
    }
    catalogue.reopen()?;
    sweep(corpus, &catalogue)?;
    let queries = matcher.as_ref().map(|matcher| move |caption: &str| matcher.queries(caption));
    let queries = queries.as_ref().map(|queries| queries as shards::Queries);
    let mut import = PoolImport::new(corpus, options, queries, seen(corpus)?)?;

    let progress = Progress::start("import", Unit::Things("pairs"));
    let meter: &Meter = &progress.meter;
    let mut totals = Segment::default().totals;
    while let Some(job) = catalogue.next_job(source, JobKind::Fetch)? {
        let from = sources.iter().find(|from| from.tar.display().to_string() == job.payload).cloned();
        let from: PoolSource = from.ok_or_else(|| Failure::Usage(format!("{} is no longer there", job.payload)))?;
        meter.say(job.payload.clone());
        let segment = import.write(&from, job.id)?;
        let commit =
            Commit { segment: Some(segment.totals.clone()), counters: segment.counters, outcomes: segment.outcomes, ..Commit::default() };
        catalogue.commit(&job, &commit)?;
        meter.add(segment.totals.candidates);
        totals.candidates += segment.totals.candidates;
        totals.pairs += segment.totals.pairs;
    }
    catalogue.set_source_state(source, DONE)?;
    drop(progress);
    eprintln!("imported {} pairs of {} new candidates into the pool", totals.pairs, totals.candidates);
    println!("{}", corpus.display());
    Ok(())
}

/// Opens the corpus or makes it, uncapped: everything that was downloaded is there to be balanced. Gives its query list.
fn open(flags: &cli::Import, corpus: &Path) -> Result<Option<curation::Matcher>, Failure> {
    let list = corpus.join("queries.parquet");
    let given = flags.queries.as_deref().map(check_list).transpose()?;
    let meta = match Meta::read(corpus, "corpus")? {
        Some(meta) => meta,
        None => {
            let mut meta = Meta::new("corpus")
                .with("seed", 1)
                .with("per_query", 0)
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
