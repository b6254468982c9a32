//! Lays a report out: one function per section, each empty when it has nothing to show.

use super::html::{count, escape, image, number, percent, seconds};
use super::plot;
use super::{Confusion, Prediction, ReportData};
use std::fmt::Write;

/// The page's style: no script, no font, no file from elsewhere; dark and light by the reader's choice, ink on paper when printed.
const STYLE: &str = include_str!("style.css");
/// Classes shown of a picture's answer.
const TOP: usize = 5;
/// Mistakes listed under the confusion map.
const WORST: usize = 8;

/// The report as one HTML page without scripts or links to other files.
pub fn render(data: &ReportData) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n",
    );
    let _ = write!(out, "<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", escape(&data.title));
    let _ = write!(out, "<header><h1>{}</h1>", escape(&data.title));
    if !data.summary.is_empty() {
        let _ = write!(out, "<p class=\"summary\">{}</p>", escape(&data.summary));
    }
    out.push_str("</header>\n<main>\n");
    out.push_str(&headline(data));
    out.push_str("<div class=\"columns\">\n");
    out.push_str(&accuracy(data));
    out.push_str(&bars(
        "From pages to samples",
        "what each step left",
        data.funnel.iter().map(|(name, n)| (name.as_str(), *n as f64, count(*n))),
    ));
    out.push_str(&pairs(data));
    out.push_str(&bars(
        "Refused",
        "pairs, by the first reason",
        data.refusals.iter().map(|(name, n)| (name.as_str(), *n as f64, count(*n))),
    ));
    out.push_str("</div>\n");
    out.push_str(&curves(data));
    out.push_str(&predictions(&data.predictions));
    out.push_str(&data.confusion.as_ref().map(confusion).unwrap_or_default());
    out.push_str(&duplicates(data));
    out.push_str("<div class=\"columns\">\n");
    out.push_str(&bars("Time", "per stage", data.stages.iter().map(|(name, s)| (name.as_str(), *s, seconds(*s)))));
    out.push_str(&facts(data));
    out.push_str("</div>\n");
    out.push_str(&commands(data));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// A section with a heading, or nothing when `inside` is empty.
fn section(title: &str, note: &str, inside: &str) -> String {
    if inside.is_empty() {
        return String::new();
    }
    let note = if note.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(note)) };
    format!("<section><h2>{}{note}</h2>\n{inside}</section>\n", escape(title))
}

fn headline(data: &ReportData) -> String {
    if data.headline.is_empty() {
        return String::new();
    }
    let tile = |(what, much): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(what), escape(much));
    format!("<dl class=\"tiles\">{}</dl>\n", data.headline.iter().map(tile).collect::<String>())
}

/// Names with bars as long as their values and the values in words.
fn bars<'a>(title: &str, note: &str, rows: impl Iterator<Item = (&'a str, f64, String)>) -> String {
    let rows: Vec<_> = rows.collect();
    let most = rows.iter().map(|row| row.1).fold(0.0, f64::max);
    let row = |(name, value, words): &(&str, f64, String)| {
        let width = if most > 0.0 { 100.0 * value.max(0.0) / most } else { 0.0 };
        format!("<tr><th>{}</th><td class=\"track\"><i style=\"width:{width:.1}%\"></i></td><td>{words}</td></tr>\n", escape(name))
    };
    let table: String = rows.iter().map(row).collect();
    section(title, note, &if table.is_empty() { table } else { format!("<table class=\"bars\">\n{table}</table>\n") })
}

fn accuracy(data: &ReportData) -> String {
    if data.accuracies.is_empty() {
        return String::new();
    }
    let legend = "<p class=\"legend\"><span><i class=\"s1\"></i>right answers, with the 95 % interval</span><span><i class=\"s2\"></i>guessing</span></p>";
    section("Accuracy", "zero-shot, top-1", &(plot::accuracies(&data.accuracies) + legend))
}

fn pairs(data: &ReportData) -> String {
    if data.pairs_before.iter().all(|&n| n == 0) {
        return String::new();
    }
    let legend = "<p class=\"legend\"><span><i class=\"s2\"></i>seen</span><span><i class=\"s1\"></i>kept</span></p>";
    let figure = plot::pairs_per_query(&data.pairs_before, &data.pairs_after, data.per_query);
    section("Pairs per query", "before and after the cap", &(figure + legend))
}

fn curves(data: &ReportData) -> String {
    let figure = |curve: &super::Curve| {
        let last = curve.points.iter().rev().find(|point| point.1.is_finite());
        let last = last.map(|point| format!(", at the end {}", number(point.1))).unwrap_or_default();
        let caption = format!("<figcaption>{}{last}</figcaption>", escape(&curve.name));
        format!("<figure>{}{caption}</figure>\n", plot::curve(&curve.name, &curve.points))
    };
    let figures: String = data.curves.iter().map(figure).collect();
    section("Training", "", &if figures.is_empty() { figures } else { format!("<div class=\"figures\">{figures}</div>\n") })
}

