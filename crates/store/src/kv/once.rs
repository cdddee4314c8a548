//! Exactly-once commits on engines that may lose a commit's answer.
//!
//! Each run of a transaction writes a marker row with a name of its own. When the answer is lost, the next
//! attempt looks for the marker: there, and the commit was applied; absent, and it never will be, because the
//! look itself is a conflict range. Engines that never lose an answer pay nothing.

use types::{Clock, Randomness};

use super::{Engine, Error, KeyRange, Kv, Transaction};

const PREFIX: u8 = 0x00;
const MINUTES_KEPT: u64 = 60;

/// The marker of one [`Kv::run`].
pub(super) struct Marker {
    key: Option<Vec<u8>>,
    minute: u64,
    tried: bool,
}

impl Marker {
    pub(super) fn new(engine: &dyn Engine, clock: &Clock) -> Self {
        let minute = clock.now().secs() / 60;
        Self { key: engine.loses_commit_answers().then(|| new_key(minute)), minute, tried: false }
    }

    pub(super) const fn answers_are_lost(&self) -> bool {
        self.key.is_some()
    }

    /// Whether an earlier attempt was committed after all.
    pub(super) async fn was_committed(&self, tx: &Transaction) -> Result<bool, Error> {
        match &self.key {
            Some(key) if self.tried => Ok(tx.get(key.clone()).await?.is_some()),
            _ => Ok(false),
        }
    }

    /// Puts the marker into the transaction, unless that only reads.
    pub(super) fn mark(&mut self, tx: &Transaction) -> Result<(), Error> {
        if let Some(key) = &self.key
            && !tx.is_read_only()
        {
            self.tried = true;
            tx.set(key.clone(), self.minute.to_be_bytes().to_vec())?;
        }
        Ok(())
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
