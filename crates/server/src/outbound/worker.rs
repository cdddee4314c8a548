//! Takes what is due out of the queue, keeps every destination that takes mail as busy as it likes to be, and sees to it
//! that all of it ends with the server.
//!
//! One task knows what this process has in hand, and hands out everything; each message has a task of its own, which
//! says when it is done. A destination for which there was no room is asked for more as soon as one of its messages is
//! done, so that its line is drained without anybody waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use queue::{Errand, Error, Lease};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::{Outbound, attempt};
use crate::net::Lifecycle;

/// The pause after the store has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Starts the worker of this process, and what closes its idle connections.
pub(super) fn start(outbound: Outbound, lifecycle: &Lifecycle) {
    let (tasks, sweeping) = (lifecycle.clone(), lifecycle.clone());
    let relay = outbound.inner.relay.clone();
    lifecycle.spawn(async move {
        tokio::select! {
            () = sweeping.stopping() => {}
            () = relay.sweep() => {}
        }
    });
    lifecycle.spawn(async move {
        let (says_done, done) = mpsc::unbounded_channel();
        let worker = Worker {
            places: Arc::new(Semaphore::new(outbound.inner.options.workers.max(1))),
            holder: format!("process {}", std::process::id()),
            outbound,
            lifecycle: tasks,
            hands: HashMap::new(),
            done,
            says_done,
        };
        worker.run().await;
    });
}

/// What this process has in hand for a destination.
#[derive(Clone, Copy, Default, Debug)]
struct Hand {
    /// Attempts under way.
    held: usize,
    /// There was no room for all of it: some may stand in line.
    crowded: bool,
}

struct Worker {
    outbound: Outbound,
    lifecycle: Lifecycle,
    places: Arc<Semaphore>,
    holder: String,
    hands: HashMap<String, Hand>,
    done: mpsc::UnboundedReceiver<String>,
    says_done: mpsc::UnboundedSender<String>,
}

/// Says that a destination has a place again, also if what had it has come to a bad end.
struct Held {
    destination: String,
    says_done: mpsc::UnboundedSender<String>,
    place: Option<OwnedSemaphorePermit>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever hears of it finds the place free.
        self.place.take();
        let _nobody_listens = self.says_done.send(std::mem::take(&mut self.destination));
    }
}

impl Worker {
    async fn run(mut self) {
        if self.reclaim().await {
            self.work_on().await;
        }
        self.finish().await;
        self.outbound.inner.relay.close().await;
    }

    fn is_stopping(&self) -> bool {
        self.lifecycle.stopping().now_or_never().is_some()
    }

    /// Takes back what a predecessor had in hand. Whether there is still anything to work for.
    async fn reclaim(&self) -> bool {
        while !self.is_stopping() {
            match self.outbound.inner.queue.reclaim().await {
                Ok(0) => return true,
                Ok(count) => {
                    tracing::info!(
                        count,
                        "mail for other servers that a stopped server left behind is taken up again"
                    );
                    return true;
                }
                Err(error) => self.pause_after(&error).await,
            }
        }
        false
    }

    /// Works until the server stops.
    async fn work_on(&mut self) {
        let queue = self.outbound.inner.queue.clone();
        let mut is_due = true;
        let mut freed = BTreeSet::new();
        while !self.is_stopping() {
            // Whoever waits now hears of whatever comes while this claims.
            let mut waiting = pin!(queue.wait());
            loop {
                if is_due {
                    match self.claim().await {
                        Ok(more) => is_due = more,
                        Err(error) => self.pause_after(&error).await,
                    }
                }
                if let Err(error) = self.refill(&mut freed).await {
                    self.pause_after(&error).await;
                }
                if self.is_stopping() {
                    return;
                }
                if is_due && self.places.available_permits() > 0 {
                    continue;
                }
                tokio::select! {
                    () = self.lifecycle.stopping() => return,
                    Some(destination) = self.done.recv() => self.note_done(destination, &mut freed),
                    waited = &mut waiting, if !is_due => {
                        is_due = true;
                        if let Err(error) = waited {
                            self.pause_after(&error).await;
                        }
                        break;
                    }
                }
                while let Ok(destination) = self.done.try_recv() {
                    self.note_done(destination, &mut freed);
                }
            }
        }
    }

    /// Waits for what is still under way.
    async fn finish(&mut self) {
        let mut left: usize = self.hands.values().map(|hand| hand.held).sum();
        while left > 0 && self.done.recv().await.is_some() {
            left -= 1;
        }
    }

