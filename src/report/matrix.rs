//! A confusion as a square of shaded cells with names on both sides and the share in each cell.

use super::Confusion;
use super::html::{count, escape};
use std::fmt::Write;

/// Sides in SVG units, drawn one to one: wide matrices scroll instead of shrinking.
const CELL: f64 = 46.0;
const LETTER: f64 = 7.2;
const MAX_NAME: usize = 16;
/// Above this share a cell is so dark that its number is written in the other ink.
const DARK: f64 = 0.55;

/// The figure; rows are what was shown, columns what was answered, numbers are per cent of the row.
pub(super) fn matrix(confusion: &Confusion) -> String {
    let names: Vec<String> = confusion.classes.iter().map(|name| shorten(name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64 * LETTER;
    let (left, top) = (longest + 34.0, longest * 0.72 + 34.0);
    let n = names.len() as f64;
    let (width, height) = (left + n * CELL + longest * 0.72, top + n * CELL + 6.0);
    let mut out = format!(
        "<svg class=\"fixed\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\"><title>{}</title>",
        escape(&confusion.title)
    );
    let _ = write!(out, "<text class=\"soft\" x=\"{left:.1}\" y=\"14\">answered</text>");
    let _ = write!(out, "<text class=\"soft mid\" transform=\"translate(14 {:.1}) rotate(-90)\">shown</text>", top + n * CELL / 2.0);
    for (at, name) in names.iter().enumerate() {
        let middle = (at as f64 + 0.5) * CELL;
        let _ = write!(out, "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", left - 6.0, top + middle + 4.5, escape(name));
        let _ =
            write!(out, "<text transform=\"translate({:.1} {:.1}) rotate(-45)\">{}</text>", left + middle - 2.0, top - 6.0, escape(name));
    }
    for (truth, row) in confusion.counts.iter().enumerate().take(names.len()) {
        let total = row.iter().sum::<u64>();
        for (answer, &hits) in row.iter().enumerate().take(names.len()) {
            let share = hits as f64 / total.max(1) as f64;
            let (x, y) = (left + answer as f64 * CELL, top + truth as f64 * CELL);
            let class = if truth == answer { "s1" } else { "s2" };
            let side = CELL - 2.0;
            let _ = write!(out, "<rect class=\"plain\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side}\" height=\"{side}\"/>");
            if hits > 0 {
                let _ = write!(
                    out,
                    "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side}\" height=\"{side}\" opacity=\"{:.2}\"><title>{} shown, {} answered: {} of {}</title></rect>",
                    0.08 + 0.92 * share,
                    escape(&confusion.classes[truth]),
                    escape(&confusion.classes[answer]),
                    count(hits),
                    count(total)
                );
                let ink = if share > DARK { "mid on" } else { "mid" };
                let text = if share < 0.005 { "&lt;1".to_string() } else { (100.0 * share).round().to_string() };
                let _ = write!(out, "<text class=\"{ink}\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>", x + side / 2.0, y + side / 2.0 + 4.5);
            }
        }
    }
    out + "</svg>"
}

fn shorten(name: &str) -> String {
    let mut short: String = name.chars().take(MAX_NAME).collect();
    if name.chars().nth(MAX_NAME).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shares_and_names_are_escaped() {
        let confusion = Confusion {
            title: "<t>".to_string(),
            classes: vec!["<b>".to_string(), "a very long name of a class".to_string()],
            counts: vec![vec![3, 1], vec![0, 400, 9], vec![1]],
        };
        let svg = matrix(&confusion);
        assert!(svg.contains(">75<") && svg.contains(">25<") && svg.contains("&lt;b&gt;") && svg.contains("a very long nam…"), "{svg}");
        assert!(!svg.contains("<b>") && !svg.contains("NaN"));
        assert!(!matrix(&Confusion { title: String::new(), classes: vec![], counts: vec![] }).contains("inf"));
    }
}
