//! `diptych wordlist`: the query list from Wikipedia dumps, page views and WordNet.

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use curation::{Source, WordlistOptions, WordlistSummary};
use std::path::PathBuf;

/// Makes the list and says what went into it, or explains an entry of an existing one.
///
/// # Errors
/// What downloading or reading the sources or writing the list met.
pub fn run(flags: &cli::Wordlist) -> Result<(), Failure> {
    if let Some(text) = &flags.explain {
        println!("{}", curation::explain(&flags.out, text)?);
        return Ok(());
    }
    let options = options(flags)?;
    let progress = Progress::start("wordlist", Unit::Bytes);
    let summary = curation::wordlist(&options, &progress.meter)?;
    drop(progress);
    report(&options, &summary);
    println!("{}", flags.out.display());
    Ok(())
}

/// What was typed, with everything that must be downloaded in place.
fn options(flags: &cli::Wordlist) -> Result<WordlistOptions, Failure> {
    if flags.memory == 0 {
        return Err(Failure::Usage("--memory 0 leaves no room to count in".to_string()));
    }
    if flags.limit == 0 {
        return Err(Failure::Usage("--limit 0 leaves no query in the list".to_string()));
    }
    if let Some(pmi) = flags.pmi.filter(|pmi| pmi.is_nan()) {
        return Err(Failure::Usage(format!("--pmi {pmi} is not a number of bits")));
    }
    let (dumps, pageviews) = sources(flags)?;
    Ok(WordlistOptions {
        pageviews,
        project: flags.project.clone(),
        wordnet: flags.wordnet.clone(),
        rule: flags.rule,
        min_count: flags.min_count,
        min_pairs: flags.min_pairs,
        pmi: flags.pmi,
        bigrams: flags.bigrams,
        min_views: flags.min_views,
        min_hour_views: flags.min_hour_views,
        numbers: flags.numbers,
        limit: flags.limit,
        add: flags.add.clone(),
        memory: flags.memory.saturating_mul(1 << 20),
        ..WordlistOptions::new(dumps, flags.out.clone())
    })
}

/// The files of dumps and page views, downloaded where a wiki or a time was named.
fn sources(flags: &cli::Wordlist) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let dumps: Vec<crawler::Wanted> = flags.dump.iter().map(|text| crawler::Wanted::dump(text)).collect();
    let mut pageviews = Vec::new();
    for text in &flags.pageviews {
        pageviews.extend(crawler::Wanted::pageviews(text));
    }
    if dumps.iter().chain(&pageviews).all(|wanted| matches!(wanted, crawler::Wanted::File(_))) {
        let path = |wanted: &crawler::Wanted| if let crawler::Wanted::File(path) = wanted { Some(path.clone()) } else { None };
        return Ok((dumps.iter().filter_map(path).collect(), pageviews.iter().filter_map(path).collect()));
    }
    let progress = Progress::start("download", Unit::Bytes);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let fetch = |wanted: &[crawler::Wanted]| {
        let files = runtime.block_on(crawler::download(wanted, &flags.mirror, &flags.downloads, &progress.meter));
        files.map_err(|error| if error.is_usage() { Failure::Usage(error.to_string()) } else { error.into() })
    };
    Ok((fetch(&dumps)?, fetch(&pageviews)?))
}

fn report(options: &WordlistOptions, summary: &WordlistSummary) {
    let WordlistSummary { dump, words, distinct, pairs, spilled, .. } = summary;
    if !options.dumps.is_empty() {
        eprintln!(
            "read {} pages, {} of them articles and {} redirects: {words} words, {distinct} different, {pairs} different pairs",
            dump.pages, dump.articles, dump.redirects
        );
    }
    if *spilled > 0 {
        eprintln!("counts outgrew --memory: {spilled} sorted runs were spilled beside the list and added up");
    }
    if dump.shortened > 0 {
        eprintln!("{} articles were longer than the cap on one text and counted up to it", dump.shortened);
    }
    if let Some(asked) = options.pmi.filter(|asked| !options.dumps.is_empty() && *asked > summary.pmi_bound) {
        eprintln!("no pair can have --pmi {asked}: among {words} words the most is {:.1} bits", summary.pmi_bound);
    } else if *pairs > 0 {
        eprintln!("pairs of at least {:.2} bits are kept, the most here is {:.2}", summary.pmi, summary.pmi_bound);
    }
    for (index, source) in Source::ALL.iter().enumerate() {
        let (kept, cut) = (summary.kept[index], summary.cut[index]);
        if kept + cut > 0 {
            eprintln!("{:>8} kept, {cut:>8} cut: {}", kept, source.name());
        }
    }
    eprintln!("{:>8} queries in {}", summary.kept.iter().sum::<u64>(), options.out.display());
}
