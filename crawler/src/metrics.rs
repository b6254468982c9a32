//! Figures of a running crawl, served in the text form that Prometheus reads.
//!
//! Answers one path, reads no more of a request than its head, and knows nothing that could be changed from outside.

use crate::Error;
use crate::engine::Engine;
use crate::summary::Tally;
use shards::Candidate;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of a request that are read.
const MAX_REQUEST: usize = 4096;
/// Time that a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The figures.
pub(crate) struct Metrics {
    begun: Instant,
    pairs: AtomicU64,
    bytes: AtomicU64,
    /// Decisions by outcome, in jobs finished or in work.
    outcomes: Mutex<BTreeMap<String, u64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { begun: Instant::now(), pairs: AtomicU64::new(0), bytes: AtomicU64::new(0), outcomes: Mutex::default() }
    }
}

impl Metrics {
    /// Pairs kept and bytes received so far.
    pub(crate) fn set_progress(&self, pairs: u64, bytes: u64) {
        self.pairs.fetch_max(pairs, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Adds decisions.
    pub(crate) fn count<'a>(&self, decisions: impl IntoIterator<Item = (&'a str, u64)>) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (outcome, count) in decisions {
            match outcomes.get_mut(outcome) {
                Some(sum) => *sum += count,
                None => drop(outcomes.insert(outcome.to_string(), count)),
            }
        }
    }

    /// Adds the decisions of pairs, as they are made.
    pub(crate) fn count_pairs(&self, pairs: &[Candidate]) {
        self.count(pairs.iter().map(|pair| (pair.outcome.as_str(), 1)));
    }

    /// Adds what a job decided besides pairs: pages, rows, images.
    pub(crate) fn count_others(&self, tally: &Tally) {
        self.count(tally.outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count)));
    }

    /// The page, with the figures that others keep.
    fn page(&self, in_flight: u64, (seen, filled): (u64, u64)) -> String {
        let mut page = String::new();
        let mut figure = |name: &str, kind: &str, help: &str, value: f64| {
            let _ = writeln!(page, "# HELP diptych_crawl_{name} {help}\n# TYPE diptych_crawl_{name} {kind}\ndiptych_crawl_{name} {value}");
        };
        figure("seconds", "gauge", "Time since the crawl began.", self.begun.elapsed().as_secs_f64());
        figure("pairs_total", "counter", "Pairs kept.", self.pairs.load(Ordering::Relaxed) as f64);
        figure("received_bytes_total", "counter", "Bytes received, decompressed.", self.bytes.load(Ordering::Relaxed) as f64);
        figure("in_flight", "gauge", "Requests in flight.", in_flight as f64);
        figure("queries_seen", "gauge", "Queries that matched a candidate.", seen as f64);
        figure("queries_filled", "gauge", "Queries matched by as many candidates as the cap lets in, fetched or not.", filled as f64);
        page.push_str(
            "# HELP diptych_crawl_decisions_total Decisions by outcome: of pairs as they are made, of pages and rows when their job ends.\n# TYPE diptych_crawl_decisions_total counter\n",
        );
        for (outcome, count) in self.outcomes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
            // Outcomes are words of the program's own: nothing to escape.
            let _ = writeln!(page, "diptych_crawl_decisions_total{{outcome=\"{outcome}\"}} {count}");
        }
        page
    }
}

/// Reads where figures shall be served: an address with a port, or a name of this machine with one.
///
/// # Errors
/// What is wrong with the text, or with what its name stands for.
pub fn listening_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (name, port) = text.rsplit_once(':').ok_or("expected ADDRESS:PORT, such as localhost:9000")?;
    let port: u16 = port.parse().map_err(|_| format!("{port} is no port"))?;
    if name.eq_ignore_ascii_case("localhost") {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let found = (name, port).to_socket_addrs().map_err(|error| format!("{name}: {error}"))?;
    found.into_iter().find(|address| address.ip().is_loopback()).ok_or_else(|| format!("{name} is not this machine alone: give an address"))
}

/// Serves the figures of `engine` until it is gone.
///
/// # Errors
/// `Metrics` when the address cannot be listened at.
pub(crate) async fn serve(address: SocketAddr, engine: &Arc<Engine>) -> Result<(), Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Metrics { address, source })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "figures at /metrics");
    let engine = Arc::downgrade(engine);
    tokio::spawn(async move {
        while engine.strong_count() > 0 {
            let Ok(Ok((stream, _))) = tokio::time::timeout(PATIENCE, listener.accept()).await else { continue };
            // One after the other: there is one reader, every few seconds.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &engine)).await;
        }
    });
    Ok(())
}

async fn answer(mut stream: TcpStream, engine: &Weak<Engine>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_REQUEST {
        let mut part = [0; 512];
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(&part[..n]),
        }
    }
    let page = engine
        .upgrade()
        .filter(|_| asks_for_figures(&head))
        .map(|engine| engine.metrics.page(engine.fetcher.in_flight(), engine.queries()));
    let (status, body) = page.map_or_else(|| ("404 Not Found", "figures are at /metrics\n".to_string()), |page| ("200 OK", page));
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    if !head.starts_with(b"HEAD ") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Whether a request asks for the figures; what a collector adds to the address does not matter.
fn asks_for_figures(head: &[u8]) -> bool {
    let mut words = head.split(|byte| *byte == b' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    matches!(method, Some(b"GET" | b"HEAD")) && target.split(|byte| *byte == b'?').next() == Some(b"/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_addresses_to_listen_at() {
        assert_eq!(listening_address("[::1]:9000"), Ok(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 9000))));
        assert_eq!(listening_address("0.0.0.0:1"), Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1))));
        assert_eq!(listening_address("localhost:9000"), Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 9000))));
        for bad in ["localhost", "localhost:", "localhost:99999", "9000", "192.0.2.1"] {
            assert!(listening_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_are_told_apart() {
        for asks in ["GET /metrics HTTP/1.1\r\n", "HEAD /metrics HTTP/1.1\r\n", "GET /metrics?x=1 HTTP/1.0\r\n"] {
            assert!(asks_for_figures(asks.as_bytes()), "{asks}");
        }
        for other in ["POST /metrics HTTP/1.1\r\n", "GET / HTTP/1.1\r\n", "GET /metricsx HTTP/1.1\r\n", "", "GET"] {
            assert!(!asks_for_figures(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_page_has_names_kinds_and_outcomes() {
        let metrics = Metrics::default();
        metrics.set_progress(7, 900);
        metrics.count([("ok", 3), ("timeout", 1)]);
        metrics.count([("ok", 4)]);
        let page = metrics.page(2, (5, 1));
        for line in [
            "# TYPE diptych_crawl_pairs_total counter",
            "diptych_crawl_pairs_total 7",
            "diptych_crawl_received_bytes_total 900",
            "diptych_crawl_in_flight 2",
            "diptych_crawl_queries_filled 1",
            "diptych_crawl_decisions_total{outcome=\"ok\"} 7",
            "diptych_crawl_decisions_total{outcome=\"timeout\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
        }
    }
}
