//! The threads that read ahead: a window is read while the one before it is used.

use crate::Position;
use crate::epoch::Epoch;
use crate::loader::Slice;
use crate::samples::Samples;
use crate::window::Window;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Blocks asked for at once. They cost no processor time to speak of; an object store answers each after some tens of
/// milliseconds, and eight blocks of 4 MB in flight then make some hundred MB a second.
const READERS: usize = 8;

/// Threads that lay out windows and read them.
pub(crate) struct Feed {
    stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A visit to be read.
type Work = (Arc<Window>, usize);

impl Feed {
    /// Starts reading the windows from that of `from` on; they come out in order.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn start(samples: Arc<Samples>, seed: u64, slice: Slice, from: Position) -> std::io::Result<(Self, Receiver<Arc<Window>>)> {
        // A window is handed over when the one before is used up: never more than two are in memory.
        let (sender, windows) = bounded(0);
        let (work, orders) = unbounded::<Work>();
        let mut feed = Feed { stopped: Arc::default(), threads: Vec::new() };
        for i in 0..READERS {
            let (orders, samples, stopped) = (orders.clone(), samples.clone(), feed.stopped.clone());
            let read = move || orders.iter().for_each(|(window, visit)| window.load(visit, &samples, stopped.load(Ordering::Relaxed)));
            feed.threads.push(Builder::new().name(format!("reader-{i}")).spawn(read)?);
        }
        let lay_out = move || {
            // Ends when nobody takes windows any more.
            let _ = lay_out(&samples, seed, slice, from, &work, &sender);
        };
        feed.threads.push(Builder::new().name("windows".to_string()).spawn(lay_out)?);
        Ok((feed, windows))
    }

    /// Nothing more is read.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits for the threads to end, which they do when nobody takes windows any more.
    pub fn join(&mut self) {
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Lays out window after window; `None` when nobody takes them any more.
fn lay_out(samples: &Samples, seed: u64, slice: Slice, from: Position, work: &Sender<Work>, windows: &Sender<Arc<Window>>) -> Option<()> {
    let length = samples.epoch_length();
    let mine = slice.range();
    let mut number = from.epoch;
    loop {
        let epoch = Epoch::new(samples, seed, number);
        // Samples from the stream's first to be used to this epoch's first; modulo the batch, in which this wraps soundly
        // because both are reduced first.
        let begun = (number - from.epoch) % slice.batch * (length % slice.batch) + slice.batch - from.index % slice.batch;
        let wanted = |place: u64| slice.ranks == 1 || mine.contains(&((begun + place) % slice.batch));
        let first = if number == from.epoch { epoch.window_of(from.index) } else { 0 };
        for window in first..epoch.windows() {
            let window = Arc::new(Window::new(samples, &epoch, seed, number, window, wanted));
            for visit in 0..window.visits() {
                work.send((window.clone(), visit)).ok()?;
            }
            windows.send(window).ok()?;
        }
        number += 1;
    }
}
