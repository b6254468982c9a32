//! The loader without a model: how fast it is, whether its memory stays flat, and what its views look like beside others'.
//!
//! ```text
//! loader speed MANIFEST [SECONDS] [WORKERS] [BATCH] [SIDE]   one JSON object of figures on stdout, memory now and then on stderr
//! loader view SIDE PICTURE...                                the evaluation views as raw RGB on stdout, one after the other
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use training::{Augment, Loader, LoaderOptions, Position, Samples, Tokenizer, evaluation_view};

type Failure = Box<dyn std::error::Error>;

/// Time before counting begins: the first window is read, memory is taken.
const WARM_UP: Duration = Duration::from_secs(3);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["speed", manifest, ref numbers @ ..] => speed(Path::new(manifest), numbers),
        ["view", side, ref pictures @ ..] => view(side.parse()?, pictures),
        _ => Err("usage: loader speed MANIFEST [SECONDS] [WORKERS] [BATCH] [SIDE] | loader view SIDE PICTURE...".into()),
    }
}

fn speed(manifest: &Path, numbers: &[&str]) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let number = |at: usize, default: usize| numbers.get(at).map_or(Ok(default), |text| text.parse());
    let (seconds, workers, batch_size, side) = (number(0, 15)?, number(1, cores)?, number(2, 256)?, number(3, 224)?);
    let tokenizer = Tokenizer::new()?;
    let opened = Instant::now();
    let samples = Arc::new(Samples::read(&[PathBuf::from(manifest).into()])?);
    let opened = opened.elapsed();
    let options = LoaderOptions {
        seed: 1,
        batch_size,
        image_size: side as u32,
        augment: Augment::Crop,
        context_length: 77,
        workers,
        device: tch::Device::Cpu,
        rank: (0, 1),
    };
    let tokenize = Arc::new(move |text: &str, most: usize| tokenizer.encode(text, most));
    let mut loader = Loader::start(samples.clone(), tokenize, options, Position::default())?;
    let begin = Instant::now();
    while begin.elapsed() < WARM_UP {
        loader.next_batch()?;
    }
    let (begin, before) = (Instant::now(), loader.times());
    let (mut batches, mut damaged, mut told) = (0, 0, Duration::ZERO);
    let first = megabytes("VmRSS");
    while begin.elapsed() < Duration::from_secs(seconds as u64) {
        let batch = loader.next_batch()?;
        batches += 1;
        damaged += batch.damaged.len();
        if begin.elapsed() > told + Duration::from_secs(10) {
            told = begin.elapsed();
            eprintln!("{:.0} s: {} MB, epoch {}", told.as_secs_f64(), megabytes("VmRSS"), batch.next.epoch);
        }
    }
    let (took, times) = (begin.elapsed().as_secs_f64(), loader.times());
    let done = (batches * batch_size) as f64;
    let figures = serde_json::json!({
        "samples_per_second": done / took,
        "samples": batches * batch_size,
        "seconds": took,
        "workers": workers,
        "batch": batch_size,
        "side": side,
        "corpus": samples.count(),
        "open_seconds": opened.as_secs_f64(),
        "decode_ms_per_sample": (times.decode - before.decode).as_secs_f64() * 1e3 / done,
        "read_ms_per_sample": (times.read - before.read).as_secs_f64() * 1e3 / done,
        "damaged": damaged,
        "megabytes_at_first": first,
        "megabytes_at_last": megabytes("VmRSS"),
        "megabytes_at_most": megabytes("VmHWM"),
    });
    println!("{figures}");
    Ok(())
}

/// A line of what Linux says of this process' memory, in MB; 0 elsewhere.
fn megabytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim_matches([':', ' ', '\t']).split(' ').next()?.parse::<u64>().ok());
    kilobytes.map_or(0, |kilobytes| kilobytes / 1024)
}

fn view(side: u32, pictures: &[&str]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for picture in pictures {
        let pixels = shards::decode(&std::fs::read(picture)?, &shards::Limits::default())?.pixels;
        out.write_all(evaluation_view(&pixels, side).as_raw())?;
    }
    Ok(())
}
