//! Lays a report out: one function per section, each empty when it has nothing to show.

use super::html::{count, escape, image, number, percent, seconds};
use super::{HostTally, Prediction, ReportData, Shown, matrix, plot};
use std::fmt::Write;

/// The page's style: no script, no font, no file from elsewhere; dark and light by the reader's choice, ink on paper when printed.
const STYLE: &str = include_str!("style.css");
/// Classes shown of a picture's answer.
const TOP: usize = 5;
/// Reasons listed beside a host.
const REASONS: usize = 4;

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
        "Refused, by reason",
        "pairs, by the first reason",
        data.refusals.iter().map(|(name, n)| (name.as_str(), *n as f64, count(*n))),
    ));
    out.push_str("</div>\n");
    out.push_str(&hosts(&data.hosts));
    out.push_str(&queries(data));
    out.push_str(&duplicates(data));
    out.push_str(&curves(data));
    out.push_str(&predictions(
        "What the model says",
        "test pictures, evenly spaced over the test set, with the classes found most probable",
        &data.predictions,
    ));
    out.push_str(&predictions("Surest mistakes", "the wrong answers of highest probability", &data.surest_mistakes));
    out.push_str(&confusion(data));
    out.push_str("<div class=\"columns\">\n");
    out.push_str(&bars("Time", "per stage", data.stages.iter().map(|(name, s)| (name.as_str(), *s, seconds(*s)))));
    out.push_str(&facts(data));
    out.push_str("</div>\n");
    out.push_str(&missing(data));
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

/// Accuracies as bars with their intervals and the level of guessing; the words wrap where a figure's could not.
fn accuracy(data: &ReportData) -> String {
    let row = |row: &super::Accuracy| {
        let (low, share, high) = row.interval();
        let wide = |share: f64| 100.0 * share.clamp(0.0, 1.0);
        format!(
            "<div class=\"measure\"><p>{} <b>{}</b> <span>of {}, 95 % interval {} to {}</span></p>\
             <div class=\"scale\"><i class=\"s1\" style=\"width:{:.1}%\"></i><u style=\"left:{:.1}%;width:{:.1}%\"></u><s style=\"left:{:.1}%\"></s></div></div>\n",
            escape(&row.name),
            percent(share),
            count(row.n),
            percent(low),
            percent(high),
            wide(share),
            wide(low),
            wide(high - low),
            wide(row.chance)
        )
    };
    let rows: String = data.accuracies.iter().map(row).collect();
    let legend = "<p class=\"ends\"><span>0 %</span><span>50 %</span><span>100 %</span></p>\n<p class=\"legend\"><span><i class=\"s1\"></i>right answers, with their interval</span><span><i class=\"s2\"></i>guessing</span></p>";
    section("Accuracy", "zero-shot", &if rows.is_empty() { rows } else { rows + legend })
}

fn pairs(data: &ReportData) -> String {
    if data.pairs_before.iter().all(|&n| n == 0) {
        return String::new();
    }
    let legend = "<p class=\"legend\"><span><i class=\"s2\"></i>seen</span><span><i class=\"s1\"></i>kept</span></p>";
    let figure = plot::pairs_per_query(&data.pairs_before, &data.pairs_after, data.per_query);
    section(
        "Pairs per query",
        "before and after the cap; a pair stays while any of its queries has room, so frequent words lie above it",
        &(figure + legend),
    )
}