fn predictions(predictions: &[Prediction]) -> String {
    let card = |prediction: &Prediction| {
        let right = prediction.top.first().is_some_and(|(class, _)| *class == prediction.truth);
        let (mark, word) = if right { ("right", "✓") } else { ("wrong", "✗") };
        let answer = |(class, share): &(String, f64)| {
            let marked = if *class == prediction.truth { " class=\"truth\"" } else { "" };
            let width = 100.0 * share.clamp(0.0, 1.0);
            format!("<li{marked}><i style=\"width:{width:.1}%\"></i><span>{}</span><b>{}</b></li>", escape(class), percent(*share))
        };
        let answers: String = prediction.top.iter().take(TOP).map(answer).collect();
        let truth = escape(&prediction.truth);
        let picture = image(&prediction.image, &prediction.truth);
        format!("<figure class=\"card {mark}\">{picture}<figcaption><em>{word}</em> {truth}</figcaption><ol>{answers}</ol></figure>\n")
    };
    let cards: String = predictions.iter().map(card).collect();
    let inside = if cards.is_empty() { cards } else { format!("<div class=\"cards\">{cards}</div>\n") };
    section("What the model says", "test pictures, what they show, and the five classes found most probable", &inside)
}

fn confusion(confusion: &Confusion) -> String {
    let mut mistakes = Vec::new();
    for (truth, row) in confusion.counts.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|&(answer, &n)| answer != truth && n > 0);
        mistakes.extend(wrong.map(|(answer, &n)| (n, truth, answer)));
    }
    // The most frequent first, then in the order of the classes.
    mistakes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.cmp(b)));
    let name = |class: usize| escape(confusion.classes.get(class).map_or("?", String::as_str));
    let row = |&(n, truth, answer): &(u64, usize, usize)| {
        format!("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", name(truth), name(answer), count(n))
    };
    let rows: String = mistakes.iter().take(WORST).map(row).collect();
    let table = format!("<table class=\"plain\"><tr><th>shows</th><th>taken for</th><th>times</th></tr>{rows}</table>");
    let table = if rows.is_empty() { "<p>No mistakes.</p>".to_string() } else { table };
    let inside = format!("<div class=\"columns\"><div class=\"map\">{}</div><div>{table}</div></div>\n", plot::confusion(confusion));
    section("Confusion", "rows show, columns answer; right answers lie on the diagonal", &inside)
}

fn duplicates(data: &ReportData) -> String {
    let pair = |pair: &super::DuplicatePair| {
        let (kept, copy) = (image(&pair.kept, "kept"), image(&pair.copy, "copy"));
        format!("<figure class=\"twins\">{kept}{copy}<figcaption>{}</figcaption></figure>\n", escape(&pair.reason))
    };
    let pairs: String = data.duplicates.iter().map(pair).collect();
    let inside = if pairs.is_empty() { pairs } else { format!("<div class=\"cards wide\">{pairs}</div>\n") };
    section("Copies found", "left the picture kept, right its copy", &inside)
}

fn facts(data: &ReportData) -> String {
    let row = |(name, value): &(String, String)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    let rows: String = data.facts.iter().map(row).collect();
    section("Machine and versions", "", &if rows.is_empty() { rows } else { format!("<table class=\"plain\">{rows}</table>\n") })
}

fn commands(data: &ReportData) -> String {
    let lines = data.commands.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n");
    section("The same again", "the command lines of this run", &if lines.is_empty() { lines } else { format!("<pre>{lines}</pre>\n") })
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, Curve, DuplicatePair};
    use super::*;

    fn full() -> ReportData {
        let evil = || "<script>alert('x')</script> & \"co\"".to_string();
        ReportData {
            title: evil(),
            summary: evil(),
            headline: vec![(evil(), evil())],
            stages: vec![(evil(), 12.0)],
            funnel: vec![(evil(), 0), ("b".to_string(), 12_345)],
            refusals: vec![(evil(), 3)],
            pairs_before: vec![900, 30, 2],
            pairs_after: vec![300, 30, 2],
            per_query: Some(300),
            curves: vec![Curve { name: evil(), points: vec![(0.0, 3.0), (1.0, f64::NAN), (2.0, 1.0)] }],
            accuracies: vec![Accuracy { name: evil(), correct: 8, n: 10, chance: 0.01 }],
            confusion: Some(Confusion { classes: vec![evil(), "b".to_string()], counts: vec![vec![3, 1], vec![0, 4, 7]] }),
            predictions: vec![Prediction {
                image: b"\xff\xd8x".to_vec(),
                truth: evil(),
                top: vec![(evil(), 0.9), ("b".to_string(), f64::NAN)],
            }],
            duplicates: vec![DuplicatePair { kept: b"\x89PNG".to_vec(), copy: b"junk".to_vec(), reason: evil() }],
            commands: vec![evil()],
            facts: vec![(evil(), evil())],
        }
    }

    #[test]
    fn every_value_is_escaped_and_nothing_comes_from_elsewhere() {
        let page = render(&full());
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
        assert_eq!(page.matches("<section>").count(), 11);
    }

    #[test]
    fn tags_are_closed() {
        let page = render(&full());
        for tag in ["section", "div", "table", "svg", "figure", "ol", "li", "tr", "td", "th", "dl", "pre", "text"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn empty_sections_are_left_out() {
        let page = render(&ReportData { title: "Empty".to_string(), ..ReportData::default() });
        assert!(page.contains("<h1>Empty</h1>") && !page.contains("<section>") && !page.contains("<dl"));
    }
}
