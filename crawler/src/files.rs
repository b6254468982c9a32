//! How many files this process may have open, connections among them.

use std::time::Duration;

/// Files that may be open at a time: enough for idle connections to many hosts.
const MANY_FILES: u64 = 1 << 14;
/// Files besides connections: those of jobs, tables, the catalogue.
const OWN_FILES: u64 = 256;

/// How long an idle connection is kept. Raises this process' limit of open files as far as it may, since connections count as such.
pub(crate) fn idle_time(concurrency: usize) -> Duration {
    let files = rlimit::increase_nofile_limit(MANY_FILES).unwrap_or(0);
    if files < 2 * concurrency as u64 + OWN_FILES {
        tracing::warn!(files, concurrency, "few files may be open at a time here: raise it (ulimit -n), or lower --concurrency");
    }
    Duration::from_secs(if files < MANY_FILES { 2 } else { 20 })
}
