//! Measures matching for `benches/matching.py`: `matching ENTRIES CAPTIONS RULE`, both files with a text per line.
//!
//! Prints one JSON object: seconds to build, memory taken, captions a second of processor time on one core, the number of matches,
//! and a sum over all (caption, entry) pairs by which another program's answers can be compared.

use curation::{Matcher, Rule};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, entries, captions, rule] = &arguments[..] else { return Err("usage: matching ENTRIES CAPTIONS RULE".into()) };
    let rule: Rule = rule.parse()?;
    let lines = |path: &str| -> std::io::Result<Vec<String>> { Ok(std::fs::read_to_string(path)?.lines().map(String::from).collect()) };
    let (entries, captions) = (lines(entries)?, lines(captions)?);
    let before = resident();
    let begun = Instant::now();
    let count = entries.len();
    let matcher = Matcher::from_texts(entries, rule);
    let built = begun.elapsed().as_secs_f64();
    let memory = resident().saturating_sub(before);
    let mut speeds = Vec::new();
    let (mut matches, mut sum) = (0u64, 0u64);
    for _ in 0..3 {
        (matches, sum) = (0, 0);
        let begun = processor_seconds();
        for (number, caption) in (1u64..).zip(&captions) {
            for id in matcher.queries(caption) {
                matches += 1;
                // Both factors odd multiples, so that no two pairs of a run cancel by chance alone.
                sum = sum.wrapping_add(number.wrapping_mul(0x9e37_79b9).wrapping_mul(2 * u64::from(id) + 1) & 0xffff_ffff);
            }
        }
        speeds.push(captions.len() as f64 / (processor_seconds() - begun));
    }
    speeds.sort_by(f64::total_cmp);
    println!(
        "{{\"entries\": {count}, \"build_seconds\": {built:.3}, \"memory_mb\": {:.1}, \"captions_per_second\": {:.0}, \"matches\": {matches}, \"sum\": {sum}}}",
        memory as f64 / 1e6,
        speeds[1]
    );
    Ok(())
}

/// Memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Time that this thread has had on a processor.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
