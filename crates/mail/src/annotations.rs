//! Annotations: small values under names, kept for mail apps with a mailbox or with the account (RFC 5464).
//!
//! A mailbox's annotations move with it when it is renamed and go with it when it is deleted: they are found by its
//! id. They do not count as mail; limits of their own keep them small.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use store::kv::{Range, Transaction};
use thiserror::Error;
use types::{AccountId, MailboxId};

use crate::edit::Edit;
use crate::table::{AnnotationRow, Annotations, Mailboxes};
use crate::{Error, Mail};

/// The name of an annotation: `/private/…` or `/shared/…`, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryName(String);

/// Why a text names no annotation (RFC 5464 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum EntryError {
    /// It begins with neither of the two.
    #[error("the name of an annotation begins with /private/ or /shared/")]
    Scope,
    /// Something in it is not allowed.
    #[error("the name of an annotation is ASCII without *, % and control characters, and has no empty part")]
    Character,
    /// It is too long.
    #[error("the name of an annotation has at most {} bytes", EntryName::LONGEST)]
    Long,
}

impl EntryName {
    /// The longest name, in bytes.
    pub const LONGEST: usize = 250;

    /// Reads a name in any case.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        if text.len() > Self::LONGEST {
            return Err(EntryError::Long);
        }
        let name = text.to_ascii_lowercase();
        let rest = name.strip_prefix("/private/").or_else(|| name.strip_prefix("/shared/"));
        let rest = rest.ok_or(EntryError::Scope)?;
        let good = |c: char| c.is_ascii() && !c.is_ascii_control() && c != '*' && c != '%';
        if !rest.chars().all(good) || rest.split('/').any(str::is_empty) {
            return Err(EntryError::Character);
        }
        Ok(Self(name))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is under `/shared/`.
    pub fn is_shared(&self) -> bool {
        self.0.starts_with("/shared/")
    }

    /// How many levels it lies below `base`, which may be `/private` or `/shared`: 0 if it is `base` itself.
    pub fn depth_below(&self, base: &str) -> Option<usize> {
        let rest = self.0.strip_prefix(base)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.matches('/').count())
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to write under a name; `None` removes it.
pub type Annotate = (EntryName, Option<Bytes>);

impl Mail {
    /// The longest value of an annotation, in octets.
    pub const ANNOTATION_SIZE: usize = 64 << 10;
    /// The most annotations that an account has.
    pub const ANNOTATIONS: usize = 1_000;
    /// Octets of all names and values of an account.
    pub const ANNOTATION_BYTES: usize = 1 << 20;

    /// The annotations of a mailbox, or of the account itself: one range read.
    pub async fn annotations(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
    ) -> Result<BTreeMap<EntryName, Bytes>, Error> {
        let range = &Range::new(Annotations::of(account, mailbox)).snapshot();
        let rows =
            self.look(|tx| async move { Ok(tx.rows::<Annotations>(range.clone()).all().await?) }).await?;
        let entry = |((.., name), row): ((AccountId, Option<MailboxId>, String), AnnotationRow)| {
            Some((EntryName::parse(&name).ok()?, row.value.into()))
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// Writes annotations of a mailbox, or of the account itself: all of them or none. Durable when it returns.
    pub async fn annotate(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
        changes: &[Annotate],
    ) -> Result<(), Error> {
        self.ensure_born(account).await?;
        let _turn = self.turn(account).await;
        let write = |tx: Transaction| async move {
            annotate_in(tx.clone(), account, mailbox, changes).await?;
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            if let Some(mailbox) = mailbox {
                // A client that follows the mailbox by modseq shall look at it (RFC 7162 §3.2).
                edit.mailbox(mailbox).await?;
                edit.touch(mailbox);
            }
            edit.annotated(mailbox, changes.iter().map(|(name, _)| name.to_string()).collect());
            edit.finish().await
        };
        let modseq = self.kv().run(write).await?;
        self.announce(account, modseq).await;
        Ok(())
    }
}

async fn annotate_in(
    tx: Transaction,
    account: AccountId,
    mailbox: Option<MailboxId>,
    changes: &[Annotate],
) -> Result<(), Error> {
    if let Some(mailbox) = mailbox {
        let record = tx.load::<Mailboxes>(&(account, mailbox)).await?;
        record.filter(|record| !record.deleting).ok_or(Error::NoSuchMailbox)?;
    }
    // All of the account's, which the limits keep short: whoever adds one elsewhere at the same time is noticed.
    let rows = tx.rows::<Annotations>(Range::new(Annotations::all(account))).all().await?;
    let mut sizes: BTreeMap<(Option<MailboxId>, String), usize> =
        rows.into_iter().map(|((_, mailbox, name), row)| ((mailbox, name), row.value.len())).collect();
    for (name, value) in changes {
        let key = (account, mailbox, name.as_str().to_owned());
        let place = (mailbox, key.2.clone());
        let Some(value) = value else {
            sizes.remove(&place);
            tx.remove::<Annotations>(&key)?;
            continue;
        };
        if value.len() > Mail::ANNOTATION_SIZE {
            return Err(Error::AnnotationTooLarge { limit: Mail::ANNOTATION_SIZE });
        }
        sizes.insert(place, value.len());
        tx.save::<Annotations>(&key, &AnnotationRow { value: value.to_vec() })?;
    }
    let grows = changes.iter().any(|(_, value)| value.is_some());
    let bytes: usize = sizes.iter().map(|((_, name), size)| name.len() + size).sum();
    if grows && (sizes.len() > Mail::ANNOTATIONS || bytes > Mail::ANNOTATION_BYTES) {
        return Err(Error::TooManyAnnotations { entries: Mail::ANNOTATIONS, bytes: Mail::ANNOTATION_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_annotations() {
        let name = |text: &str| EntryName::parse(text).map(|name| name.to_string());
        assert_eq!(name("/Private/Comment"), Ok("/private/comment".to_owned()));
        assert_eq!(name("/shared/vendor/x/y z"), Ok("/shared/vendor/x/y z".to_owned()));
        for scope in ["", "/", "/private", "/shared", "private/x", "/comment", "/privately/x"] {
            assert_eq!(name(scope), Err(EntryError::Scope), "{scope}");
        }
        for bad in [
            "/private/",
            "/private//x",
            "/private/x/",
            "/private/a*",
            "/private/%",
            "/private/\u{e9}",
            "/shared/\u{1}",
        ] {
            assert_eq!(name(bad), Err(EntryError::Character), "{bad}");
        }
        assert_eq!(name(&format!("/private/{}", "x".repeat(250))), Err(EntryError::Long));
    }

    #[test]
    fn depths() {
        let entry = EntryName::parse("/private/a/b").unwrap();
        assert_eq!(entry.depth_below("/private"), Some(2));
        assert_eq!(entry.depth_below("/private/a"), Some(1));
        assert_eq!(entry.depth_below("/private/a/b"), Some(0));
        assert_eq!((entry.depth_below("/private/a/bc"), entry.depth_below("/priv")), (None, None));
    }
}