    fn room(&self, destination: &str) -> usize {
        let held = self.hands.get(destination).map_or(0, |hand| hand.held);
        self.outbound.inner.relay.width(destination).saturating_sub(held)
    }

    fn note_done(&mut self, destination: String, freed: &mut BTreeSet<String>) {
        let Some(hand) = self.hands.get_mut(&destination) else { return };
        hand.held = hand.held.saturating_sub(1);
        if hand.crowded {
            freed.insert(destination);
        } else if hand.held == 0 {
            self.hands.remove(&destination);
        }
    }

    /// Hands out as much of what is due as there are places for. Whether there may be more.
    async fn claim(&mut self) -> Result<bool, Error> {
        let mut places = self.take_places(usize::MAX);
        if places.is_empty() {
            return Ok(true);
        }
        let told = Mutex::new(BTreeMap::new());
        let capacity = |destination: &str| {
            let room = self.room(destination);
            told.lock().insert(destination.to_owned(), room);
            room
        };
        let leases = self.outbound.inner.queue.claim_for(&self.holder, places.len(), &capacity).await?;
        let more = !leases.is_empty();
        for (destination, room) in told.into_inner() {
            let attempts = |lease: &&Lease| lease.errand() == Errand::Attempt;
            let handed = leases.iter().filter(attempts).filter(|lease| lease.destination() == destination);
            if handed.count() >= room {
                self.hands.entry(destination).or_default().crowded = true;
            }
        }
        for lease in leases {
            self.hand_out(lease, places.pop());
        }
        Ok(more)
    }

    /// Takes more out of the lines of destinations that have room again.
    async fn refill(&mut self, freed: &mut BTreeSet<String>) -> Result<(), Error> {
        while let Some(destination) = freed.first().cloned() {
            let room = self.room(&destination);
            let mut places = self.take_places(room);
            if places.is_empty() && room > 0 {
                // Whoever is done next has a place for it.
                return Ok(());
            }
            let queue = &self.outbound.inner.queue;
            let leases = queue.next_in_line(&self.holder, &destination, places.len()).await?;
            freed.remove(&destination);
            if leases.len() < places.len()
                && let Some(hand) = self.hands.get_mut(&destination)
            {
                hand.crowded = false;
                if hand.held == 0 && leases.is_empty() {
                    self.hands.remove(&destination);
                }
            }
            for lease in leases {
                self.hand_out(lease, places.pop());
            }
        }
        Ok(())
    }

    fn take_places(&self, most: usize) -> Vec<OwnedSemaphorePermit> {
        let free = || self.places.clone().try_acquire_owned().ok();
        std::iter::from_fn(free).take(most).collect()
    }

    fn hand_out(&mut self, lease: Lease, place: Option<OwnedSemaphorePermit>) {
        let destination = lease.destination().to_owned();
        self.hands.entry(destination.clone()).or_default().held += 1;
        let held = Held { destination, says_done: self.says_done.clone(), place };
        let (outbound, lifecycle) = (self.outbound.clone(), self.lifecycle.clone());
        self.lifecycle.spawn(async move {
            let _held = held;
            work(&outbound, &lifecycle, lease).await;
        });
    }

    async fn pause_after(&self, error: &Error) {
        tracing::warn!(%error, "the outbound queue cannot be worked on; it is tried again");
        let _stopping = timeout(AFTER_FAILURE, self.lifecycle.stopping()).await;
    }
}

/// Works on one leg for as long as the lease on it lasts, which is renewed meanwhile. When the server stops, there is some
/// time left to finish; then the leg is given back as if nobody had tried.
async fn work(outbound: &Outbound, lifecycle: &Lifecycle, lease: Lease) {
    let queue = &outbound.inner.queue;
    let too_late = async {
        lifecycle.stopping().await;
        sleep(outbound.inner.options.farewell).await;
    };
    tokio::select! {
        done = attempt::attempt(outbound, &lease, too_late) => match done {
            Ok(()) => {}
            Err(error @ Error::LeaseLost(_)) => tracing::info!(id = %lease.id(), %error, "not settled"),
            Err(error) => {
                tracing::warn!(id = %lease.id(), %error, "what became of a message cannot be written down");
            }
        },
        lost = queue.keep(&lease) => tracing::warn!(id = %lease.id(), error = %lost, "an attempt is given up"),
    }
}
