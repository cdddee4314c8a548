//! Delivery: how a message becomes an email of one or many accounts.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use store::blob::LinkError;
use store::kv::{Table, Transaction, decode};
use tokio::sync::OwnedMutexGuard;
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ObjectId, ThreadId, Timestamp, Uid};

use crate::edit::Edit;
use crate::place::{Placing, needs, owner};
use crate::returned::{delivery_was_told, receipt_came, report_came};
use crate::table::{AccountState, DeliveredRow, Deliveries, Vacations, day};
use crate::{Error, Mail, Message};

/// One recipient of a delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Whose mail it becomes.
    pub account: AccountId,
    /// Where it goes; the INBOX unless a rule says otherwise.
    pub mailbox: MailboxId,
    /// Its first keywords.
    pub keywords: Keywords,
    /// When it was received: IMAP's INTERNALDATE, JMAP's `receivedAt`.
    pub received: Timestamp,
    /// How much the account may hold.
    pub quota: Quota,
    /// Names the delivery, so that a retry of the same makes no second copy for a day.
    pub id: Option<DeliveryId>,
    /// It is a report on what became of this submission of the same account's.
    pub reports_on: Option<ObjectId>,
    /// The sender in the envelope, if whoever gets the message may answer by themselves while they are away. None for
    /// messages without a sender, and for suspicious ones.
    pub answer_to: Option<String>,
}

/// The name of a delivery: equal for a retry, different for everything else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DeliveryId(pub [u8; 16]);

/// How much an account may hold; `None` is without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Octets of all emails.
    pub bytes: Option<u64>,
    /// Emails.
    pub emails: Option<u64>,
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivered {
    /// The new email.
    pub email: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// The mailbox that it is in.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: Uid,
    /// It was there already from an earlier attempt of the same delivery: nothing was written.
    pub duplicate: bool,
}

impl Quota {
    /// Whether an account can take `more` octets in one more email.
    pub(crate) const fn check(&self, state: &AccountState, more: u64) -> Result<(), Error> {
        if let Some(limit) = self.bytes
            && state.bytes.saturating_add(more) > limit
        {
            return Err(Error::OverQuota { used: state.bytes, limit, unit: "octets" });
        }
        if let Some(limit) = self.emails
            && state.emails >= limit
        {
            return Err(Error::OverQuota { used: state.emails, limit, unit: "emails" });
        }
        Ok(())
    }
}

/// What else a delivering transaction does, so that both happen or neither.
pub trait Companion: Sync {
    /// Joins the transaction; `fates` says what it does to each of the accounts that it is about. An error gives up
    /// the transaction, and is what every delivery in it comes to.
    fn join(
        &self,
        tx: &Transaction,
        fates: &[(AccountId, Result<Delivered, Error>)],
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Nothing else.
struct Alone;

impl Companion for Alone {
    async fn join(&self, _: &Transaction, _: &[(AccountId, Result<Delivered, Error>)]) -> Result<(), Error> {
        Ok(())
    }
}

/// What a delivery has changed.
#[derive(Clone, Copy)]
struct Written {
    modseq: ModSeq,
    /// Its sender is to be told that its reader is away.
    answer_due: bool,
}

/// Why a delivering transaction has to be begun anew, or cannot be.
pub(crate) enum Failure {
    /// An attachment that was known when the message was prepared has been swept since.
    Vanished,
    /// Anything else.
    Mail(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Mail(error)
    }
}

impl From<store::kv::Error> for Failure {
    fn from(error: store::kv::Error) -> Self {
        Self::Mail(error.into())
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Vanished(_) => Self::Vanished,
            LinkError::Kv(error) => Self::Mail(error.into()),
        }
    }
}

impl Mail {
    /// Bytes of rows that one delivering transaction may carry: well below the limit of transactions.
    const BYTES_AT_ONCE: usize = 4_000_000;
    const ACCOUNTS_AT_ONCE: usize = 100;

    /// Delivers a message to any number of local recipients. Durable when it returns. The results stand in the
    /// order of the deliveries; one recipient's refusal does not touch the others.
    ///
    /// For one recipient: one commit; one read round for a new thread, two for a reply, and one more for a
    /// message with attachments.
    pub async fn deliver(&self, message: &Message, deliveries: &[Delivery]) -> Vec<Result<Delivered, Error>> {
        self.deliver_with(message, deliveries, &Alone).await
    }

    /// [`Self::deliver`], with a companion in each of its transactions. There is one transaction, unless there are
    /// many deliveries, large ones, or several to one account.
    pub async fn deliver_with(
        &self,
        message: &Message,
        deliveries: &[Delivery],
        companion: &impl Companion,
    ) -> Vec<Result<Delivered, Error>> {
        let mut results = Vec::with_capacity(deliveries.len());
        let mut rest = deliveries;
        let mut most = Self::ACCOUNTS_AT_ONCE;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(Self::chunk(message, rest).min(most));
            match self.deliver_chunk(message, chunk, companion).await {
                Ok(delivered) => results.extend(delivered),
                // A message that makes long threads one drags their emails along, for each account.
                Err(error) if error.is_too_much() && chunk.len() > 1 => {
                    most = chunk.len() / 2;
                    continue;
                }
                Err(error) => results.extend(chunk.iter().map(|_| Err(error.clone()))),
            }
            rest = later;
        }
        results
    }

    /// How many of the first deliveries go into one transaction: each account at most once.
    fn chunk(message: &Message, deliveries: &[Delivery]) -> usize {
        let most = (Self::BYTES_AT_ONCE / message.row_bytes().max(1)).clamp(1, Self::ACCOUNTS_AT_ONCE);
        let mut accounts = BTreeSet::new();
        deliveries.iter().take(most).take_while(|d| accounts.insert(d.account)).count()
    }

