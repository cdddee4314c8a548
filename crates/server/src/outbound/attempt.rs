//! One errand: an attempt to bring a message to its destination, or what its sender must hear without one.

use std::sync::Arc;
use std::time::Duration;

use mail::Source;
use queue::{Errand, Error, Lease, Outcome, Settled};
use relay::Attempt;
use tokio::time::sleep;

use super::Outbound;
use super::message::Stored;
use super::verdict::{Verdict, envelope, is_reached, judge};
use super::witness::Sighting;
use crate::meters;

/// How often what another server has taken is written down, if the store fails, and the pause between. Whatever is not
/// written down is sent twice.
const WRITES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);

/// Does what a lease was handed out for, and writes down what became of it. Once `too_late` is over nothing more is sent,
/// and the leg is given back; what was sent before is written down however long that takes.
pub(super) async fn attempt(
    outbound: &Outbound,
    lease: &Lease,
    too_late: impl Future<Output = ()>,
) -> Result<(), Error> {
    if lease.errand() != Errand::Attempt {
        return settle(outbound, lease, Vec::new()).await;
    }
    let source = match open(outbound, lease).await? {
        Ok(source) => source,
        Err(error) => {
            let outcome = if error.is_temporary() { Outcome::Later } else { Outcome::Never };
            let why = format!("the message cannot be read: {error}");
            let outcomes = lease.pending().map(|(number, _)| (number, outcome(why.as_str().into())));
            return settle(outbound, lease, outcomes.collect()).await;
        }
    };
    let (numbers, envelope) = envelope(lease);
    let protection = envelope.protection;
    let destination = lease.destination();
    let attempt = Attempt {
        destination: destination.to_owned(),
        envelope: Arc::new(envelope),
        source: Arc::new(Stored(source)),
    };
    let report = tokio::select! {
        biased;
        report = outbound.inner.relay.deliver(&attempt) => report,
        () = too_late => {
            tracing::info!(id = %lease.id(), "an attempt is broken off, because the server stops");
            return outbound.inner.queue.give_back(std::slice::from_ref(lease)).await;
        }
    };
    let tried = report.tries.iter().filter_map(|one| {
        one.address.map(|address| (address, one.reused, one.failure.as_deref().unwrap_or("used")))
    });
    tracing::debug!(id = %lease.id(), destination, tries = ?tried.collect::<Vec<_>>(), "tried");
    meters::connected(&report.tries);
    let sighting = Sighting {
        sender: &lease.origin().sender,
        destination,
        tries: &report.tries,
        problems: &report.problems,
        announced: &report.announced,
    };
    outbound.inner.witness.saw(&sighting);
    match judge(&numbers, &report, protection, outbound.inner.clock.now()) {
        Verdict::Blocked(cause, said) => {
            let (id, attempt, why) = (lease.id(), lease.attempt(), &said.text);
            meters::blocked(cause, numbers.len());
            tracing::warn!(%id, destination, attempt, ?cause, %why, "a destination cannot be reached; mail for it waits");
            insist(|| outbound.inner.queue.block(lease, cause, &said)).await
        }
        Verdict::Judged(outcomes) => {
            settle(outbound, lease, outcomes).await?;
            if lease.is_probe() && is_reached(&report, protection, lease.destination_fails_for()) {
                outbound.inner.queue.reached(destination).await?;
            }
            Ok(())
        }
    }
}

/// The message. The outer error is the queue's, the inner one says that there is none.
async fn open(outbound: &Outbound, lease: &Lease) -> Result<Result<Source, mail::Error>, Error> {
    match outbound.inner.queue.body(lease.id()).await {
        Ok(row) => Ok(outbound.inner.mail.unpack(&row)),
        Err(Error::NoSuchEntry(id)) => Err(Error::LeaseLost(id)),
        Err(error) => Err(error),
    }
}

/// Writes down what became of the recipients, and tells the sender what there is to tell.
async fn settle(outbound: &Outbound, lease: &Lease, outcomes: Vec<(usize, Outcome)>) -> Result<(), Error> {
    let Outbound { inner } = outbound;
    log(lease, &outcomes);
    outcomes.iter().for_each(|(_, outcome)| meters::relayed(outcome));
    if outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Done | Outcome::Passed(..))) {
        meters::relayed_after(inner.clock.now().since(lease.received()));
    }
    let settled = insist(|| inner.notifier.settle(&inner.queue, lease, outcomes.clone())).await?;
    let (id, destination, attempt) = (lease.id(), lease.destination(), lease.attempt());
    match settled {
        Settled::Failed => tracing::error!(
            %id, destination, attempt,
            "a message for another server cannot be delivered, and has no sender to be told: it is in the error queue"
        ),
        Settled::Reported => {
            let how = if lease.errand() == Errand::GiveUp { "given up" } else { "failed" };
            tracing::warn!(%id, destination, attempt, how, "a message was not delivered to everybody, and has left the queue");
        }
        Settled::Done | Settled::Later | Settled::Open => {}
    }
    Ok(())
}

fn log(lease: &Lease, outcomes: &[(usize, Outcome)]) {
    let (id, destination, attempt) = (lease.id(), lease.destination(), lease.attempt());
    for (number, outcome) in outcomes {
        let to = lease.pending().find(|(other, _)| other == number);
        let to = to.map(|(_, recipient)| recipient.address.as_str()).unwrap_or_default();
        match outcome {
            Outcome::Done => tracing::info!(%id, destination, to, attempt, "relayed"),
            Outcome::Passed(_, answer) => {
                let host = answer.facts.host.as_deref().unwrap_or_default();
                tracing::info!(%id, destination, to, attempt, host, said = answer.text, "relayed");
            }
            Outcome::Later(answer) => {
                tracing::warn!(%id, destination, to, attempt, why = answer.text, "not relayed yet");
            }
            Outcome::Never(answer) => {
                tracing::warn!(%id, destination, to, attempt, why = answer.text, "not relayed");
            }
        }
    }
}

/// Has something written down, however long the store takes to come back: what it is about has happened already.
async fn insist<T, F>(mut write: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut writes = 1;
    loop {
        match write().await {
            Err(Error::Kv(error)) if writes < WRITES => {
                tracing::warn!(%error, "what became of a message cannot be written down; it is tried again");
                writes += 1;
                sleep(PAUSE).await;
            }
            written => return written,
        }
    }
}
