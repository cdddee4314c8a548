//! Changing emails by their ids, whatever mailboxes they are in: JMAP's `Email/set`.

use std::collections::BTreeSet;

use store::kv::Transaction;
use types::{AccountId, EmailId, Keyword, Keywords, MailboxId, ModSeq};

use crate::edit::Edit;
use crate::{Companion, EmailChanged, Error, Mail};

/// What an email shall be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EmailUpdate {
    /// It stays, with these changes.
    Change {
        /// Of its keywords.
        keywords: Option<SetChange<Keyword>>,
        /// Of the mailboxes that it is in.
        mailboxes: Option<SetChange<MailboxId>>,
    },
    /// It leaves all mailboxes.
    Destroy,
}

/// A change of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetChange<T> {
    /// It becomes this.
    Replace(Vec<T>),
    /// Each of these is put in, or taken out.
    Patch(Vec<(T, bool)>),
}

impl Mail {
    /// Emails that one transaction updates: as many as one call of a client may name, unless they take more than a
    /// transaction may.
    const UPDATED_AT_ONCE: usize = 1_000;

    /// Changes emails; says of each, in the order given, whether it was changed. Each is changed as a whole or not at
    /// all; many are changed in steps, and where one of these fails after others the answer ends with its error. If
    /// `unchanged_since` is given and the account has changed since then, nothing is changed: [`Error::Changed`].
    pub async fn update_emails(
        &self,
        account: AccountId,
        updates: &[(EmailChanged, EmailUpdate)],
        unchanged_since: Option<ModSeq>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut done = Vec::with_capacity(updates.len());
        let mut at_once = Self::UPDATED_AT_ONCE;
        let mut condition = unchanged_since;
        while let Some(rest) = updates.get(done.len()..).filter(|rest| !rest.is_empty()) {
            let step = rest.get(..at_once).unwrap_or(rest);
            let _turn = self.turn(account).await;
            match self.kv().run(|tx| self.update_in(tx, account, step, condition)).await {
                Ok((results, modseq)) => {
                    done.extend(results);
                    condition = None;
                    self.announce(account, modseq).await;
                }
                Err(error) if error.is_too_much() && at_once > 1 => at_once /= 2,
                Err(error) if done.is_empty() => return Err(error),
                Err(error) => {
                    done.push(Err(error));
                    break;
                }
            }
        }
        Ok(done)
    }

    /// Gives an email a keyword that it has not yet, and has `companion` do in the same transaction what the keyword says that
    /// was done. False if it has the keyword already: then nothing is done.
    pub async fn mark(
        &self,
        account: AccountId,
        named: EmailChanged,
        keyword: &Keyword,
        companion: &impl Companion,
    ) -> Result<bool, Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            edit.read_states(&[named.email]).await?;
            let state = edit.email(named.email).filter(|state| state.thread == named.thread);
            if state.ok_or(Error::NoSuchEmail)?.keywords.contains(keyword.as_str()) {
                return Ok(None);
            }
            let keywords = Some(SetChange::Patch(vec![(keyword.clone(), true)]));
            edit.update_email(named, &EmailUpdate::Change { keywords, mailboxes: None }).await?;
            companion.join(&tx, &[]).await?;
            Ok::<_, Error>(Some(edit.finish().await?))
        };
        let Some(modseq) = self.kv().run(work).await? else { return Ok(false) };
        self.announce(account, modseq).await;
        Ok(true)
    }

    async fn update_in(
        &self,
        tx: Transaction,
        account: AccountId,
        step: &[(EmailChanged, EmailUpdate)],
        unchanged_since: Option<ModSeq>,
    ) -> Result<(Vec<Result<(), Error>>, ModSeq), Error> {
        let mut edit = Edit::open(&tx, account, self.now()).await?;
        if unchanged_since.is_some_and(|since| since.next() != edit.modseq()) {
            return Err(Error::Changed);
        }
        let emails: BTreeSet<EmailId> = step.iter().map(|(named, _)| named.email).collect();
        edit.read_states(&emails.into_iter().collect::<Vec<_>>()).await?;
        edit.read_mailboxes(step.iter().flat_map(|(_, update)| update.mailboxes())).await?;
        let mut results = Vec::with_capacity(step.len());
        for (named, update) in step {
            results.push(edit.update_email(*named, update).await);
        }
        Ok((results, edit.finish().await?))
    }
}

impl EmailUpdate {
    /// The mailboxes that it names.
    fn mailboxes(&self) -> Vec<MailboxId> {
        match self {
            Self::Change { mailboxes: Some(SetChange::Replace(mailboxes)), .. } => mailboxes.clone(),
            Self::Change { mailboxes: Some(SetChange::Patch(patch)), .. } => {
                patch.iter().map(|(mailbox, _)| *mailbox).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<T: Clone + Ord> SetChange<T> {
    fn apply(&self, before: BTreeSet<T>) -> BTreeSet<T> {
        match self {
            Self::Replace(now) => now.iter().cloned().collect(),
            Self::Patch(patch) => {
                let mut now = before;
                for (item, is_in) in patch {
                    match is_in {
                        true => now.insert(item.clone()),
                        false => now.remove(item),
                    };
                }
                now
            }
        }
    }
}

impl Edit {
    /// Changes one email (read before), or refuses it before anything of it is changed.
    async fn update_email(&mut self, named: EmailChanged, update: &EmailUpdate) -> Result<(), Error> {
        let state = self.email(named.email).filter(|state| state.thread == named.thread);
        let state = state.ok_or(Error::NoSuchEmail)?.clone();
        let (keywords, mailboxes) = match update {
            EmailUpdate::Destroy => (None, Some(BTreeSet::new())),
            EmailUpdate::Change { keywords, mailboxes } => {
                let keywords = keywords.as_ref().map(|change| {
                    let before = state.keywords.iter().filter_map(|text| Keyword::new(text).ok()).collect();
                    change.apply(before).into_iter().collect::<Keywords>()
                });
                let before = state.memberships.iter().map(|m| m.mailbox).collect();
                let mailboxes = mailboxes.as_ref().map(|change| change.apply(before));
                if mailboxes.as_ref().is_some_and(BTreeSet::is_empty) {
                    return Err(Error::Nowhere);
                }
                (keywords, mailboxes)
            }
        };
        let now = mailboxes.unwrap_or_else(|| state.memberships.iter().map(|m| m.mailbox).collect());
        let limit = Self::MOST_PLACES;
        if now.len() > limit {
            return Err(Error::TooManyPlaces { limit });
        }
        let new: Vec<MailboxId> =
            now.iter().copied().filter(|m| !state.memberships.iter().any(|old| old.mailbox == *m)).collect();
        let keywords_now = keywords.as_ref().unwrap_or(&state.keywords);
        for mailbox in &new {
            self.mailbox(*mailbox).await?;
            self.check_placing(*mailbox, keywords_now)?;
        }
        if let Some(keywords) = keywords {
            self.set_keywords(named.email, keywords)?;
        }
        // One that moves is never nowhere, and never in more mailboxes than it may be.
        let mut leaving = state.memberships.iter().filter(|m| !now.contains(&m.mailbox));
        for mailbox in new {
            match leaving.next() {
                Some(old) => self.move_membership(named.email, (old.mailbox, old.uid), mailbox)?,
                None => self.add_membership(named.email, mailbox, false)?,
            };
        }
        for old in leaving {
            self.remove_membership(named.email, old.mailbox, old.uid);
        }
        Ok(())
    }
}