/// Hosts with the share of their pairs that was refused.
fn hosts(hosts: &[HostTally]) -> String {
    let row = |tally: &HostTally| {
        let share = tally.refused as f64 / tally.seen.max(1) as f64;
        let reasons = tally
            .reasons
            .iter()
            .take(REASONS)
            .map(|(reason, n)| format!("{} {}", escape(reason), count(*n)))
            .collect::<Vec<_>>()
            .join(", ");
        let more = if tally.reasons.len() > REASONS { ", ..." } else { "" };
        format!(
            "<tr><th>{}</th><td class=\"track\"><i class=\"s2\" style=\"width:{:.1}%\"></i></td><td class=\"number\">{} of {}</td><td class=\"words\">{reasons}{more}</td></tr>\n",
            escape(&tally.host),
            100.0 * share.min(1.0),
            count(tally.refused),
            count(tally.seen)
        )
    };
    let rows: String = hosts.iter().map(row).collect();
    section(
        "Refused, by host",
        "pairs refused of those seen, and why",
        &if rows.is_empty() { rows } else { format!("<table class=\"bars hosts\">\n{rows}</table>\n") },
    )
}

/// The queries with most pairs.
fn queries(data: &ReportData) -> String {
    let row = |(text, before, after): &(String, u64, u64)| {
        format!("<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>", escape(text), count(*before), count(*after))
    };
    let rows: String = data.top_queries.iter().map(row).collect();
    let table = format!(
        "<div class=\"scroll\"><table class=\"plain narrow\"><tr><th>query</th><th class=\"number\">pairs seen</th><th class=\"number\">pairs kept</th></tr>{rows}</table></div>\n"
    );
    section("Most frequent queries", "", &if rows.is_empty() { rows } else { table })
}

fn curves(data: &ReportData) -> String {
    let figure = |curve: &super::Curve| {
        let last = curve.points.iter().rev().find(|point| point.1.is_finite());
        let last = last.map(|point| format!(" <span>last: {} {}</span>", number(point.1), escape(&curve.unit))).unwrap_or_default();
        let caption = format!("<figcaption><b>{}</b>{last}</figcaption>", escape(&curve.name));
        format!("<figure>{caption}{}</figure>\n", plot::curve(&curve.name, &curve.unit, &curve.points))
    };
    let figures: String = data.curves.iter().map(figure).collect();
    section("Training", "", &if figures.is_empty() { figures } else { format!("<div class=\"figures\">{figures}</div>\n") })
}

fn predictions(title: &str, note: &str, predictions: &[Prediction]) -> String {
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
    section(title, note, &inside)
}

fn confusion(data: &ReportData) -> String {
    let figure = |confusion: &super::Confusion| {
        format!(
            "<figure><figcaption><b>{}</b></figcaption><div class=\"scroll\">{}</div></figure>\n",
            escape(&confusion.title),
            matrix::matrix(confusion)
        )
    };
    let figures: String = data.confusions.iter().map(figure).collect();
    let row = |(truth, answer, n, total): &(String, String, u64, u64)| {
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{} of {}</td></tr>",
            escape(truth),
            escape(answer),
            count(*n),
            count(*total)
        )
    };
    let rows: String = data.mistakes.iter().map(row).collect();
    let table = if rows.is_empty() {
        rows
    } else {
        format!(
            "<figure><figcaption><b>Most frequent mistakes</b></figcaption><div class=\"scroll\"><table class=\"plain\"><tr><th>shown</th><th>answered</th><th class=\"number\">times</th></tr>{rows}</table></div></figure>\n"
        )
    };
    let inside = figures + &table;
    section(
        "Confusion",
        "per cent of each row; right answers lie on the diagonal",
        &if inside.is_empty() { inside } else { format!("<div class=\"matrices\">{inside}</div>\n") },
    )
}

fn duplicates(data: &ReportData) -> String {
    let side = |word: &str, shown: &Shown| {
        format!(
            "<div><b>{word}</b>{}<p>{}</p><p class=\"note\">{}</p></div>",
            image(&shown.image, word),
            escape(&shown.caption),
            escape(&shown.url)
        )
    };
    let pair = |pair: &super::DuplicatePair| {
        let (kept, copy) = (side("kept", &pair.kept), side("copy", &pair.copy));
        format!("<figure class=\"twins\"><div>{kept}{copy}</div><figcaption>{}</figcaption></figure>\n", escape(&pair.reason))
    };
    let pairs: String = data.duplicates.iter().map(pair).collect();
    section(
        "Copies found",
        "the picture kept, and the one refused as its copy",
        &if pairs.is_empty() { pairs } else { format!("<div class=\"cards wide\">{pairs}</div>\n") },
    )
}

