//! Takes what is due out of the queue, and sees to it that some of it is delivered at a time.

use std::sync::Arc;
use std::time::Duration;

use queue::{Error, Lease};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::{Inbound, attempt};
use crate::net::Lifecycle;

/// The pause after the store has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Starts the worker of this process.
pub(super) fn start(inbound: Inbound, lifecycle: &Lifecycle) {
    let tasks = lifecycle.clone();
    lifecycle.spawn(async move {
        let worker = Worker {
            places: Arc::new(Semaphore::new(inbound.inner.options.workers.max(1))),
            holder: format!("process {}", std::process::id()),
            inbound,
        };
        tokio::select! {
            // Between two steps nothing is in anybody's hands: those have tasks of their own.
            () = tasks.stopping() => {}
            () = worker.run(&tasks) => {}
        }
    });
}

struct Worker {
    inbound: Inbound,
    places: Arc<Semaphore>,
    holder: String,
}

impl Worker {
    async fn run(&self, lifecycle: &Lifecycle) {
        loop {
            match self.inbound.inner.queue.reclaim().await {
                Ok(0) => break,
                Ok(count) => {
                    tracing::info!(count, "deliveries that a stopped server left behind are taken up again");
                    break;
                }
                Err(error) => pause_after(&error).await,
            }
        }
        loop {
            if let Err(error) = self.step(lifecycle).await {
                pause_after(&error).await;
            }
        }
    }

    /// Hands out as much of what is due as there are places for, or waits until something is.
    async fn step(&self, lifecycle: &Lifecycle) -> Result<(), Error> {
        let Ok(first) = self.places.clone().acquire_owned().await else { return Ok(()) };
        let mut places = vec![first];
        while let Ok(place) = self.places.clone().try_acquire_owned() {
            places.push(place);
        }
        let queue = &self.inbound.inner.queue;
        let leases = queue.claim(&self.holder, places.len()).await?;
        if leases.is_empty() {
            drop(places);
            return queue.wait().await;
        }
        for (lease, place) in leases.into_iter().zip(places) {
            let inbound = self.inbound.clone();
            lifecycle.spawn(async move { work(&inbound, lease, place).await });
        }
        Ok(())
    }
}

/// Works on one leg for as long as the lease on it lasts, which is renewed meanwhile.
async fn work(inbound: &Inbound, lease: Lease, mut place: OwnedSemaphorePermit) {
    if lease.origin().unchecked.is_some()
        && let Ok(other) = inbound.inner.checking.clone().try_acquire_owned()
    {
        place = other;
    }
    let queue = &inbound.inner.queue;
    tokio::select! {
        done = attempt::attempt(inbound, &lease) => match done {
            Ok(()) => {}
            Err(error @ Error::LeaseLost(_)) => tracing::info!(id = %lease.id(), %error, "not delivered"),
            Err(error) => {
                tracing::warn!(id = %lease.id(), %error, "what became of a queued message cannot be written down");
            }
        },
        lost = queue.keep(&lease) => tracing::warn!(id = %lease.id(), error = %lost, "a delivery is given up"),
    }
    drop(place);
}

async fn pause_after(error: &Error) {
    tracing::warn!(%error, "the inbound queue cannot be worked on; it is tried again");
    sleep(AFTER_FAILURE).await;
}
