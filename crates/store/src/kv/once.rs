//! Exactly-once commits on engines that may lose a commit's answer.
//!
//! Each run of a transaction writes a marker row with a name of its own, which holds the number of the attempt.
//! Every attempt also conflicts on the marker, so of all attempts at most one is ever applied. When an answer is
//! lost, the next attempt looks for the marker. It is there: the attempt that it names was applied. It is
//! absent: then once this attempt, which writes it, is committed, no earlier one can be, however late the engine
//! is. That is why nothing is returned while an attempt is open, not even an error or a result that wrote
//! nothing, before a marker is committed.
//! Engines that never lose an answer pay nothing.

use types::{Clock, Randomness};

use super::{Engine, Error, KeyRange, Kv, Transaction};

const PREFIX: u8 = 0x00;
const MINUTES_KEPT: u64 = 60;
/// Stands for a commit of the marker alone, which proves that no attempt was applied.
const NO_ATTEMPT: u32 = 0;

/// What is known of the attempts of one [`Kv::run`].
pub(super) struct Attempts<T> {
    marker: Option<Marker>,
    /// Those whose answers were lost, with their results.
    open: Vec<(u32, T)>,
}

struct Marker {
    key: Vec<u8>,
    minute: u64,
}

impl<T> Attempts<T> {
    pub(super) fn new(engine: &dyn Engine, clock: &Clock) -> Self {
        let minute = clock.now().secs() / 60;
        let marker = engine.loses_commit_answers().then(|| Marker { key: new_key(minute), minute });
        Self { marker, open: Vec::new() }
    }

    /// Whether a later attempt can find out what became of one whose answer was lost.
    pub(super) const fn can_be_settled(&self) -> bool {
        self.marker.is_some()
    }

    /// Whether an attempt may have been applied, or still be.
    pub(super) const fn any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Notes that the answer to the commit of `attempt`, which had `result`, was lost.
    pub(super) fn lost(&mut self, attempt: u32, result: T) {
        self.open.push((attempt, result));
    }

    /// The result of an earlier attempt that was committed after all.
    pub(super) async fn settled(&mut self, tx: &Transaction) -> Result<Option<T>, Error> {
        let Some(marker) = self.marker.as_mut().filter(|_| !self.open.is_empty()) else { return Ok(None) };
        let Some(value) = tx.get(marker.key.clone()).await? else { return Ok(None) };
        let applied = value.first_chunk().map_or(NO_ATTEMPT, |number| u32::from_be_bytes(*number));
        if let Some(at) = self.open.iter().position(|(attempt, _)| *attempt == applied) {
            return Ok(Some(self.open.swap_remove(at).1));
        }
        marker.key = new_key(marker.minute);
        self.open.clear();
        Ok(None)
    }

    /// Puts the marker into the transaction, unless that only reads and nothing is open.
    pub(super) fn mark(&self, tx: &Transaction, attempt: u32) -> Result<(), Error> {
        match &self.marker {
            Some(marker) if self.any_open() || !tx.is_read_only() => {
                tx.conflict_on(KeyRange::key(&marker.key))?;
                tx.set(marker.key.clone(), attempt.to_be_bytes().to_vec())
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that no open attempt was applied or ever will be: `None`. Or returns the result of the one
    /// that was.
    pub(super) async fn settle(&mut self, tx: &Transaction) -> Result<Option<T>, Error> {
        let applied = self.settled(tx).await?;
        if applied.is_none() && self.any_open() {
            self.mark(tx, NO_ATTEMPT)?;
            tx.commit().await?;
        }
        Ok(applied)
    }

    /// What to tell the caller who gives up: an open attempt may have been applied.
    pub(super) fn give_up(&self, error: Error) -> Error {
        if self.any_open() { Error::CommitUnknown } else { error }
    }
}

/// The first byte after the prefix is random, so that markers do not make one hot range.
fn new_key(minute: u64) -> Vec<u8> {
    let [shard, name @ ..] = Randomness::bytes::<16>();
    [&[PREFIX, shard], minute.to_be_bytes().as_slice(), &name].concat()
}

pub(super) async fn forget(kv: &Kv) -> Result<(), Error> {
    let before = (kv.clock().now().secs() / 60).saturating_sub(MINUTES_KEPT);
    kv.run(|tx| async move {
        for shard in 0..=u8::MAX {
            let begin = vec![PREFIX, shard].into();
            let end = [&[PREFIX, shard], before.to_be_bytes().as_slice()].concat().into();
            tx.clear_range(KeyRange { begin, end })?;
        }
        Ok(())
    })
    .await
}