    async fn deliver_chunk(
        &self,
        message: &Message,
        deliveries: &[Delivery],
        companion: &impl Companion,
    ) -> Result<Vec<Result<Delivered, Error>>, Error> {
        let _turns = self.turns(deliveries).await;
        let committed = self
            .placing_transaction(message, |message, tx| async move {
                let each = deliveries.iter().map(|delivery| self.deliver_one(&tx, &message, delivery));
                let outcomes = try_join_all(each).await?;
                let fates = deliveries.iter().zip(&outcomes);
                let fates: Vec<_> = fates
                    .map(|(delivery, outcome)| (delivery.account, outcome.clone().map(|(done, _)| done)))
                    .collect();
                companion.join(&tx, &fates).await?;
                Ok(outcomes)
            })
            .await?;
        let mut results = Vec::with_capacity(committed.len());
        for (delivery, outcome) in deliveries.iter().zip(committed) {
            if let Ok((_, Some(Written { modseq, answer_due }))) = outcome {
                self.announce(delivery.account, modseq).await;
                if answer_due {
                    self.answer_is_due();
                }
            }
            results.push(outcome.map(|(delivered, _)| delivered));
        }
        Ok(results)
    }

    /// Turns of all accounts of a transaction, in one order for everybody.
    async fn turns(&self, deliveries: &[Delivery]) -> Vec<OwnedMutexGuard<()>> {
        let accounts: BTreeSet<AccountId> = deliveries.iter().map(|d| d.account).collect();
        let mut turns = Vec::with_capacity(accounts.len());
        for account in accounts {
            turns.push(self.turn(account).await);
        }
        turns
    }

    /// One recipient's part of the transaction. The outer error ends it for all, the inner one refuses this
    /// recipient before anything was written for it.
    async fn deliver_one(
        &self,
        tx: &Transaction,
        message: &Message,
        delivery: &Delivery,
    ) -> Result<Result<(Delivered, Option<Written>), Error>, Failure> {
        let account = delivery.account;
        let now = self.now();
        let today = day(now);
        let markers: Vec<_> = delivery
            .id
            .iter()
            .flat_map(|id| [today, today.saturating_sub(1)].map(|day| Deliveries::key(&(account, day, id.0))))
            .collect();
        // Whether anybody is away is read along, which costs no round of its own.
        let away = delivery.answer_to.as_ref().map(|_| Vacations::key(&(account, Vacations::ONLY)));
        let rows = markers.iter().cloned().chain(away).collect();
        let wants = needs(vec![delivery.mailbox], [message].into_iter(), rows);
        let (mut edit, found) = Edit::open_with(tx, account, now, wants).await?;
        if let Some((key, value)) = markers.iter().zip(&found).find_map(|(k, v)| v.as_ref().map(|v| (k, v))) {
            let row: DeliveredRow = decode::<Deliveries>(key, value)?;
            let DeliveredRow { email, thread, mailbox, uid } = row;
            return Ok(Ok((Delivered { email, thread, mailbox, uid, duplicate: true }, None)));
        }
        let placing = Placing {
            mailbox: delivery.mailbox,
            keywords: delivery.keywords.clone(),
            deleted: false,
            received: delivery.received,
            quota: delivery.quota,
        };
        let placed = match edit.place(message, &placing).await {
            Ok(placed) => placed,
            Err(error) if error.is_refusal() => return Ok(Err(error)),
            Err(error) => return Err(error.into()),
        };
        self.link(tx, account, placed.email, message).await?;
        if let Some(id) = delivery.id {
            tx.save::<Deliveries>(&(account, today, id.0), &placed.marker(delivery.mailbox))?;
        }
        if let Some(submission) = delivery.reports_on {
            report_came(&mut edit, submission, placed.email).await?;
        } else if let Some(report) = message.delivery_report() {
            delivery_was_told(&mut edit, &report, placed.email).await?;
        } else if let Some(receipt) = message.notification() {
            receipt_came(&mut edit, &receipt, placed.email).await?;
        }
        let vacation = found.get(markers.len()).and_then(Option::as_deref);
        let answer_due = self.owe_answer(tx, message, delivery, placed.email, vacation).await?;
        let modseq = edit.finish().await?;
        let (email, thread, mailbox, uid) = (placed.email, placed.thread, delivery.mailbox, placed.uid);
        let delivered = Delivered { email, thread, mailbox, uid, duplicate: false };
        Ok(Ok((delivered, Some(Written { modseq, answer_due }))))
    }

    /// References the message's blobs from an email.
    pub(crate) async fn link(
        &self,
        tx: &Transaction,
        account: AccountId,
        email: EmailId,
        message: &Message,
    ) -> Result<(), Failure> {
        if message.blobs().is_empty() {
            return Ok(());
        }
        Ok(self.blobs().link(tx, message.blobs(), &owner(account, email)).await?)
    }

    /// Runs a transaction that places one message, preparing the message anew when an attachment that it shares
    /// was swept in between.
    async fn placing_transaction<T, F, Fut>(&self, message: &Message, work: F) -> Result<T, Error>
    where
        F: Fn(Message, Transaction) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut message = message.clone();
        loop {
            match self.kv().run(|tx| work(message.clone(), tx)).await {
                Ok(done) => return Ok(done),
                Err(Failure::Mail(error)) => return Err(error),
                Err(Failure::Vanished) => message = self.ingest(message.raw().clone()).await?,
            }
        }
    }
}

impl Error {
    /// Whether it refuses one recipient for a reason of its own, as opposed to a failure of the stores.
    pub(crate) const fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unavailable(_) | Self::Full(_) | Self::TooMuch(_) | Self::Corrupt { .. })
    }
}
