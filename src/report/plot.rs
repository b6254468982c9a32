//! Figures as inline SVG: curves, and pairs per query on log axes.
//!
//! Colours come from the page's style sheet (classes `s1`, `s2`, `grid`, `soft`), so figures follow dark, light and print.

use super::html::{escape, number, short};
use std::fmt::Write;

/// Sides of a figure in SVG units; a narrow phone shows a unit as 0.8 pixels, so text has 13 units.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 240.0;
/// The drawing's edges: left, right, top, bottom.
const EDGES: (f64, f64, f64, f64) = (54.0, 428.0, 10.0, 202.0);
/// More points than this are averaged in steps: a figure has no room for more.
const MAX_POINTS: usize = 400;

/// How values become positions.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Positions of `low` and `high`.
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that shows all of `values`; on log axes they must be positive.
    fn over(values: impl Iterator<Item = f64>, log: bool, from: f64, to: f64) -> Axis {
        let (mut low, mut high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (1.0, 10.0);
        }
        if log {
            (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
            if low == high {
                high *= 10.0;
            }
        } else if low == high {
            // A tenth of the value to both sides; around 0 a half.
            let pad = if low == 0.0 { 0.5 } else { low.abs() / 10.0 };
            (low, high) = (low - pad, high + pad);
        }
        Axis { low, high, log, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share =
            if self.log { (value / self.low).ln() / (self.high / self.low).ln() } else { (value - self.low) / (self.high - self.low) };
        self.from + share * (self.to - self.from)
    }

    /// Values worth a line: decades, or steps of 1, 2 or 5 times a power of ten.
    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let (first, last) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
            // On more than seven decades every second one is enough.
            let step = 1 + (last - first) / 7;
            return (first..=last).step_by(step.max(1) as usize).map(|decade| 10f64.powi(decade)).collect();
        }
        let rough = (self.high - self.low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&step| step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        (first..first + 12).map(|k| k as f64 * step).take_while(|&value| value <= self.high + step * 1e-9).collect()
    }
}

/// The labels of ticks: with as many decimals as tell neighbours apart.
fn labels(axis: &Axis, ticks: &[f64]) -> Vec<String> {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let largest = ticks.iter().fold(0.0, |largest: f64, tick| largest.max(tick.abs()));
    if axis.log || !step.is_finite() || largest >= 1e4 || step < 1e-4 {
        return ticks.iter().map(|&tick| short(tick)).collect();
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    // A sum of steps that should be 0 is nearly so.
    ticks.iter().map(|&tick| format!("{:.decimals$}", if tick.abs() < step / 1e6 { 0.0 } else { tick })).collect()
}

/// Grid, tick labels and names of both axes.
fn frame(x: &Axis, y: &Axis, x_name: &str, y_name: &str) -> String {
    let (left, right, top, bottom) = EDGES;
    let mut out = String::new();
    let ticks = y.ticks();
    for (&value, label) in ticks.iter().zip(labels(y, &ticks)) {
        let at = y.at(value);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/><text x=\"{}\" y=\"{:.1}\" class=\"end\">{label}</text>",
            left - 6.0,
            at + 4.0
        );
    }
    let ticks = x.ticks();
    for (&value, label) in ticks.iter().zip(labels(x, &ticks)) {
        let at = x.at(value);
        // A label in the middle of the last line would stick out of the figure.
        let anchor = if right - at < 12.0 { "end" } else { "mid" };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} {top}V{bottom}\"/><text x=\"{at:.1}\" y=\"{}\" class=\"{anchor}\">{label}</text>",
            bottom + 17.0
        );
    }
    let _ = write!(out, "<text x=\"{right}\" y=\"{}\" class=\"end soft\">{}</text>", bottom + 34.0, escape(x_name));
    let _ = write!(out, "<text x=\"{}\" y=\"{}\" class=\"soft\">{}</text>", left + 6.0, top + 12.0, escape(y_name));
    out
}

fn figure(title: &str, height: f64, inside: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{}</title>{inside}</svg>", escape(title))
}

fn path(class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut out = format!("<path class=\"line {class}\" d=\"");
    for (at, (x, y)) in points.enumerate() {
        let _ = write!(out, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
    }
    out + "\"/>"
}

/// Averages stretches of `points` so that at most [`MAX_POINTS`] remain.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(points.len().div_ceil(MAX_POINTS).max(1)).map(mean).collect()
}

