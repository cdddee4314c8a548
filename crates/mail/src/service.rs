//! The service that front ends hold, and what it rests on.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use store::blob::Blobs;
use store::bus::{Bus, Subscription};
use store::kv::{Kv, Transaction};
use tokio::sync::{Notify, OwnedMutexGuard};
use types::{AccountId, Clock, ModSeq, Timestamp};

use crate::roll::Shelf;
use crate::table::{AccountState, AccountStates};
use crate::{Error, ingest};

/// Mail storage. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Mail {
    inner: Arc<Inner>,
}

struct Inner {
    kv: Kv,
    blobs: Blobs,
    bus: Bus,
    clock: Clock,
    options: MailOptions,
    shelf: Shelf,
    gates: Mutex<HashMap<AccountId, Weak<tokio::sync::Mutex<()>>>>,
    /// Told when a delivery on this node wants to be answered.
    answers: Notify,
}

/// Limits and times.
#[derive(Clone, Debug)]
pub struct MailOptions {
    /// The longest message, in octets.
    pub message_size: u64,
    /// Literal bytes of a message up to this, after compression, are kept beside its metadata; longer ones
    /// become a blob.
    pub inline_size: usize,
    /// Attachments from this many encoded octets on are cut out and stored once.
    pub attachment_size: usize,
    /// The most mailboxes of an account.
    pub mailboxes: u32,
    /// Octets of memory for the members of mailboxes that were looked at last; one mailbox takes at most half of it.
    pub mailbox_cache: usize,
    /// How long expunged emails can be brought back.
    pub retention: Duration,
    /// How long the change log reaches back.
    pub change_log: Duration,
    /// What is looked at in a message.
    pub ingest: ingest::Limits,
}

impl Default for MailOptions {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            message_size: 50 << 20,
            inline_size: 16 << 10,
            attachment_size: 32 << 10,
            mailboxes: 10_000,
            mailbox_cache: 128 << 20,
            retention: day * 14,
            change_log: day * 30,
            ingest: ingest::Limits::default(),
        }
    }
}

/// What an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Octets of all emails, each counted once.
    pub bytes: u64,
    /// Emails.
    pub emails: u64,
}

impl Mail {
    /// Mail in these stores.
    pub fn new(kv: Kv, blobs: Blobs, bus: Bus, clock: Clock, options: MailOptions) -> Self {
        let shelf = Shelf::new(options.mailbox_cache);
        let (gates, answers) = (Mutex::default(), Notify::new());
        Self { inner: Arc::new(Inner { kv, blobs, bus, clock, options, shelf, gates, answers }) }
    }

    /// The modseq of an account's last change; zero before the first.
    pub async fn modseq(&self, account: AccountId) -> Result<ModSeq, Error> {
        Ok(self.state(account).await?.map_or(ModSeq(0), |state| state.modseq))
    }

    /// How much of its quota an account uses.
    pub async fn usage(&self, account: AccountId) -> Result<Usage, Error> {
        let usage = |state: AccountState| Usage { bytes: state.bytes, emails: state.emails };
        Ok(self.state(account).await?.map(usage).unwrap_or_default())
    }

    /// The longest message, in octets.
    pub fn message_size(&self) -> u64 {
        self.options().message_size
    }

    /// Follows an account: a message after each change, holding its modseq in 8 big-endian bytes. Messages may
    /// be lost or doubled; the change log says what really happened.
    pub fn subscribe(&self, account: AccountId) -> Subscription {
        self.inner.bus.subscribe(&topic(account))
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.inner.kv
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(crate) fn answers(&self) -> &Notify {
        &self.inner.answers
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    pub(crate) fn options(&self) -> &MailOptions {
        &self.inner.options
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Reads from one snapshot, and again from a fresh one where that has become too old.
    pub(crate) async fn look<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.kv().run(work).await
    }

    async fn state(&self, account: AccountId) -> Result<Option<AccountState>, Error> {
        self.look(|tx| async move { Ok(tx.snapshot_load::<AccountStates>(&account).await?) }).await
    }

    /// Tells followers that a change was committed.
    pub(crate) async fn announce(&self, account: AccountId, modseq: ModSeq) {
        let message = Bytes::copy_from_slice(&modseq.to_be_bytes());
        self.inner.bus.publish(&topic(account), message).await;
    }

    /// Makes sure that the account has its first mailboxes, for a reader that must not write.
    pub(crate) async fn ensure_born(&self, account: AccountId) -> Result<(), Error> {
        if self.state(account).await?.is_none() {
            let work = |tx: Transaction| async move {
                crate::edit::Edit::open(&tx, account, self.now()).await?.finish().await
            };
            self.kv().run(work).await?;
        }
        Ok(())
    }

    /// Writers of one account on this node take turns: they would only collide on its row. Writers on other
    /// nodes still may, and are retried.
    pub(crate) async fn turn(&self, account: AccountId) -> OwnedMutexGuard<()> {
        let gate = {
            let mut gates = self.inner.gates.lock();
            match gates.get(&account).and_then(Weak::upgrade) {
                Some(gate) => gate,
                None => {
                    if gates.len() >= 1024 {
                        gates.retain(|_, gate| gate.strong_count() > 0);
                    }
                    let gate = Arc::default();
                    gates.insert(account, Arc::downgrade(&gate));
                    gate
                }
            }
        };
        gate.lock_owned().await
    }
}

fn topic(account: AccountId) -> [u8; 9] {
    let mut topic = [b'a'; 9];
    topic[1..].copy_from_slice(&account.to_be_bytes());
    topic
}
