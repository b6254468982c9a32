//! A bounded number of places, with two queues for them: whoever has begun goes before whoever has not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Places to be taken.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Mutex<Waiting>>);

struct Waiting {
    free: usize,
    begun: VecDeque<oneshot::Sender<Place>>,
    others: VecDeque<oneshot::Sender<Place>>,
}

/// A place; free again when it is dropped.
pub(crate) struct Place(Option<Lane>);

impl Lane {
    /// With so many places.
    pub(crate) fn new(places: usize) -> Self {
        Lane(Arc::new(Mutex::new(Waiting { free: places, begun: VecDeque::new(), others: VecDeque::new() })))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for a place. May be given up at any time.
    pub(crate) async fn enter(&self, begun: bool) -> Place {
        let given = {
            let mut waiting = self.waiting();
            if waiting.free > 0 {
                waiting.free -= 1;
                return Place(Some(self.clone()));
            }
            let (sender, given) = oneshot::channel();
            if begun {
                waiting.begun.push_back(sender)
            } else {
                waiting.others.push_back(sender)
            }
            given
        };
        match given.await {
            Ok(place) => place,
            // Senders are dropped with the lane only, which this holds.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    /// Hands the place to who waits for it, those who gave up passed over.
    fn drop(&mut self) {
        let Some(lane) = self.0.take() else { return };
        loop {
            let next = {
                let mut waiting = lane.waiting();
                let next = waiting.begun.pop_front().or_else(|| waiting.others.pop_front());
                if next.is_none() {
                    waiting.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Place(Some(lane.clone()))) {
                Ok(()) => return,
                // What comes back is this very place: it must not be handed on a second time.
                Err(mut place) => place.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn those_who_have_begun_go_first() {
        let lane = Lane::new(1);
        let mut held = lane.enter(false).await;
        // In the order in which they come.
        let mut waiting = [false, false, true, true].map(|begun| Box::pin(lane.enter(begun)));
        for turn in &mut waiting {
            assert!(poll!(turn.as_mut()).is_pending());
        }
        for next in [2, 3, 0, 1] {
            drop(held);
            held = match poll!(waiting[next].as_mut()) {
                Poll::Ready(place) => place,
                Poll::Pending => panic!("it is the turn of {next}"),
            };
        }
    }

    #[tokio::test]
    async fn places_given_up_are_not_lost() {
        let lane = Lane::new(2);
        let (one, two) = (lane.enter(false).await, lane.enter(true).await);
        for begun in [true, false, true] {
            assert!(timeout(SOON, lane.enter(begun)).await.is_err());
        }
        drop(one);
        let three = timeout(SOON, lane.enter(false)).await;
        assert!(three.is_ok() && timeout(SOON, lane.enter(false)).await.is_err());
        drop((two, three));
        let all = (lane.enter(false).await, lane.enter(false).await);
        assert!(timeout(SOON, lane.enter(true)).await.is_err());
        drop(all);
        assert_eq!(lane.waiting().free, 2);
    }
}
