//! APPEND: delivery by the owner, of one message or of several, all or none; and REPLACE, which takes another email
//! away in the same transaction.

use store::kv::Transaction;
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid, UidValidity};

use crate::deliver::{Failure, Quota};
use crate::edit::Edit;
use crate::place::{Placing, needs};
use crate::view::members_in;
use crate::{Error, Mail, Message};

/// A message that its owner adds to a mailbox.
#[derive(Clone)]
pub struct NewEmail {
    /// The message.
    pub message: Message,
    /// Its keywords.
    pub keywords: Keywords,
    /// `\Deleted`.
    pub deleted: bool,
    /// When it was received.
    pub received: Timestamp,
}

/// What became of an APPEND.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The new email.
    pub email: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// Its UID.
    pub uid: Uid,
    /// The mailbox's UIDVALIDITY.
    pub uidvalidity: UidValidity,
    /// The account's modseq after it.
    pub modseq: ModSeq,
}

/// An email's place, by which its owner names it.
type Place = (MailboxId, Uid);

/// What comes before emails are added, in the same transaction.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// This one is taken out of its mailbox.
    TakeOut(Place),
    /// It is seen whether the account is still as it was then.
    Unchanged(ModSeq),
}

impl Mail {
    /// Adds a message to a mailbox for its owner. Durable when it returns.
    #[expect(clippy::too_many_arguments, reason = "each is a datum of IMAP's APPEND")]
    pub async fn append(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        message: &Message,
        keywords: Keywords,
        deleted: bool,
        received: Timestamp,
        quota: Quota,
    ) -> Result<Appended, Error> {
        let email = NewEmail { message: message.clone(), keywords, deleted, received };
        let appended = self.add(account, mailbox, vec![email], Before::Nothing, quota).await?;
        appended.first().copied().ok_or(Error::Empty)
    }

    /// Adds messages to a mailbox in their order, in one transaction: all of them or none. More than fit into one
    /// are refused with [`Error::TooMuch`].
    pub async fn append_all(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        emails: Vec<NewEmail>,
        quota: Quota,
    ) -> Result<Vec<Appended>, Error> {
        self.add(account, mailbox, emails, Before::Nothing, quota).await
    }

    /// Adds a message to a mailbox and takes the email at `old` out of its mailbox, in one transaction (RFC 8508).
    /// [`Error::NoSuchEmail`] if there is none at that place any more.
    pub async fn replace(
        &self,
        account: AccountId,
        old: (MailboxId, Uid),
        mailbox: MailboxId,
        email: NewEmail,
        quota: Quota,
    ) -> Result<Appended, Error> {
        let appended = self.add(account, mailbox, vec![email], Before::TakeOut(old), quota).await?;
        appended.first().copied().ok_or(Error::Empty)
    }

    /// Makes an email that is in several mailboxes, the first of which are given, in one transaction (RFC 8621 §4.6,
    /// §4.8). What is appended says the first of them. [`Error::Changed`] if the account is not as it was then, if that
    /// matters.
    pub async fn create_email(
        &self,
        account: AccountId,
        mailboxes: &[MailboxId],
        email: NewEmail,
        quota: Quota,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Appended, Error> {
        let before = unchanged_since.map_or(Before::Nothing, Before::Unchanged);
        let (first, others) = mailboxes.split_first().ok_or(Error::Nowhere)?;
        let limit = Edit::MOST_PLACES;
        if mailboxes.len() > limit {
            return Err(Error::TooManyPlaces { limit });
        }
        let appended = self.add_to(account, (*first, others), vec![email], before, quota).await?;
        appended.first().copied().ok_or(Error::Empty)
    }

    async fn add(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        emails: Vec<NewEmail>,
        before: Before,
        quota: Quota,
    ) -> Result<Vec<Appended>, Error> {
        self.add_to(account, (mailbox, &[]), emails, before, quota).await
    }

    async fn add_to(
        &self,
        account: AccountId,
        mailboxes: (MailboxId, &[MailboxId]),
        mut emails: Vec<NewEmail>,
        before: Before,
        quota: Quota,
    ) -> Result<Vec<Appended>, Error> {
        let _turn = self.turn(account).await;
        loop {
            let work = |tx| self.add_in(tx, account, mailboxes, emails.clone(), before, quota);
            match self.kv().run(work).await {
                Ok((appended, modseq)) => {
                    self.announce(account, modseq).await;
                    return Ok(appended);
                }
                Err(Failure::Mail(error)) => return Err(error),
                // An attachment that the messages share was swept since they were prepared.
                Err(Failure::Vanished) => {
                    for email in &mut emails {
                        email.message = self.ingest(email.message.raw().clone()).await?;
                    }
                }
            }
        }
    }

    async fn add_in(
        &self,
        tx: Transaction,
        account: AccountId,
        (mailbox, others): (MailboxId, &[MailboxId]),
        emails: Vec<NewEmail>,
        before: Before,
        quota: Quota,
    ) -> Result<(Vec<Appended>, ModSeq), Failure> {
        let mailboxes = std::iter::once(mailbox).chain(others.iter().copied()).collect();
        let wants = needs(mailboxes, emails.iter().map(|email| &email.message), Vec::new());
        let (mut edit, _) = Edit::open_with(&tx, account, self.now(), wants).await?;
        match before {
            Before::Nothing => {}
            Before::TakeOut(place) => edit.take_away(place).await?,
            Before::Unchanged(since) if since.next() == edit.modseq() => {}
            Before::Unchanged(_) => return Err(Error::Changed.into()),
        }
        let mut appended = Vec::with_capacity(emails.len());
        for email in emails {
            let NewEmail { message, keywords, deleted, received } = email;
            let placing = Placing { mailbox, keywords, deleted, received, quota };
            let placed = edit.place(&message, &placing).await?;
            for other in others {
                edit.mailbox(*other).await?;
                edit.add_membership(placed.email, *other, false)?;
            }
            self.link(&tx, account, placed.email, &message).await?;
            appended.push(Appended {
                email: placed.email,
                thread: placed.thread,
                uid: placed.uid,
                uidvalidity: edit.uidvalidity(mailbox)?,
                modseq: edit.modseq(),
            });
        }
        Ok((appended, edit.finish().await?))
    }
}

impl Edit {
    /// Takes one email out of a mailbox, before another comes: what it used is free for that.
    async fn take_away(&mut self, (mailbox, uid): Place) -> Result<(), Error> {
        self.mailbox(mailbox).await?;
        let members = members_in(self.tx(), self.account(), mailbox, &[uid]).await?;
        let email = members.first().ok_or(Error::NoSuchEmail)?.email;
        self.read_emails(&[email]).await?;
        self.remove_membership(email, mailbox, uid);
        Ok(())
    }
}
