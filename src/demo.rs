//! `diptych demo`: every stage over the small web, by the very command lines that a user would type.

mod page;
mod results;

use crate::cli::{self, Cli};
use crate::failure::Failure;
use clap::Parser;
use results::Results;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use web::{Size, Web};

/// Pixels at which the demo's pictures are stored, and seen by the model.
const STORED_SIDE: u32 = 128;
const MODEL_SIDE: u32 = 64;

/// What a demo folder was begun with; the same command goes on with it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Begun {
    seed: u64,
    quick: bool,
    port: u16,
}

/// Runs all stages, judges them against what the web was planted with, and writes `report.html` and `report.json`.
///
/// # Errors
/// Usage when the folder holds another demo; otherwise what a stage met.
pub fn run(flags: &cli::Demo) -> Result<(), Failure> {
    std::fs::create_dir_all(&flags.out).map_err(shards::Error::io("create folder", &flags.out))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (listener, begun) = begin(flags, &runtime)?;
    eprintln!("planting a small web of seed {}", begun.seed);
    let size = if begun.quick { Size::SMALL } else { Size::DEMO };
    let web = Arc::new(Web::generate(begun.seed, size));
    let base = format!("http://127.0.0.1:{}", begun.port);
    let server = runtime.spawn(web.clone().serve(listener, std::future::pending()));

    let started = Instant::now();
    let mut seconds = Vec::new();
    let quick = if begun.quick { " --quick" } else { "" };
    let mut commands = vec![format!("diptych demo --seed {} --port {} --out {}{quick}", begun.seed, begun.port, flags.out.display())];
    prepare(&web, &flags.out)?;
    for (name, args) in stages(flags, &web, &base) {
        commands.push(format!("diptych {}", args.join(" ")));
        eprintln!("\n$ {}", commands[commands.len() - 1]);
        let begin = Instant::now();
        let command = Cli::try_parse_from(std::iter::once("diptych").chain(args.iter().map(String::as_str)))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        crate::run_with_torch(&command.command)?;
        seconds.push((name.to_string(), begin.elapsed().as_secs_f64()));
    }
    server.abort();
    seconds.push(("all".to_string(), started.elapsed().as_secs_f64()));

    let results = Results::read(&flags.out, &web, &base, seconds)?;
    results.write_json(&flags.out.join("report.json"))?;
    let page = crate::report::render(&page::gather(&results, &web, &flags.out, commands)?);
    shards::write_atomic(&flags.out.join("report.html"), page.as_bytes())?;
    println!("{results}");
    println!("\nreport: {}", flags.out.join("report.html").display());
    Ok(())
}

/// Finds the port, and settles what the folder is.
fn begin(flags: &cli::Demo, runtime: &tokio::runtime::Runtime) -> Result<(TcpListener, Begun), Failure> {
    let path = flags.out.join("demo.json");
    let listen = |port: u16| runtime.block_on(TcpListener::bind(("127.0.0.1", port)));
    if path.exists() {
        let text = std::fs::read(&path).map_err(shards::Error::io("read", &path))?;
        let begun: Begun =
            serde_json::from_slice(&text).map_err(|error| shards::Error::Json { path: path.clone(), why: error.to_string() })?;
        if (begun.seed, begun.quick) != (flags.seed, flags.quick) {
            return Err(Failure::Usage(format!(
                "{} holds a demo of seed {}{}; use another --out or the same flags",
                flags.out.display(),
                begun.seed,
                if begun.quick { " with --quick" } else { " without --quick" }
            )));
        }
        let listener = listen(begun.port).map_err(|error| {
            Failure::Usage(format!("the demo in {} needs port {} of loopback: {error}; stop what uses it", flags.out.display(), begun.port))
        })?;
        return Ok((listener, begun));
    }
    let listener = listen(flags.port)
        .map_err(|error| Failure::Usage(format!("port {} of loopback: {error}; --port 0 takes any that is free", flags.port)))?;
    let begun = Begun { seed: flags.seed, quick: flags.quick, port: listener.local_addr()?.port() };
    shards::write_atomic(&path, serde_json::to_string_pretty(&begun)?.as_bytes())?;
    Ok((listener, begun))
}

/// Writes the dump and the test pictures, which reach the stages as files.
fn prepare(web: &Web, out: &Path) -> Result<(), Failure> {
    web.dump(&out.join("dump.xml.bz2"))?;
    let classes: Vec<String> = web.plan().seen.iter().chain(&web.plan().unseen).cloned().collect();
    web.write_test_set(&out.join("test-pictures"), &classes)?;
    Ok(())
}

/// The stages as command lines, in order.
fn stages(flags: &cli::Demo, web: &Web, base: &str) -> Vec<(&'static str, Vec<String>)> {
    let path = |name: &str| flags.out.join(name).display().to_string();
    let manifest = path("shards/manifest.parquet");
    let per_query = web.plan().per_query;
    let side = MODEL_SIDE;
    let epochs = if flags.quick { 2 } else { 10 };
    let sources: Vec<String> = web.starts(base).into_iter().map(|start| format!("--source web:{start}")).collect();
    let line = |text: String, more: &[&str]| -> Vec<String> {
        // Only the words written here are split; paths may hold blanks.
        text.split(' ').map(str::to_string).chain(more.iter().map(|word| word.to_string())).collect()
    };
    let seed = flags.seed;
    vec![
        ("wordlist", line("wordlist --numbers 0 --bigrams 0 --dump".into(), &[&path("dump.xml.bz2"), "--out", &path("queries.parquet")])),
        (
            "crawl",
            line(
                format!(
                    "crawl {} --allow-private --host-rate 0 --host-connections 16 --per-query {per_query} --image-size {STORED_SIDE} --max-depth 1000 --timeout 2 --retries 1 --seed {seed}",
                    sources.join(" ")
                ),
                &["--corpus", &path("corpus"), "--queries", &path("queries.parquet")],
            ),
        ),
        ("curate", line(format!("curate --max-pictures {} --corpus", web.plan().max_pictures), &[&path("corpus")])),
        (
            "shard",
            line(
                format!("shard --seed {seed} --manifest"),
                &[&path("corpus/selection/default/manifest.parquet"), "--out", &path("shards")],
            ),
        ),
        (
            "train",
            line(
                format!(
                    "train --model small-resnet --image-size {side} --epochs {epochs} --batch-size 128 --lr 3e-3 --warmup 80 --weight-decay 0.1 --augment flip-shift --same-caption positives --seed {seed} --checkpoint-every 100 --resume"
                ),
                &["--manifest", &manifest, "--out", &path("runs/demo")],
            ),
        ),
        ("import", line("import".into(), &[&format!("folder:{}", path("test-pictures")), "--out", &path("test-set")])),
        (
            "eval",
            line(
                "eval zero-shot --split test".into(),
                &["--checkpoint", &path("runs/demo"), "--manifest", &path("test-set/manifest.parquet")],
            ),
        ),
    ]
}

/// Files of one kind in a folder, by name.
fn tables(folder: &Path) -> Result<Vec<PathBuf>, shards::Error> {
    let entries = std::fs::read_dir(folder).map_err(shards::Error::io("list", folder))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == "parquet"));
    files.sort();
    Ok(files)
}
