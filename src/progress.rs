//! Progress on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shards::Meter;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a line is written where stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// What a meter counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown in KiB, MiB, GiB.
    Bytes,
    /// Things, named by a plural.
    Things(&'static str),
}

/// Draws a meter until dropped.
pub struct Progress {
    /// The counter for the code that works.
    pub meter: Arc<Meter>,
    stop: Arc<AtomicBool>,
    drawer: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts drawing `title` with a fresh meter.
    pub fn start(title: &'static str, unit: Unit) -> Self {
        let meter = Arc::new(Meter::default());
        let stop = Arc::new(AtomicBool::new(false));
        let drawer = std::thread::spawn({
            let (meter, stop) = (meter.clone(), stop.clone());
            move || {
                if std::io::stderr().is_terminal() { draw_bar(title, unit, &meter, &stop) } else { write_lines(title, unit, &meter, &stop) }
            }
        });
        Progress { meter, stop, drawer: Some(drawer) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(drawer) = self.drawer.take() {
            drawer.thread().unpark();
            // A drawer that panicked has nothing more to draw.
            let _ = drawer.join();
        }
    }
}

fn style(unit: Unit, known: bool) -> ProgressStyle {
    let (count, rate) = match unit {
        Unit::Bytes => ("{bytes}".to_string(), "{bytes_per_sec}"),
        Unit::Things(_) => ("{human_pos}".to_string(), "{per_sec}"),
    };
    let name = if let Unit::Things(name) = unit { format!(" {name}") } else { String::new() };
    let template = if known {
        let total = if unit == Unit::Bytes { "{total_bytes}" } else { "{human_len}" };
        format!("{{prefix:>10}} {{wide_bar:.cyan/dim}} {count}/{total}{name} {rate} {{eta}} left {{msg}}")
    } else {
        format!("{{prefix:>10}} {{spinner}} {count}{name} {rate} {{elapsed}} {{msg}}")
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw_bar(title: &'static str, unit: Unit, meter: &Meter, stop: &AtomicBool) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_prefix(title);
    let mut known = false;
    bar.set_style(style(unit, known));
    while !stop.load(Ordering::Relaxed) {
        let total = meter.total();
        if (total > 0) != known {
            known = total > 0;
            bar.set_style(style(unit, known));
            // What was done before is no pace.
            bar.set_position(meter.start());
            bar.reset_eta();
        }
        if known {
            bar.set_length(total);
        }
        bar.set_position(meter.done());
        bar.set_message(meter.note());
        std::thread::park_timeout(DRAW_EVERY);
    }
    bar.finish_and_clear();
}

fn write_lines(title: &'static str, unit: Unit, meter: &Meter, stop: &AtomicBool) {
    let begin = Instant::now();
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(DRAW_EVERY);
        if last.elapsed() >= LINE_EVERY {
            last = Instant::now();
            eprintln!("{}", line(title, unit, meter, begin.elapsed()));
        }
    }
}

/// One line of progress, such as `crawl: 1200 of 5000 pages, 40.0/s, 95 s left, 800 pairs`.
fn line(title: &str, unit: Unit, meter: &Meter, elapsed: Duration) -> String {
    let (done, total) = (meter.done(), meter.total());
    let (scale, name) = match unit {
        Unit::Bytes => (f64::from(1 << 20), "MiB"),
        Unit::Things(name) => (1.0, name),
    };
    let rate = done.saturating_sub(meter.start()) as f64 / elapsed.as_secs_f64().max(1e-9);
    let mut text = format!("{title}: {:.0}", done as f64 / scale);
    if total > 0 {
        text += &format!(" of {:.0}", total as f64 / scale);
    }
    text += &format!(" {name}, {:.1}/s", rate / scale);
    if total > done && rate > 0.0 {
        text += &format!(", {:.0} s left", (total - done) as f64 / rate);
    }
    let note = meter.note();
    if note.is_empty() { text } else { format!("{text}, {note}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_and_time_left() {
        let meter = Meter::default();
        meter.set_total(300);
        meter.add(100);
        meter.say("7 kept");
        assert_eq!(
            line("crawl", Unit::Things("pages"), &meter, Duration::from_secs(10)),
            "crawl: 100 of 300 pages, 10.0/s, 20 s left, 7 kept"
        );
        meter.start_at(90);
        meter.add(10);
        assert!(line("crawl", Unit::Things("pages"), &meter, Duration::from_secs(10)).contains("100 of 300 pages, 1.0/s, 200 s left"));
    }
}
