//! `fuzz [--seconds N] [--seed N] [--out DIR] [TARGET...]`: tries each target for N seconds. `fuzz --replay FILE TARGET` tries one input.

use fuzz::{Failed, Fuzzer, Target, targets};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const USAGE: &str = "usage: fuzz [--seconds N] [--seed N] [--out DIR] [TARGET...]
       fuzz --replay FILE TARGET";
/// An input that takes so long ends the run; it stays as TARGET.running.
const RUN_AWAY: u64 = 60;

struct Flags {
    seconds: u64,
    seed: u64,
    out: PathBuf,
    replay: Option<PathBuf>,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let targets = targets();
    let flags = match flags(&targets) {
        Ok(flags) => flags,
        Err(why) => {
            let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
            eprintln!("fuzz: {why}\n{USAGE}\ntargets: {}", names.join(" "));
            return ExitCode::from(2);
        }
    };
    let wanted = targets.iter().filter(|target| flags.names.is_empty() || flags.names.iter().any(|name| name == target.name));
    let failed = wanted.map(|target| if let Some(file) = &flags.replay { again(target, file) } else { run(target, &flags) }).sum::<u64>();
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn flags(targets: &[Target]) -> Result<Flags, String> {
    let mut flags = Flags { seconds: 10, seed: 1, out: PathBuf::from("fuzz-out"), replay: None, names: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} lacks its value"));
        let number = |text: String| text.parse().map_err(|_| format!("{word} {text} is no number"));
        match word.as_str() {
            "--seconds" => flags.seconds = number(value()?)?,
            "--seed" => flags.seed = number(value()?)?,
            "--out" => flags.out = value()?.into(),
            "--replay" => flags.replay = Some(value()?.into()),
            name if targets.iter().any(|target| target.name == name) => flags.names.push(word),
            _ => return Err(format!("there is no target {word}")),
        }
    }
    if flags.replay.is_some() && flags.names.len() != 1 {
        return Err("--replay needs one target".to_string());
    }
    Ok(flags)
}

/// Tries a target until its time is over; gives the number of findings.
fn run(target: &Target, flags: &Flags) -> u64 {
    let mut fuzzer = match Fuzzer::new(target, flags.seed, flags.out.clone()) {
        Ok(fuzzer) => fuzzer,
        Err(error) => {
            eprintln!("fuzz: {}: {error}", flags.out.display());
            return 1;
        }
    };
    let (begin, tried) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    watch(target.name, tried.clone());
    let mut found = 0;
    while begin.elapsed() < Duration::from_secs(flags.seconds) {
        if let Err(Failed { input, why }) = fuzzer.next() {
            found += 1;
            eprintln!("{why}\n  kept: {}", input.display());
        }
        tried.fetch_add(1, Ordering::Relaxed);
    }
    println!("{:>12}: {} inputs in {} s, {found} failed", target.name, tried.load(Ordering::Relaxed), flags.seconds);
    found
}

/// Ends the process when a target is stuck: a thread cannot be stopped from outside.
fn watch(name: &'static str, tried: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        // The target is done when only this thread still knows the counter.
        while Arc::strong_count(&tried) > 1 {
            let before = tried.load(Ordering::Relaxed);
            for _ in 0..RUN_AWAY {
                std::thread::sleep(Duration::from_secs(1));
                if Arc::strong_count(&tried) == 1 {
                    return;
                }
            }
            if tried.load(Ordering::Relaxed) == before {
                eprintln!("{name} runs away: {RUN_AWAY} s on one input, kept as {name}.running");
                std::process::exit(1);
            }
        }
    });
}

fn again(target: &Target, file: &std::path::Path) -> u64 {
    let outcome = std::fs::read(file).map_err(|error| error.to_string()).and_then(|input| Fuzzer::replay(target, &input));
    match outcome {
        Ok(()) => println!("{} survives {}", target.name, file.display()),
        Err(why) => {
            eprintln!("{}: {why}", file.display());
            return 1;
        }
    }
    0
}
