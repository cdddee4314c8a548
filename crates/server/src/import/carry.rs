//! Carries what a reader finds to the store, in batches that bound the memory, and keeps count.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{FolderPath, Found, Item, Source, SourceError, Unreadable};
use crate::admin::Desk;
use crate::admin::operation::import::{Fate, Folder, Known, Message, Place, SourceId, Store, Target};
use crate::problem::{Kind, Problem};

/// Messages in one batch, and so in one transaction.
const MESSAGES: usize = 64;
/// Bytes of messages in one batch, unless a single one is larger.
const BYTES: u64 = 8 << 20;

/// What an import has done so far.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Messages stored.
    pub(crate) imported: u64,
    /// Their size in octets.
    pub(crate) bytes: u64,
    /// Messages that an earlier run of the same import has stored.
    pub(crate) known: u64,
    /// Where folders went.
    pub(crate) folders: Vec<Moved>,
    /// What could not be imported.
    pub(crate) failed: Vec<Unreadable>,
    /// How far the reader has come.
    #[serde(skip)]
    pub(crate) progress: u64,
}

/// A folder and its mailbox.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Moved {
    pub(crate) folder: String,
    pub(crate) mailbox: String,
}

/// Where messages are carried to.
pub(crate) struct Carrier<'a> {
    pub(crate) desk: &'a mut Desk,
    pub(crate) target: Target,
    pub(crate) source: SourceId,
    pub(crate) into: Option<String>,
    /// The largest message, in octets.
    pub(crate) limit: u64,
}

/// Folders and messages that were found together.
#[derive(Default)]
struct Batch {
    folders: Vec<Arc<FolderPath>>,
    items: Vec<Item>,
    failed: Vec<Unreadable>,
    bytes: u64,
}

impl Carrier<'_> {
    /// Imports everything that `source` holds; tells `progress` after each batch.
    pub(crate) async fn run(
        mut self,
        source: Source,
        mut progress: impl FnMut(&Tally),
    ) -> Result<Tally, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (sender, mut batches) = mpsc::channel(1);
        let reader = tokio::task::spawn_blocking(move || read(&source, limit, &sender));
        let mut tally = Tally::default();
        let mut mailboxes = HashMap::new();
        while let Some(batch) = batches.recv().await {
            self.carry(batch, &mut mailboxes, &mut tally).await?;
            progress(&tally);
        }
        reader
            .await
            .map_err(|error| Problem::new(Kind::Internal, format!("reading was cut short: {error}")))??;
        Ok(tally)
    }

    async fn carry(
        &mut self,
        batch: Batch,
        mailboxes: &mut HashMap<Arc<FolderPath>, u32>,
        tally: &mut Tally,
    ) -> Result<(), Problem> {
        for folder in batch.folders {
            let ask =
                Folder { account: self.target.account, folder: (*folder).clone(), into: self.into.clone() };
            let Place { mailbox, path } = self.desk.ask(ask).await?;
            tally.folders.push(Moved { folder: folder.to_string(), mailbox: path });
            mailboxes.insert(folder, mailbox);
        }
        tally.failed.extend(batch.failed);
        let mut items = batch.items;
        tally.progress = items.last().map_or(tally.progress, |item| item.progress);
        let before = items.len();
        self.drop_known(&mut items).await?;
        tally.known += (before - items.len()) as u64;
        self.store(items, mailboxes, tally).await
    }

    async fn drop_known(&mut self, items: &mut Vec<Item>) -> Result<(), Problem> {
        let keys = items.iter().map(|item| SourceId(item.key)).collect();
        let known = self.desk.ask(Known { account: self.target.account, source: self.source, keys }).await?;
        let mut known = known.into_iter();
        items.retain(|_| !known.next().unwrap_or(false));
        Ok(())
    }

    async fn store(
        &mut self,
        items: Vec<Item>,
        mailboxes: &HashMap<Arc<FolderPath>, u32>,
        tally: &mut Tally,
    ) -> Result<(), Problem> {
        let limit = self.limit;
        let loaded = tokio::task::spawn_blocking(move || load(items, limit)).await;
        let (loaded, failed) = loaded
            .map_err(|error| Problem::new(Kind::Internal, format!("reading was cut short: {error}")))?;
        tally.failed.extend(failed);
        if loaded.is_empty() {
            return Ok(());
        }
        let mut payload = BytesMut::with_capacity(loaded.iter().map(|(_, raw)| raw.len()).sum());
        let mut messages = Vec::with_capacity(loaded.len());
        for (item, raw) in &loaded {
            payload.extend_from_slice(raw);
            messages.push(Message {
                key: SourceId(item.key),
                size: raw.len(),
                mailbox: mailboxes.get(&item.folder).copied().unwrap_or(types::MailboxId::INBOX.0),
                keywords: item.flags.keywords.iter().map(str::to_owned).collect(),
                deleted: item.flags.deleted,
                received: item.received.0,
            });
        }
        let ask = Store { account: self.target.account, source: self.source, messages };
        let fates = self.desk.ask_with(ask, payload.freeze()).await?;
        for ((item, raw), fate) in loaded.into_iter().zip(fates) {
            match fate {
                Fate::Stored => {
                    tally.imported += 1;
                    tally.bytes += raw.len() as u64;
                }
                Fate::Known => tally.known += 1,
                Fate::Failed(reason) => tally.failed.push(Unreadable { place: item.place, reason }),
            }
        }
        Ok(())
    }
}

/// Reads the source into batches. Ends early when nobody takes them any more.
fn read(source: &Source, limit: usize, batches: &mpsc::Sender<Batch>) -> Result<(), SourceError> {
    let mut batch = Batch::default();
    source.read(limit, &mut |found| {
        match found {
            Found::Folder(folder) => batch.folders.push(folder),
            Found::Failed(failed) => batch.failed.push(failed),
            Found::Message(item) => {
                batch.bytes += item.size;
                batch.items.push(*item);
            }
        }
        if batch.items.len() < MESSAGES && batch.bytes < BYTES {
            return ControlFlow::Continue(());
        }
        match batches.blocking_send(std::mem::take(&mut batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // If nobody takes the rest, the reason is known elsewhere.
    let _taken = batches.blocking_send(batch);
    Ok(())
}

/// Reads the messages that lie in files of their own, and brings all into wire form.
fn load(items: Vec<Item>, limit: u64) -> (Vec<(Item, Bytes)>, Vec<Unreadable>) {
    let mut loaded = Vec::with_capacity(items.len());
    let mut failed = Vec::new();
    for mut item in items {
        match item.load(limit) {
            Ok(raw) => loaded.push((item, raw.into())),
            Err(reason) => failed.push(Unreadable { place: item.place, reason }),
        }
    }
    (loaded, failed)
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        let kind = match error {
            SourceError::Kind(_) | SourceError::NotMbox(_) => Kind::Invalid,
            SourceError::Io { .. } => Kind::Unavailable,
            SourceError::NoMaildir(_) | SourceError::NoMbox(_) => Kind::NotFound,
        };
        Self::new(kind, error.to_string())
    }
}
