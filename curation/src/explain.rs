//! Why a text is or is not in a query list, from what the list itself says.

use crate::{Error, Query, Rule, query_text};
use shards::TableReader;
use std::fmt::Write;
use std::path::Path;

/// Says in a few lines why `text` is in the list at `path`, or why not.
///
/// # Errors
/// `Shards` when the list cannot be read, `QueryList` when it names no known matching rule.
pub fn explain(path: &Path, text: &str) -> Result<String, Error> {
    let reader = TableReader::<Query>::open(path)?;
    let wrong = |why: String| Error::QueryList { path: path.to_path_buf(), why };
    let rule: Rule = reader.note("match").unwrap_or_default().parse().map_err(wrong)?;
    let notes: Vec<(&str, String)> = ["min_count", "min_pairs", "pmi", "limit", "words", "min_views", "parent.wordnet"]
        .iter()
        .map(|key| (*key, reader.note(key).unwrap_or_default().to_string()))
        .collect();
    let note = |key: &str| notes.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str()).unwrap_or_default();
    let form = match query_text(text, rule) {
        Ok(Some(form)) => form,
        Ok(None) => return Ok(format!("{text:?} is no query: it is empty or a lone sign")),
        Err(why) => return Ok(format!("{text:?} is no query: {why}")),
    };
    let rows = reader.row_count();
    let mut ranks = std::collections::BTreeMap::<String, u64>::new();
    for batch in reader {
        for row in batch? {
            let rank = ranks.entry(format!("{}{}", row.source, row.cut)).or_default();
            *rank += 1;
            if row.text == form {
                return Ok(of_row(&row, *rank, &note, rule));
            }
        }
    }
    Ok(absent(&form, rows, &note, rule))
}

/// Why a row is kept or cut.
fn of_row<'n>(row: &Query, rank: u64, note: &impl Fn(&str) -> &'n str, rule: Rule) -> String {
    let mut out = match row.cut.as_str() {
        "" => format!("{:?} is in the list: query {}, number {rank} of those kept for the source {}", row.text, row.id, row.source),
        cut => {
            let why = match cut {
                "pmi" => format!("as a pair of words it has less than the {} bits of information asked for", short(note("pmi"))),
                "rank" => "as a pair of words it is beyond the number of pairs taken".to_string(),
                "limit" => {
                    format!("the sources that propose it had filled their quotas of the limit {} with better entries", note("limit"))
                }
                other => other.to_string(),
            };
            format!("{:?} is not in the list: {why} (source {}, cut {cut})", row.text, row.source)
        }
    };
    let _ = write!(out, "\nseen {} times among {} words", row.count, note("words"));
    if let Some(pmi) = row.pmi {
        let _ = write!(out, "\npointwise mutual information {pmi:.2} bits, {} were asked for", short(note("pmi")));
    }
    if let Some(views) = row.views {
        let _ = write!(out, "\n{views} page views, {} were asked for", note("min_views"));
    }
    let _ = write!(out, "\nthe list is meant for the matching rule {rule}");
    out
}

/// Why no source proposes a text.
fn absent<'n>(form: &str, rows: u64, note: &impl Fn(&str) -> &'n str, rule: Rule) -> String {
    let mut out = format!("{form:?} is not in the list: none of its {rows} rows has this text (matching rule {rule})");
    let words = form.split(' ').count();
    let _ = match words {
        1 => write!(out, "\nas a word it was {} among {} words", seen_below(note("min_count")), note("words")),
        2 => write!(out, "\nas two words in a row it was {}", seen_below(note("min_pairs"))),
        _ => write!(out, "\nit has {words} words: only titles, WordNet and added queries have more than two"),
    };
    let _ = match note("min_views") {
        "" => write!(out, "\nno page views were read"),
        views => write!(out, "\nas a title it has fewer than {views} page views"),
    };
    out + if note("parent.wordnet").is_empty() { "\nno WordNet was read" } else { "\nno synset of the WordNet begins with it" }
}

/// How often something was seen that is below a least count.
fn seen_below(least: &str) -> String {
    match least {
        "0" | "1" => "not seen".to_string(),
        least => format!("seen fewer than {least} times, if at all"),
    }
}

/// A number of bits in two digits.
fn short(bits: &str) -> String {
    bits.parse::<f64>().map_or_else(|_| bits.to_string(), |bits| format!("{bits:.2}"))
}