fn missing(data: &ReportData) -> String {
    let lines: String = data.missing.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    section("Not shown", "", &if lines.is_empty() { lines } else { format!("<ul>{lines}</ul>\n") })
}

fn facts(data: &ReportData) -> String {
    let row = |(name, value): &(String, String)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    let rows: String = data.facts.iter().map(row).collect();
    section("Machine and versions", "", &if rows.is_empty() { rows } else { format!("<table class=\"plain\">{rows}</table>\n") })
}

fn commands(data: &ReportData) -> String {
    let (note, lines) = &data.commands;
    let lines = lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n");
    section("The same again", note, &if lines.is_empty() { lines } else { format!("<pre>{lines}</pre>\n") })
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, Confusion, Curve, DuplicatePair};
    use super::*;

    fn full() -> ReportData {
        let evil = || "<script>alert('x')</script> & \"co\" <img src=http://x>".to_string();
        let shown = |image: &[u8]| Shown { image: image.to_vec(), caption: evil(), url: evil() };
        let prediction =
            || Prediction { image: b"\xff\xd8x".to_vec(), truth: evil(), top: vec![(evil(), 0.9), ("b".to_string(), f64::NAN)] };
        ReportData {
            title: evil(),
            summary: evil(),
            headline: vec![(evil(), evil())],
            stages: vec![(evil(), 12.0)],
            funnel: vec![(evil(), 0), ("b".to_string(), 12_345)],
            refusals: vec![(evil(), 3)],
            hosts: vec![HostTally { host: evil(), seen: 0, refused: 3, reasons: vec![(evil(), 3)] }],
            pairs_before: vec![900, 30, 2],
            pairs_after: vec![300, 30, 2],
            per_query: Some(300),
            top_queries: vec![(evil(), 900, 300)],
            curves: vec![Curve { name: evil(), unit: evil(), points: vec![(0.0, 3.0), (1.0, f64::NAN), (2.0, 1.0)] }],
            accuracies: vec![Accuracy { name: evil(), correct: 8, n: 10, chance: 0.01 }],
            confusions: vec![Confusion { title: evil(), classes: vec![evil(), "b".to_string()], counts: vec![vec![3, 1], vec![0, 4, 7]] }],
            mistakes: vec![(evil(), evil(), 1, 4)],
            predictions: vec![prediction()],
            surest_mistakes: vec![prediction()],
            duplicates: vec![DuplicatePair { kept: shown(b"\x89PNG"), copy: shown(b"junk"), reason: evil() }],
            commands: (evil(), vec![evil()]),
            facts: vec![(evil(), evil())],
            missing: vec![evil()],
        }
    }

    #[test]
    fn every_value_is_escaped_and_nothing_comes_from_elsewhere() {
        let page = render(&full());
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        // Hostile text may name addresses; no attribute does.
        for reference in ["src=\"http", "href", "url(", "@import", "<link", "<iframe", "onerror=", "<img src=http"] {
            assert!(!page.contains(reference), "{reference}");
        }
        assert_eq!(page.matches("src=").count(), page.matches("src=\"data:image/").count() + page.matches("&lt;img src=http").count());
        assert_eq!(page.matches("<section>").count(), 15);
    }

    #[test]
    fn tags_are_closed() {
        let page = render(&full());
        for tag in [
            "section",
            "div",
            "ul",
            "b",
            "p",
            "span",
            "figcaption",
            "table",
            "svg",
            "figure",
            "ol",
            "li",
            "tr",
            "td",
            "th",
            "dl",
            "pre",
            "text",
        ] {
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
