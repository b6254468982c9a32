//! `card.md`: what a selection holds, what each rule removed and how to make it again, for people.
//!
//! Counts while samples pass by. Holds no times and no paths of this machine but those of the corpus: same input, same bytes.

use crate::SelectSummary;
use crate::filters::{Filters, Rule};
use crate::pool::Seen;
use shards::{Sample, outcome, script};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Hosts and licences listed.
const TOP_HOSTS: usize = 20;
const TOP_LICENCES: usize = 10;
/// Hosts counted apart, so that a hostile corpus cannot fill the memory; further ones are counted together.
const MAX_HOSTS: usize = 1 << 20;
/// Upper bounds of the classes of caption lengths in words, and of sides in pixels.
const WORD_CLASSES: [usize; 6] = [1, 2, 4, 8, 16, 32];
const SIDE_CLASSES: [usize; 6] = [64, 128, 256, 384, 512, 1024];

/// The numbers of a card.
#[derive(Default)]
pub(crate) struct Card {
    hosts: BTreeMap<String, u64>,
    /// Samples of hosts beyond [`MAX_HOSTS`].
    other_hosts: u64,
    words: [u64; WORD_CLASSES.len() + 1],
    sides: [u64; SIDE_CLASSES.len() + 1],
    /// Captions by script.
    scripts: BTreeMap<&'static str, u64>,
    /// Pairs seen, by what became of them.
    outcomes: BTreeMap<String, u64>,
    /// The days of the first and the last decision.
    days: Option<(String, String)>,
    sources: Vec<String>,
    /// Pairs of the pool with a licence, with an author, and by licence.
    licensed: u64,
    authored: u64,
    licences: BTreeMap<String, u64>,
}

impl Card {
    pub(crate) fn count(&mut self, sample: &Sample) {
        let host = host(&sample.image_url);
        if let Some(n) = self.hosts.get_mut(host) {
            *n += 1;
        } else if self.hosts.len() < MAX_HOSTS {
            self.hosts.insert(host.to_string(), 1);
        } else {
            self.other_hosts += 1;
        }
        for caption in &sample.captions {
            *self.scripts.entry(script(caption)).or_default() += 1;
            self.words[class(&WORD_CLASSES, caption.split_whitespace().count())] += 1;
        }
        self.sides[class(&SIDE_CLASSES, sample.width.min(sample.height) as usize)] += 1;
    }

    /// Takes over what is known of the crawl.
    pub(crate) fn crawled(&mut self, seen: &Seen, sources: &[String]) {
        self.outcomes = seen.outcomes.clone();
        self.days = seen.times.map(|(first, last)| (day(first), day(last)));
        self.sources = sources.to_vec();
        (self.licensed, self.authored, self.licences) = (seen.licensed, seen.authored, seen.licences.clone());
    }

    /// Number of different hosts.
    pub(crate) fn hosts(&self) -> u64 {
        self.hosts.len() as u64
    }

    pub(crate) fn text(&self, name: &str, summary: &SelectSummary, filters: &Filters, settings: &[(String, String)]) -> String {
        let mut out = String::new();
        self.write(&mut out, name, summary, filters, settings).unwrap_or_else(|_| unreachable!("writing to a string cannot fail"));
        out
    }

