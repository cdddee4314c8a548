//! What a method call runs in: who asks, on what, what the request has said, and how much of its limits is left.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use mail::{Mail, Quota, Standing};
use serde_json::Value;
use types::AccountId;

use crate::blob::{self, Enclosing, Extract};
use crate::error::{MethodError, SetError, TransferError};
use crate::service::Services;
use crate::wire::arguments::Id;
use crate::wire::id::BlobId;
use crate::wire::{Arguments, Object, Using, json, state};
use crate::{Limits, User};

/// One request that is being answered.
pub(crate) struct Context<'r> {
    pub(crate) services: &'r Services,
    pub(crate) limits: &'r Limits,
    pub(crate) user: &'r User,
    /// The capabilities that it uses.
    pub(crate) using: &'r Using,
    /// What was created in this request, and before it as far as the client says: by the client's names.
    pub(crate) created: BTreeMap<String, String>,
    /// Octets that the answer may still get longer by.
    pub(crate) room: usize,
    /// Octets of blobs that it may still read or put together.
    pub(crate) blob_room: u64,
}

/// Why a blob was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unread {
    /// There is none.
    NotFound,
    /// The request has read as much of blobs as one may.
    UsedUp,
}

impl Unread {
    /// What becomes of an object that is made of the blob, which stands in its property of that name.
    pub(crate) fn refusal(self, property: &str, blob: &str) -> SetError {
        match self {
            Self::NotFound => SetError::properties(&[property], format!("there is no blob {blob}")),
            Self::UsedUp => {
                SetError::new("rateLimit", "one request reads no more blobs: ask for this one in another")
            }
        }
    }
}

impl Context<'_> {
    /// Where the mail is.
    pub(crate) fn mail(&self) -> &Mail {
        &self.services.mail
    }

    /// Takes `accountId`: an account that the user may see.
    pub(crate) fn account(&self, arguments: &mut Arguments) -> Result<AccountId, MethodError> {
        let Id(id) = arguments.required("accountId")?;
        self.user.open(&id)
    }

    /// Where an account's change log ends now. An account that nobody has looked at yet gets its first mailboxes.
    pub(crate) async fn standing(&self, account: AccountId) -> Result<Standing, MethodError> {
        let mail = self.mail();
        let mut modseq = mail.modseq(account).await?;
        if modseq.0 == 0 {
            mail.mailboxes(account).await?;
            modseq = mail.modseq(account).await?;
        }
        Ok(modseq.into())
    }

    /// The state of an account's data.
    pub(crate) async fn state(&self, account: AccountId) -> Result<String, MethodError> {
        Ok(state::to_text(self.standing(account).await?))
    }

    /// What an account may hold.
    pub(crate) async fn quota(&self, account: AccountId) -> Result<Quota, MethodError> {
        let limits = self.services.directory.limits(account).await?;
        Ok(limits.map_or_else(Quota::default, |l| Quota { bytes: l.bytes, emails: l.messages }))
    }

    /// An id as it counts: what begins with `#` stands for what was created under that name.
    pub(crate) fn real_id<'i>(&'i self, id: &'i str) -> Option<&'i str> {
        match id.strip_prefix('#') {
            Some(name) => self.created.get(name).map(String::as_str),
            None => Some(id),
        }
    }

    /// Counts an object that goes into the answer.
    pub(crate) fn spend(&mut self, object: &Value) -> Result<(), MethodError> {
        let taken = json::weight(object, self.room);
        self.room = self.room.checked_sub(taken).ok_or_else(|| too_long(self.limits))?;
        Ok(())
    }

    /// Counts octets of blobs that were read or put together; false if the request has had its share.
    pub(crate) fn spend_blob(&mut self, octets: u64) -> bool {
        let left = self.blob_room.checked_sub(octets);
        self.blob_room = left.unwrap_or(0);
        left.is_some()
    }

    /// Reads a range of a blob, if the request may still read anything.
    pub(crate) async fn read_blob(
        &mut self,
        account: AccountId,
        blob: &BlobId,
        range: Range<u64>,
    ) -> Result<Result<Extract, Unread>, MethodError> {
        if self.blob_room == 0 {
            return Ok(Err(Unread::UsedUp));
        }
        match blob::extract(self.mail(), account, blob, range).await {
            Ok(extract) if self.spend_blob(extract.read) => Ok(Ok(extract)),
            Ok(_) => Ok(Err(Unread::UsedUp)),
            Err(TransferError::NotFound) => Ok(Err(Unread::NotFound)),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a whole blob. What several of them lie in is read once, if they come one after the other: it is left in
    /// `enclosing` for the next.
    pub(crate) async fn read_next(
        &mut self,
        account: AccountId,
        blob: &BlobId,
        enclosing: &mut Option<Enclosing>,
    ) -> Result<Result<Bytes, Unread>, MethodError> {
        let Some((outer, index)) = Enclosing::of(blob) else {
            let read = self.read_blob(account, blob, 0..u64::MAX).await?;
            return Ok(read.map(|extract| extract.octets));
        };
        let known = match enclosing.take().filter(|known| known.is(&outer)) {
            Some(known) => known,
            None => match self.read_blob(account, &outer, 0..u64::MAX).await? {
                Ok(extract) => Enclosing::read(self.mail(), outer, extract.octets).await?,
                Err(unread) => return Ok(Err(unread)),
            },
        };
        match enclosing.insert(known).part(index) {
            Ok(octets) => Ok(Ok(octets)),
            Err(TransferError::NotFound) => Ok(Err(Unread::NotFound)),
            Err(error) => Err(error.into()),
        }
    }

    /// What a call says that names more blobs than its request may read.
    pub(crate) fn too_much(&self) -> MethodError {
        MethodError::RequestTooLarge(format!(
            "one request may read and put together {} octets of blobs: ask for fewer at once, or for shorter ranges",
            self.limits.blobs
        ))
    }

    /// Refuses what would make the answer longer than it may get.
    pub(crate) fn has_room(&self, octets: usize) -> Result<(), MethodError> {
        if octets > self.room { Err(too_long(self.limits)) } else { Ok(()) }
    }
}

fn too_long(limits: &Limits) -> MethodError {
    MethodError::RequestTooLarge(format!(
        "the answer to one request may have {} octets: ask for fewer objects at once, or for shorter values",
        limits.answer
    ))
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
