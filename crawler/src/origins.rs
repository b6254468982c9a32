//! What is known of each origin (scheme, host and port): its rules, or that they could not be had.

use crate::robots::Rules;
use rustc_hash::FxHashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// How long a file is believed (RFC 9309, 2.4).
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// How long a host whose file cannot be had is left alone before asking again.
const UNREACHABLE: Duration = Duration::from_secs(600);
/// Origins remembered, about 300 bytes each for usual files. When full, all are forgotten and asked for again.
const MAX_ORIGINS: usize = 1 << 16;
/// Bytes that all rules may take, or all are forgotten: a file may be made to be large, and a page may name a thousand hosts.
const MAX_BYTES: usize = 128 << 20;

/// What asking for an origin's file gave.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A file, or none that binds us.
    Rules(Arc<Rules>),
    /// The host did not answer or failed: nothing may be fetched (RFC 9309, 2.3.1.4). The outcome of what is asked for there, and why.
    Unreachable(&'static str, String),
}

/// The origins that were asked.
pub(crate) struct Origins {
    /// How long rules are believed.
    fresh: Duration,
    /// How long a host without an answer is left alone.
    unreachable: Duration,
    /// Bytes that all rules may take.
    max_bytes: usize,
    // The outer lock is held for a look-up; the inner one, of one origin, while its file is asked for, so that it is asked
    // for once however many wait.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    origins: FxHashMap<String, Arc<Entry>>,
    /// Bytes that rules were found to take since all were forgotten.
    bytes: usize,
}

type Entry = tokio::sync::Mutex<Option<(Instant, Found)>>;

impl Default for Origins {
    fn default() -> Self {
        Origins { fresh: FRESH, unreachable: UNREACHABLE, max_bytes: MAX_BYTES, known: Mutex::default() }
    }
}

impl Origins {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The origin's rules, asked for with `ask` when they are unknown or too old.
    pub(crate) async fn rules<F: Future<Output = Found>>(&self, url: &Url, ask: impl FnOnce() -> F) -> Found {
        let entry = {
            let mut known = self.known();
            if known.origins.len() >= MAX_ORIGINS || known.bytes >= self.max_bytes {
                *known = Known::default();
            }
            known.origins.entry(url.origin().ascii_serialization()).or_default().clone()
        };
        let mut entry = entry.lock().await;
        if let Some((until, found)) = entry.as_ref()
            && *until > Instant::now()
        {
            return found.clone();
        }
        let found = ask().await;
        let fresh = match &found {
            Found::Rules(rules) => {
                self.known().bytes += rules.size();
                self.fresh
            }
            Found::Unreachable(..) => self.unreachable,
        };
        *entry = Some((Instant::now() + fresh, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_asked_for_once_until_they_are_old() {
        let (long, short) = (Duration::from_secs(3600), Duration::from_millis(20));
        let origins = Origins { fresh: long, unreachable: short, ..Origins::default() };
        let asked = std::cell::Cell::new(0);
        let get = async |url: &str, found: Found| {
            let url = Url::parse(url).expect("a URL");
            let ask = async || {
                asked.set(asked.get() + 1);
                found
            };
            origins.rules(&url, ask).await
        };
        let rules = || Found::Rules(Arc::default());
        get("http://a/1", rules()).await;
        get("http://a/2", rules()).await;
        assert_eq!(asked.get(), 1);
        get("https://a/2", Found::Unreachable("robots", String::new())).await;
        assert!(matches!(get("https://a/2", rules()).await, Found::Unreachable(..)));
        assert_eq!(asked.get(), 2);
        tokio::time::sleep(2 * short).await;
        assert!(matches!(get("https://a/2", rules()).await, Found::Rules(_)));
        get("https://a/3", rules()).await;
        assert_eq!(asked.get(), 3);
    }

    #[tokio::test]
    async fn large_files_of_many_hosts_are_forgotten() {
        let origins = Origins { max_bytes: 1 << 20, ..Origins::default() };
        let file: String = (0..10_000).map(|i| format!("user-agent: *\ndisallow: /{i}\n")).collect();
        for i in 0..100 {
            let rules = Rules::parse(file.as_bytes(), "diptych", &[]);
            assert!(rules.size() > 50_000, "{}", rules.size());
            let url = Url::parse(&format!("http://h{i}/")).expect("a URL");
            origins.rules(&url, async || Found::Rules(Arc::new(rules))).await;
            assert!(origins.known().bytes < 2 << 20);
        }
        assert!(origins.known().origins.len() < 20);
    }
}