    fn write(
        &self,
        out: &mut String,
        name: &str,
        summary: &SelectSummary,
        filters: &Filters,
        settings: &[(String, String)],
    ) -> std::fmt::Result {
        writeln!(out, "# Selection `{name}`\n")?;
        writeln!(
            out,
            "{} samples (pictures) with {} captions, out of {} pairs in the pool. `manifest.parquet` lists them, \
             `reasons.parquet` says of every pair of the pool whether it was kept and which rule refused it.\n",
            summary.samples, summary.kept, summary.pairs
        )?;
        self.write_sources(out)?;
        writeln!(out, "## What each rule removed\n\nRules apply in this order, the first that refuses a pair is its reason.\n")?;
        writeln!(out, "| rule | removes | pairs | share of the pool |\n|---|---|---:|---:|")?;
        for (rule, (_, removed)) in Rule::all().zip(&summary.removed) {
            let state = if filters.on(rule) { filters.describe(rule) } else { "(switched off)".to_string() };
            let share = 100.0 * *removed as f64 / summary.pairs.max(1) as f64;
            writeln!(out, "| `{}` | {state} | {removed} | {share:.2} % |", rule.name())?;
        }
        writeln!(out, "| kept | | {} | {:.2} % |", summary.kept, 100.0 * summary.kept as f64 / summary.pairs.max(1) as f64)?;
        if summary.comparisons_left_out > 0 {
            writeln!(out, "\n{} comparisons of crowded perceptual hashes were left out.", summary.comparisons_left_out)?;
        }
        if summary.unreachable > 0 {
            writeln!(out, "\n{} queries cannot reach the cap: the crawl's own cap was lower.", summary.unreachable)?;
        }
        writeln!(out, "\n## What it holds\n\n| words in the caption | captions |\n|---|---:|")?;
        write_classes(out, &WORD_CLASSES, &self.words)?;
        writeln!(out, "\n| script of the caption (languages are not told apart) | captions |\n|---|---:|")?;
        for (script, n) in &self.scripts {
            writeln!(out, "| {script} | {n} |")?;
        }
        writeln!(out, "\n| shorter side in pixels, as stored | samples |\n|---|---:|")?;
        write_classes(out, &SIDE_CLASSES, &self.sides)?;
        writeln!(out, "\nPictures come from {} hosts. The first {TOP_HOSTS}:\n\n| host | samples |\n|---|---:|", self.hosts())?;
        let mut hosts: Vec<(&String, &u64)> = self.hosts.iter().collect();
        hosts.sort_by_key(|(host, n)| (std::cmp::Reverse(**n), *host));
        for (host, n) in hosts.iter().take(TOP_HOSTS) {
            // A host name is a stranger's text: it may not break out of the table.
            let host: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || "-._:[]".contains(c) { c } else { '?' }).collect();
            writeln!(out, "| {host} | {n} |")?;
        }
        let rest = hosts.iter().skip(TOP_HOSTS).map(|(_, n)| **n).sum::<u64>() + self.other_hosts;
        if rest > 0 {
            writeln!(out, "| all others | {rest} |")?;
        }
        writeln!(out, "\n## How it was made\n\n| setting | value |\n|---|---|")?;
        for (name, value) in settings {
            writeln!(out, "| {name} | {value} |")?;
        }
        writeln!(
            out,
            "\nThe same pool and settings give the same bytes. Pictures and captions belong to those who published them; \
             `image_url` and `page_url` of the manifest say where."
        )
    }
}

impl Card {
    /// Where the pairs come from, when, and what was refused before anything was stored.
    fn write_sources(&self, out: &mut String) -> std::fmt::Result {
        if self.outcomes.is_empty() && self.sources.is_empty() {
            return Ok(());
        }
        writeln!(out, "## Where it comes from\n")?;
        for source in &self.sources {
            let source: String = source.chars().map(|c| if c.is_control() || "|`<>".contains(c) { '?' } else { c }).collect();
            writeln!(out, "- `{source}`")?;
        }
        if let Some((first, last)) = &self.days {
            writeln!(out, "\nDecided from {first} to {last} (UTC).")?;
        }
        let opted: u64 = [outcome::OPTED_OUT, outcome::ROBOTS].iter().filter_map(|outcome| self.outcomes.get(*outcome)).sum();
        writeln!(
            out,
            "\n{opted} pairs were left out because `robots.txt`, a header or a page's own words refuse the use; {} were taken down on request \
             since.\n",
            self.outcomes.get("removed").unwrap_or(&0)
        )?;
        self.write_rights(out)?;
        writeln!(out, "| what became of a pair that was seen | pairs |\n|---|---:|")?;
        for (outcome, n) in &self.outcomes {
            let outcome: String = outcome.chars().filter(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c)).collect();
            writeln!(out, "| {outcome} | {n} |")?;
        }
        writeln!(out)
    }
}

