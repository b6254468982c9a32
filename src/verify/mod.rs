//! `diptych verify`: looks for damage in corpora, shards and runs, and says what to do about it. Only `--repair` changes anything.
//!
//! Every byte that carries a sum is read and compared: tables, archive members, the catalogue. Then what says the same thing
//! twice must agree: manifests with tars, counts with tables, descriptions with what they were made from. Streaming: one
//! member of an archive and the rows of one archive are in memory at a time.

mod archive;
mod corpus;
mod findings;
mod manifest;
mod repair;
mod run;

use crate::cli;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use findings::Findings;
use shards::{Meter, is_address};
use std::path::{Path, PathBuf};

/// What a folder is, by its `meta.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Corpus,
    Selection,
    Shards,
    Run,
}

/// Checks the folders and prints what is damaged, a line each.
///
/// # Errors
/// Usage when a folder is nothing that diptych makes; a failure that counts the damage when there is any.
pub fn run(flags: &cli::Verify) -> Result<(), Failure> {
    if let Some(address) = flags.folders.iter().find(|folder| flags.repair && is_address(folder)) {
        return Err(Failure::Usage(format!("--repair works on folders of this machine, and {} is none", address.display())));
    }
    let targets = targets(&flags.folders)?;
    let progress = Progress::start("verify", Unit::Bytes);
    let meter = progress.meter.clone();
    meter.set_total(targets.iter().map(|(_, folder)| bytes_below(folder)).sum());
    let mut findings = check(&targets, &meter);
    if flags.repair && findings.damaged() > 0 {
        let parents = findings.parents();
        for (kind, folder) in &targets {
            repair::repair(*kind, folder, &parents, &Meter::default());
        }
        println!("checking again");
        findings = check(&targets, &meter);
    }
    drop(progress);
    eprintln!("checked {} files in {} folders: {}", findings.files(), targets.len(), findings.verdict());
    match findings.damaged() {
        0 if findings.unread() > 0 => Err(std::io::Error::other("not everything could be read, so nothing is known of it").into()),
        0 => Ok(()),
        n => Err(std::io::Error::other(format!("{n} places are damaged; each line above says which and what to do")).into()),
    }
}

fn check<'a>(targets: &[(Kind, PathBuf)], meter: &'a Meter) -> Findings<'a> {
    let mut findings = Findings::new(meter);
    for (kind, folder) in targets {
        match kind {
            Kind::Corpus => corpus::check(&mut findings, folder),
            Kind::Selection => manifest::selection(&mut findings, folder),
            Kind::Shards => manifest::shards(&mut findings, folder),
            Kind::Run => run::check(&mut findings, folder),
        }
    }
    findings.lineage();
    findings
}

/// The folders given, or the usual ones; a folder of folders gives those inside.
fn targets(given: &[PathBuf]) -> Result<Vec<(Kind, PathBuf)>, Failure> {
    let usual = ["corpus", "corpus-shards", "runs"].map(PathBuf::from);
    let folders: Vec<&PathBuf> =
        if given.is_empty() { usual.iter().filter(|folder| folder.is_dir()).collect() } else { given.iter().collect() };
    if folders.is_empty() {
        return Err(Failure::Usage("there is no corpus, corpus-shards or runs here: name the folders to check".to_string()));
    }
    let mut found = Vec::new();
    for folder in folders {
        if is_address(folder) {
            found.push((at_address(folder)?, folder.clone()));
            continue;
        }
        if let Some(kind) = kind(folder) {
            found.push((kind, folder.clone()));
            continue;
        }
        let below: Vec<(Kind, PathBuf)> = findings::entries(folder).into_iter().filter_map(|path| Some((kind(&path)?, path))).collect();
        if below.is_empty() && !given.is_empty() {
            return Err(Failure::Usage(format!("{} is neither a corpus, shards, a selection nor a run, nor holds any", folder.display())));
        }
        found.extend(below);
    }
    Ok(found)
}

/// What lies at an address, where there can only be shards.
fn at_address(folder: &Path) -> Result<Kind, Failure> {
    let usage = |why: String| Err(Failure::Usage(format!("{} {why}; only shards can be checked at an address", folder.display())));
    let meta = shards::read_file(&folder.join("meta.json"))?;
    match meta.as_deref().map(|text| serde_json::from_slice::<serde_json::Value>(text).unwrap_or_default()) {
        Some(meta) => match meta.get("kind").and_then(|kind| kind.as_str()) {
            Some(kind) if kind != "shards" => usage(format!("is a {kind}")),
            // A description that is damaged is found to be so later.
            _ => Ok(Kind::Shards),
        },
        None if findings::is_there(&folder.join("manifest.parquet")) => Ok(Kind::Shards),
        None => usage("has neither meta.json nor manifest.parquet".to_string()),
    }
}

/// What a folder is; where its `meta.json` is missing or damaged, by what lies in it.
fn kind(folder: &Path) -> Option<Kind> {
    let meta = std::fs::read(folder.join("meta.json")).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    match meta.as_ref().and_then(|meta| meta.get("kind")).and_then(|kind| kind.as_str()) {
        Some("corpus") => Some(Kind::Corpus),
        Some("selection") => Some(Kind::Selection),
        Some("shards") => Some(Kind::Shards),
        Some("run") => Some(Kind::Run),
        _ if folder.join("catalog.sqlite").exists() => Some(Kind::Corpus),
        _ if folder.join("checkpoints").is_dir() => Some(Kind::Run),
        _ if folder.join("reasons.parquet").exists() => Some(Kind::Selection),
        _ if folder.join("manifest.parquet").exists() => Some(Kind::Shards),
        _ => None,
    }
}

/// Bytes of the files that are read whole: tables and archives.
fn bytes_below(folder: &Path) -> u64 {
    let size = |path: PathBuf| {
        if path.is_dir() {
            return bytes_below(&path);
        }
        let read = path.extension().is_some_and(|end| end == "tar" || end == "parquet");
        if read { std::fs::metadata(&path).map_or(0, |file| file.len()) } else { 0 }
    };
    findings::entries(folder).into_iter().map(size).sum()
}
