//! Answers that are due, and those that were given.

use std::time::Duration;

use store::kv::{Range, Table, Transaction, decode};
use types::{AccountId, EmailId, Timestamp};

use super::manners::{is_somebody, may_be_answered};
use crate::deliver::Companion;
use crate::table::{AnsweredRow, Answereds, DueRow, Dues, Vacations};
use crate::{Delivery, Error, Mail, Message};

/// An email whose sender is to be told that its reader is away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Whose email it is.
    pub account: AccountId,
    /// The email.
    pub email: EmailId,
    /// Its sender, as the envelope names it.
    pub sender: String,
    /// When it came.
    pub received: Timestamp,
}

impl Mail {
    /// How long somebody who was told is not told again (RFC 5230 §4.1).
    pub const ANSWERED_FOR: Duration = Duration::from_hours(7 * 24);
    /// Answers that an account gives in a day at most, to whomever: senders can be made up.
    const ANSWERS_PER_DAY: u64 = 500;
    const FORGOTTEN_AT_ONCE: usize = 1_000;

    /// Answers that are due, of all accounts, at most `limit` of them behind `last`.
    pub async fn answers_due(
        &self,
        last: Option<(AccountId, EmailId)>,
        limit: usize,
    ) -> Result<Vec<Due>, Error> {
        let range = &Range::new(Dues::behind(last)).limit(limit).snapshot();
        let rows = self.look(|tx| async move { Ok(tx.rows::<Dues>(range.clone()).all().await?) }).await?;
        let due = |((account, email), row): ((AccountId, EmailId), DueRow)| {
            let DueRow { sender, received } = row;
            Due { account, email, sender, received }
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// Waits until a delivery on this node has left an answer to be given. Those of other nodes, and of one that stopped, are
    /// found by looking now and then.
    pub async fn answer_wanted(&self) {
        self.answers().notified().await;
    }

    pub(crate) fn answer_is_due(&self) {
        self.answers().notify_one();
    }

    /// Counts an answer that an account is about to give; false if it has given as many as it may. The counter is on the bus:
    /// if it vanishes, the account may give as many once more.
    pub async fn may_answer(&self, account: AccountId) -> bool {
        let key = [b"answers/".as_slice(), &account.0.to_be_bytes()].concat();
        self.bus().count(&key, 1, Duration::from_hours(24)).await <= Self::ANSWERS_PER_DAY
    }

    /// Gives an answer: `companion` puts it on its way, in the transaction that says so. False if it was given by somebody
    /// else meanwhile, or its sender has been told by another one; then nothing is sent.
    pub async fn answer(&self, due: &Due, companion: &impl Companion) -> Result<bool, Error> {
        let sender = (due.account, name_of(&due.sender));
        let work = |tx: Transaction| async move {
            let (key, now) = ((due.account, due.email), self.now());
            if tx.load::<Dues>(&key).await?.is_none() {
                return Ok(false);
            }
            tx.remove::<Dues>(&key)?;
            let told = tx.load::<Answereds>(&sender).await?;
            if told.is_some_and(|row| row.until > now) {
                return Ok(false);
            }
            companion.join(&tx, &[]).await?;
            tx.save::<Answereds>(&sender, &AnsweredRow { until: now.plus(Self::ANSWERED_FOR) })?;
            Ok::<_, Error>(true)
        };
        self.kv().run(work).await
    }

    /// Gives no answer where one was due.
    pub async fn leave_unanswered(&self, due: &Due) -> Result<(), Error> {
        let key = &(due.account, due.email);
        self.kv().run(|tx| async move { Ok::<_, Error>(tx.remove::<Dues>(key)?) }).await
    }

    /// Whether a delivery is to be answered, which is written down with it; `vacation` is what was read of the account's.
    /// One read, and only if somebody is away.
    pub(crate) async fn owe_answer(
        &self,
        tx: &Transaction,
        message: &Message,
        delivery: &Delivery,
        email: EmailId,
        vacation: Option<&[u8]>,
    ) -> Result<bool, Error> {
        let (Some(vacation), Some(sender)) = (vacation, &delivery.answer_to) else { return Ok(false) };
        let account = delivery.account;
        let key = Vacations::key(&(account, Vacations::ONLY));
        let vacation = match decode::<Vacations>(&key, vacation) {
            Ok(vacation) => vacation,
            // Mail comes in all the same.
            Err(error) => {
                tracing::error!(%account, %error, "what is answered cannot be read, so nothing is");
                return Ok(false);
            }
        };
        if !vacation.is_on(delivery.received) || !is_somebody(sender) || !may_be_answered(message.raw()) {
            return Ok(false);
        }
        let told = tx.load::<Answereds>(&(account, name_of(sender))).await?;
        if told.is_some_and(|row| row.until > self.now()) {
            return Ok(false);
        }
        let row = DueRow { sender: sender.clone(), received: delivery.received };
        tx.save::<Dues>(&(account, email), &row)?;
        Ok(true)
    }

    /// Forgets whom an account has told, where it is long enough ago.
    pub(crate) async fn forget_answered(&self, account: AccountId) -> Result<u64, Error> {
        let mut forgotten = 0;
        let mut rest = Answereds::all(account);
        loop {
            let range = &Range::new(rest.clone()).limit(Self::FORGOTTEN_AT_ONCE);
            let work = |tx: Transaction| async move {
                let rows = tx.rows::<Answereds>(range.clone()).all().await?;
                let mut old = 0;
                for (key, _) in rows.iter().filter(|(_, row)| row.until <= self.now()) {
                    tx.remove::<Answereds>(key)?;
                    old += 1;
                }
                Ok::<_, Error>((
                    old,
                    rows.last().map(|(key, _)| *key).filter(|_| rows.len() == Self::FORGOTTEN_AT_ONCE),
                ))
            };
            let (old, last) = self.kv().run(work).await?;
            forgotten += old;
            match last {
                Some(last) => rest.begin = store::kv::after_key(&Answereds::key(&last)),
                None => return Ok(forgotten),
            }
        }
    }
}

/// Forgets whom an account has told, in a transaction that does something else too.
pub(super) fn forget_all(tx: &Transaction, account: AccountId) -> Result<(), Error> {
    Ok(tx.clear_range(Answereds::all(account))?)
}

/// Forgets what an account owes, when it is erased.
pub(crate) fn forget_due(tx: &Transaction, account: AccountId) -> Result<(), Error> {
    Ok(tx.clear_range(Dues::of(account))?)
}

/// Who was told: addresses have no case here, so that nobody is told twice.
fn name_of(sender: &str) -> [u8; 16] {
    let mut name = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 who was answered");
    hasher.update(sender.to_lowercase().as_bytes());
    hasher.finalize_xof().fill(&mut name);
    name
}
