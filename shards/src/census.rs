//! What a set of samples holds, counted as they pass by, and the part of its card that says so.
//!
//! Holds no times and no paths: same samples, same text.

use crate::{FORMAT_VERSION, Sample, script};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Hosts counted apart; further ones are counted together, so that a hostile set cannot fill the memory.
const MAX_HOSTS: usize = 1 << 20;
/// Hosts listed.
const TOP_HOSTS: usize = 20;

/// The counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    samples: u64,
    captions: u64,
    splits: BTreeMap<String, u64>,
    scripts: BTreeMap<&'static str, u64>,
    hosts: BTreeMap<String, u64>,
    other_hosts: u64,
}

impl Census {
    pub(crate) fn count(&mut self, sample: &Sample) {
        self.samples += 1;
        self.captions += sample.captions.len() as u64;
        *self.splits.entry(sample.split.clone()).or_default() += 1;
        for caption in &sample.captions {
            *self.scripts.entry(script(caption)).or_default() += 1;
        }
        let host = sample.image_url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        if let Some(n) = self.hosts.get_mut(host) {
            *n += 1;
        } else if self.hosts.len() < MAX_HOSTS {
            self.hosts.insert(host.to_string(), 1);
        } else {
            self.other_hosts += 1;
        }
    }

    /// A section of a card: counts by split and script, hosts when `with_hosts`, then `settings`.
    pub(crate) fn section(&self, heading: &str, with_hosts: bool, settings: &[(&str, String)]) -> String {
        let mut text = format!("\n## {heading}\n\n{} samples with {} captions.\n\n", self.samples, self.captions);
        let table = |text: &mut String, head: &str, rows: &mut dyn Iterator<Item = (String, u64)>| {
            text.push_str(&format!("| {head} | |\n|---|---:|\n"));
            for (name, n) in rows {
                // Names are strangers' text: they may not break out of the table.
                let name: String = name.chars().map(|c| if c.is_control() || "|`<>\\".contains(c) { '?' } else { c }).collect();
                let _ = writeln!(text, "| {name} | {n} |");
            }
            text.push('\n');
        };
        table(&mut text, "split", &mut self.splits.iter().map(|(name, n)| (name.clone(), *n)));
        table(
            &mut text,
            "script of the caption (languages are not told apart)",
            &mut self.scripts.iter().map(|(name, n)| (name.to_string(), *n)),
        );
        if with_hosts && self.hosts.keys().any(|host| !host.is_empty()) {
            let mut hosts: Vec<(&String, u64)> =
                self.hosts.iter().filter(|(host, _)| !host.is_empty()).map(|(host, n)| (host, *n)).collect();
            hosts.sort_by_key(|(host, n)| (std::cmp::Reverse(*n), *host));
            let rest = hosts.iter().skip(TOP_HOSTS).map(|(_, n)| n).sum::<u64>() + self.other_hosts;
            let rest = (rest > 0).then(|| ("all others".to_string(), rest));
            table(&mut text, "host", &mut hosts.iter().take(TOP_HOSTS).map(|(host, n)| (host.to_string(), *n)).chain(rest));
        }
        text.push_str("| setting | value |\n|---|---|\n");
        let versions = [("diptych", env!("CARGO_PKG_VERSION").to_string()), ("format", FORMAT_VERSION.to_string())];
        for (name, value) in settings.iter().chain(&versions) {
            let _ = writeln!(text, "| {name} | {value} |");
        }
        text
    }
}
