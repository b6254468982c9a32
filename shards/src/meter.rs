//! A counter shared between the code that works and the program that draws progress.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a long piece of work has come. Workers add, the program reads; neither waits for the other.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    start: AtomicU64,
    total: AtomicU64,
    note: Mutex<String>,
}

impl Meter {
    /// Adds `n` finished units.
    pub fn add(&self, n: u64) {
        self.done.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the finished units, for work that knows its position.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// Sets the units that were finished before this work began, as when it is resumed: its rate does not count them.
    pub fn start_at(&self, done: u64) {
        self.start.store(done, Ordering::Relaxed);
        self.set(done);
    }

    /// Sets the expected units; 0 means not known.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Sets the words shown beside the count, such as the loss or the number of failures.
    pub fn say(&self, note: impl Into<String>) {
        // A poisoned lock only means that a worker died while writing a note; the note itself is still a string.
        *self.note.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = note.into();
    }

    /// The finished units.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The units finished before this work began.
    pub fn start(&self) -> u64 {
        self.start.load(Ordering::Relaxed)
    }

    /// The expected units, 0 when not known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// The words to show beside the count.
    pub fn note(&self) -> String {
        self.note.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}
