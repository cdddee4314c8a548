//! A notification that is written.

use compose::{Action, Outcome};
use queue::{EntryId, Error, Handover, NewEntry, Protection, Queue};
use store::kv::Transaction;
use types::Randomness;

use crate::meters::{self, Told};

/// A notification that is ready to be sent.
pub(crate) struct Letter {
    id: EntryId,
    /// The message that it is about.
    message: EntryId,
    /// Its sender.
    to: String,
    actions: Vec<Action>,
    /// How it must be protected on its way.
    protection: Protection,
    /// One for each queue that it goes into. None: nobody can be told.
    ways: Vec<Way>,
}

struct Way {
    to: Told,
    queue: Queue,
    entry: NewEntry,
}

impl Letter {
    /// One that goes nowhere yet.
    pub(super) fn new(message: EntryId, to: &str, outcomes: &[Outcome]) -> Self {
        let actions = outcomes.iter().map(|outcome| outcome.action).collect();
        Self {
            id: EntryId(Randomness::bytes()),
            message,
            to: to.to_owned(),
            actions,
            protection: Protection::Usual,
            ways: Vec::new(),
        }
    }

    /// The same, protected as the message that it is about had to be: it quotes its header (RFC 8689 §5).
    pub(super) const fn protected(mut self, demanded: Protection) -> Self {
        if matches!(demanded, Protection::Required) {
            self.protection = demanded;
        }
        self
    }

    /// How it must be protected on its way.
    pub(super) const fn protection(&self) -> Protection {
        self.protection
    }

    /// Its own name in the queues.
    pub(super) const fn id(&self) -> EntryId {
        self.id
    }

    /// The message that it is about.
    pub(super) const fn message(&self) -> EntryId {
        self.message
    }

    /// It goes this way too.
    pub(super) fn goes(&mut self, to: Told, queue: &Queue, entry: NewEntry) {
        self.ways.push(Way { to, queue: queue.clone(), entry });
    }

    /// Whether nobody can be told.
    pub(super) const fn goes_nowhere(&self) -> bool {
        self.ways.is_empty()
    }

    /// Puts it on its way, once under this name. Durable when this returns.
    pub(crate) async fn send(&self, name: Handover) -> Result<(), Error> {
        for way in &self.ways {
            once(way.queue.enqueue_once(&way.entry, name).await)?;
        }
        self.told();
        Ok(())
    }

    /// Puts it on its way in a transaction that does something else too, once under this name. Whoever commits that says
    /// so by [`Self::told`].
    pub(crate) async fn join(&self, tx: &Transaction, name: Handover) -> Result<(), Error> {
        for way in &self.ways {
            once(way.queue.enqueue_once_with(tx, &way.entry, name).await)?;
        }
        Ok(())
    }

    /// Puts it on its way in a transaction that happens once by itself.
    pub(super) async fn enclose(&self, tx: &Transaction) -> Result<(), Error> {
        for way in &self.ways {
            way.queue.enqueue_with(tx, &way.entry).await?;
        }
        Ok(())
    }

    /// Says in the log and in the metrics that it was sent.
    pub(crate) fn told(&self) {
        let (id, report, to) = (self.message, self.id, &self.to);
        if self.ways.is_empty() && !to.is_empty() {
            meters::told(Told::Nowhere);
        }
        for way in &self.ways {
            meters::told(way.to);
            for action in
                [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded]
            {
                let recipients = self.actions.iter().filter(|other| **other == action).count();
                if recipients > 0 {
                    tracing::info!(%id, %report, to, ?action, recipients, "the sender is told what became of a message");
                }
            }
        }
    }
}

/// What is on its way already is well.
fn once(sent: Result<(), Error>) -> Result<(), Error> {
    match sent {
        Err(Error::Exists(_)) => Ok(()),
        sent => sent,
    }
}