impl Card {
    /// What sources and pages say of the rights in the pool's pairs.
    fn write_rights(&self, out: &mut String) -> std::fmt::Result {
        let pairs = self.outcomes.get(outcome::OK).unwrap_or(&0);
        writeln!(
            out,
            "Of the {pairs} pairs of the pool {} name a licence and {} an author, as their sources have it; nobody has checked it.\n",
            self.licensed, self.authored
        )?;
        if self.licences.is_empty() {
            return Ok(());
        }
        writeln!(out, "| licence, the {TOP_LICENCES} most frequent | pairs |\n|---|---:|")?;
        let mut licences: Vec<(&String, &u64)> = self.licences.iter().collect();
        licences.sort_by_key(|(licence, n)| (std::cmp::Reverse(**n), *licence));
        for (licence, n) in licences.iter().take(TOP_LICENCES) {
            writeln!(out, "| {} | {n} |", plain(licence))?;
        }
        writeln!(out)
    }
}

/// A stranger's text, so that it cannot break out of a table or become a link.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || " -._:/+".contains(c) { c } else { '?' }).collect()
}

/// The day of a time in milliseconds since 1970, as `2026-11-24`.
fn day(time_ms: i64) -> String {
    // Days since 0000-03-01 in the proleptic Gregorian calendar, cut into eras of 400 years.
    let days = time_ms.div_euclid(86_400_000) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + later)
}

fn class(bounds: &[usize], value: usize) -> usize {
    bounds.partition_point(|&bound| bound < value)
}

fn write_classes(out: &mut String, bounds: &[usize], counts: &[u64]) -> std::fmt::Result {
    let mut from = 0;
    for (i, &n) in counts.iter().enumerate() {
        match bounds.get(i) {
            Some(&to) if to == from => writeln!(out, "| {to} | {n} |")?,
            Some(&to) => writeln!(out, "| {from} to {to} | {n} |")?,
            None => writeln!(out, "| {from} or more | {n} |")?,
        }
        from = bounds.get(i).map_or(from, |bound| bound + 1);
    }
    Ok(())
}

/// The host of a canonical URL with its port; `data` for pictures that stood in the page itself.
fn host(url: &str) -> &str {
    let Some((scheme, rest)) = url.split_once("://") else { return url.split(':').next().unwrap_or_default() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() { scheme } else { authority.rsplit('@').next().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_times() {
        let expected = [(0, "1970-01-01"), (951_782_400_000, "2000-02-29"), (1_795_478_400_000, "2026-11-24"), (-1, "1969-12-31")];
        expected.into_iter().for_each(|(time, text)| assert_eq!(day(time), text));
    }

    #[test]
    fn rights_are_counted() {
        let mut card = Card { licensed: 3, authored: 1, ..Card::default() };
        card.outcomes.insert("ok".to_string(), 5);
        card.licences = [("CC0", 1), ("CC BY 4.0|<b>", 2)].map(|(name, n)| (name.to_string(), n)).into();
        let mut out = String::new();
        card.write_rights(&mut out).expect("written");
        assert!(out.starts_with("Of the 5 pairs of the pool 3 name a licence and 1 an author"), "{out}");
        assert!(out.contains("| CC BY 4.0??b? | 2 |\n| CC0 | 1 |"), "{out}");
    }

    #[test]
    fn hosts_and_classes() {
        assert_eq!(host("http://me:x@e.org:81/a?b"), "e.org:81");
        assert_eq!(host("data:image/png;base64,xx"), "data");
        assert_eq!(host(""), "");
        let mut out = String::new();
        write_classes(&mut out, &[1, 2, 4], &[5, 6, 7, 8]).expect("written");
        assert_eq!(out, "| 0 to 1 | 5 |\n| 2 | 6 |\n| 3 to 4 | 7 |\n| 5 or more | 8 |\n");
        assert_eq!([0, 1, 2, 3, 4, 5].map(|value| class(&[1, 2, 4], value)), [0, 0, 1, 2, 2, 3]);
    }
}