/// A value, counted in `unit`, over training steps.
pub(super) fn curve(name: &str, unit: &str, points: &[(f64, f64)]) -> String {
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let points = thin(&finite);
    let (left, right, top, bottom) = EDGES;
    let x = Axis::over(finite.iter().map(|p| p.0).chain([0.0]), false, left, right);
    let y = Axis::over(points.iter().map(|p| p.1), false, bottom, top + 20.0);
    let mut inside = frame(&x, &y, "training step", unit) + &path("s1", points.iter().map(|p| (x.at(p.0), y.at(p.1))));
    if let [(step, value)] = points[..] {
        let _ = write!(inside, "<circle class=\"dot s1\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x.at(step), y.at(value));
    }
    figure(name, HEIGHT, &inside)
}

/// Pairs per query, most frequent first, before and after the cap, on log axes; the paper's figure.
pub(super) fn pairs_per_query(before: &[u64], after: &[u64], per_query: Option<u64>) -> String {
    let ranked = |counts: &[u64]| {
        let mut counts: Vec<u64> = counts.iter().copied().filter(|&n| n > 0).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        // On a log axis the ranks that can be told apart grow by a fixed factor.
        let mut next = 1.0;
        let mut points = Vec::new();
        for (at, &n) in counts.iter().enumerate() {
            let rank = (at + 1) as f64;
            if rank >= next || at + 1 == counts.len() {
                points.push((rank, n as f64));
                next = rank * 1.01;
            }
        }
        points
    };
    let (before, after) = (ranked(before), ranked(after));
    let (left, right, top, bottom) = EDGES;
    let all = || before.iter().chain(&after);
    let x = Axis::over(all().map(|p| p.0), true, left, right);
    let y = Axis::over(all().map(|p| p.1), true, bottom, top + 20.0);
    let place = |points: &[(f64, f64)]| points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect::<Vec<_>>();
    let mut inside = frame(&x, &y, "rank of the query, most frequent first", "pairs");
    inside += &path("s2", place(&before).into_iter());
    inside += &path("s1", place(&after).into_iter());
    if let Some(cap) = per_query.map(|cap| cap as f64).filter(|cap| (y.low..=y.high).contains(cap)) {
        let at = y.at(cap);
        let _ = write!(inside, "<path class=\"line soft dashed\" d=\"M{left} {at:.1}H{right}\"/>");
        let _ = write!(inside, "<text x=\"{}\" y=\"{:.1}\" class=\"end soft\">cap {}</text>", right - 2.0, at - 5.0, number(cap));
    }
    figure("pairs per query", HEIGHT, &inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = |low, high, log| Axis { low, high, log, from: 0.0, to: 1.0 };
        assert_eq!(axis(0.0, 10.0, false).ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(axis(0.1, 1000.0, true).ticks().len(), 5);
        for (low, high) in [(0.03, 0.07), (-5.0, 1234.0), (4.55, 4.56)] {
            let ticks = axis(low, high, false).ticks();
            assert!((2..=7).contains(&ticks.len()) && ticks.iter().all(|t| (low..=high * 1.0001).contains(t)), "{ticks:?}");
        }
    }

    #[test]
    fn neighbours_have_different_labels() {
        for (low, high) in [(284.1, 285.3), (0.0, 0.003), (9.8, 10.6), (0.0, 12_345.0), (-0.4, 0.4), (0.0, 5e-7)] {
            let axis = Axis { low, high, log: false, from: 0.0, to: 1.0 };
            let shown = labels(&axis, &axis.ticks());
            assert!(shown.windows(2).all(|pair| pair[0] != pair[1]), "{shown:?}");
            assert!(shown.iter().all(|label| label.len() <= 7 && label != "-0.0"), "{shown:?}");
        }
    }

    #[test]
    fn odd_values_give_no_odd_figures() {
        let odd = [(0.0, f64::NAN), (1.0, f64::INFINITY)];
        for points in [&odd[..], &[], &[(3.0, 2.0)], &[(0.0, 1.0), (1.0, 1.0)]] {
            let svg = curve("loss", "nats", points);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        for counts in [&[][..], &[0, 0], &[1], &[7, 7, 7]] {
            let svg = pairs_per_query(counts, &[], Some(0));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(curve("<b>", "", &[]).contains("&lt;b&gt;"));
    }

    #[test]
    fn long_curves_are_thinned_to_their_means() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|step| (step as f64, (step % 2) as f64)).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= MAX_POINTS);
        assert!(thinned.iter().all(|p| (p.1 - 0.5).abs() < 0.05));
    }
}
