//! Import: many messages into one account with few commits, each item exactly once however often it is tried.

use std::collections::BTreeSet;

use store::kv::Table;
use types::{AccountId, Keywords, MailboxId, ModSeq, Timestamp};

use crate::append::Appended;
use crate::deliver::{Failure, Quota};
use crate::edit::Edit;
use crate::place::{Placing, needs};
use crate::table::Imports;
use crate::{Error, Mail, Message};

/// Names an item of an import for ever: the source that it comes from, and its place there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ImportId {
    /// The source.
    pub source: [u8; 16],
    /// The item in it.
    pub item: [u8; 16],
}

/// A message to be imported.
#[derive(Clone)]
pub struct ImportItem {
    /// The message.
    pub message: Message,
    /// Where it goes.
    pub mailbox: MailboxId,
    /// Its keywords.
    pub keywords: Keywords,
    /// `\Deleted`.
    pub deleted: bool,
    /// When it was received.
    pub received: Timestamp,
    /// Its name.
    pub id: ImportId,
}

/// What became of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Imported {
    /// It is in now.
    Stored(Appended),
    /// It was in before: nothing was written.
    Known,
}

impl Mail {
    const IMPORT_BYTES_AT_ONCE: usize = 4_000_000;
    const IMPORTED_AT_ONCE: usize = 100;

    /// Imports items in order, in as few transactions as their size allows. One item's refusal does not touch
    /// the others.
    pub async fn import(
        &self,
        account: AccountId,
        items: &[ImportItem],
        quota: Quota,
    ) -> Result<Vec<Result<Imported, Error>>, Error> {
        let mut results = Vec::with_capacity(items.len());
        let mut rest = items;
        let mut most = Self::IMPORTED_AT_ONCE;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |item: &&ImportItem| {
                bytes += item.message.row_bytes();
                bytes <= Self::IMPORT_BYTES_AT_ONCE
            };
            let count = rest.iter().take(most).take_while(fits).count().max(1);
            let (step, later) = rest.split_at(count);
            match self.import_step(account, step.to_vec(), quota).await {
                Ok(done) => results.extend(done),
                Err(error) if error.is_too_much() && count > 1 => {
                    most = count / 2;
                    continue;
                }
                Err(error) => return Err(error),
            }
            (rest, most) = (later, Self::IMPORTED_AT_ONCE);
        }
        Ok(results)
    }

    /// Whether each of these items is in already.
    pub async fn known_imports(&self, account: AccountId, ids: &[ImportId]) -> Result<Vec<bool>, Error> {
        let keys = &ids.iter().map(|id| Imports::key(&(account, id.source, id.item))).collect::<Vec<_>>();
        let rows = self.look(|tx| async move { Ok(tx.snapshot_get_many(keys.clone()).await?) }).await?;
        Ok(rows.iter().map(Option::is_some).collect())
    }

    /// Forgets that items of a source were imported: importing it again makes new copies.
    pub async fn forget_import(&self, account: AccountId, source: [u8; 16]) -> Result<(), Error> {
        self.kv().run(|tx| async move { Ok(tx.clear_range(Imports::of(account, &source))?) }).await
    }

    async fn import_step(
        &self,
        account: AccountId,
        mut items: Vec<ImportItem>,
        quota: Quota,
    ) -> Result<Vec<Result<Imported, Error>>, Error> {
        let _turn = self.turn(account).await;
        loop {
            match self.kv().run(|tx| self.import_in(tx, account, items.clone(), quota)).await {
                Ok((results, modseq)) => {
                    self.announce(account, modseq).await;
                    return Ok(results);
                }
                Err(Failure::Mail(error)) => return Err(error),
                Err(Failure::Vanished) => {
                    for item in &mut items {
                        item.message = self.ingest(item.message.raw().clone()).await?;
                    }
                }
            }
        }
    }

    async fn import_in(
        &self,
        tx: store::kv::Transaction,
        account: AccountId,
        items: Vec<ImportItem>,
        quota: Quota,
    ) -> Result<(Vec<Result<Imported, Error>>, ModSeq), Failure> {
        let markers: Vec<_> = items.iter().map(|i| (account, i.id.source, i.id.item)).collect();
        let mut mailboxes: Vec<MailboxId> = items.iter().map(|item| item.mailbox).collect();
        mailboxes.sort_unstable();
        mailboxes.dedup();
        let rows = markers.iter().map(Imports::key).collect();
        let wants = needs(mailboxes, items.iter().map(|item| &item.message), rows);
        let (mut edit, known) = Edit::open_with(&tx, account, self.now(), wants).await?;
        let mut done = BTreeSet::new();
        let mut results = Vec::with_capacity(items.len());
        for ((item, marker), known) in items.iter().zip(&markers).zip(known) {
            if known.is_some() || done.contains(&item.id) {
                results.push(Ok(Imported::Known));
                continue;
            }
            let placing = Placing {
                mailbox: item.mailbox,
                keywords: item.keywords.clone(),
                deleted: item.deleted,
                received: item.received,
                quota,
            };
            let placed = match edit.place(&item.message, &placing).await {
                Ok(placed) => placed,
                Err(error) if error.is_refusal() => {
                    results.push(Err(error));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.link(&tx, account, placed.email, &item.message).await?;
            done.insert(item.id);
            tx.save::<Imports>(marker, &placed.marker(item.mailbox))?;
            let (email, thread, uid) = (placed.email, placed.thread, placed.uid);
            let uidvalidity = edit.uidvalidity(item.mailbox)?;
            results.push(Ok(Imported::Stored(Appended {
                email,
                thread,
                uid,
                uidvalidity,
                modseq: edit.modseq(),
            })));
        }
        Ok((results, edit.finish().await?))
    }
}
