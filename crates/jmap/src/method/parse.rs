//! What the methods called `parse` have in common: blobs are read as messages, and each that is asked for is in the answer
//! once, as what it was read as, as what cannot be read so, or as one that is not there.

use std::vec;

use bytes::Bytes;
use serde_json::Value;
use types::AccountId;

use super::get::{check_number, wanted_ids};
use crate::context::{Context, Unread, object};
use crate::error::MethodError;
use crate::wire::arguments::Id;
use crate::wire::id::{self, BlobId};
use crate::wire::{Arguments, Object};

/// The call of such a method.
pub(super) struct Parsing {
    account: AccountId,
    left: vec::IntoIter<String>,
    parsed: Object,
    not_parsable: Vec<String>,
    not_found: Vec<String>,
}

/// A blob that may be a message.
pub(super) struct Source {
    /// The id that it was asked for by.
    pub(super) name: String,
    /// The same, read.
    pub(super) blob: BlobId,
    /// All of its octets.
    pub(super) raw: Bytes,
}

impl Parsing {
    /// Takes `blobIds`.
    pub(super) fn read(
        context: &Context<'_>,
        account: AccountId,
        arguments: &mut Arguments,
    ) -> Result<Self, MethodError> {
        let ids: Vec<Id> = arguments.required("blobIds")?;
        check_number(ids.len(), context.limits.objects_in_get)?;
        Ok(Self {
            account,
            left: wanted_ids(context, ids).into_iter(),
            parsed: Object::new(),
            not_parsable: Vec::new(),
            not_found: Vec::new(),
        })
    }

    /// The next one that is there.
    pub(super) async fn next(&mut self, context: &mut Context<'_>) -> Result<Option<Source>, MethodError> {
        for name in self.left.by_ref() {
            let Some(blob) = BlobId::parse(&name) else {
                self.not_found.push(name);
                continue;
            };
            match context.read_blob(self.account, &blob, 0..u64::MAX).await? {
                Ok(extract) => return Ok(Some(Source { name, blob, raw: extract.octets })),
                Err(Unread::NotFound) => self.not_found.push(name),
                Err(Unread::UsedUp) => return Err(context.too_much()),
            }
        }
        Ok(None)
    }

    /// Tells what a blob was read as.
    pub(super) fn tell(
        &mut self,
        context: &mut Context<'_>,
        name: String,
        shown: Value,
    ) -> Result<(), MethodError> {
        context.spend(&shown)?;
        self.parsed.insert(name, shown);
        Ok(())
    }

    /// Tells that a blob cannot be read so.
    pub(super) fn refuse(&mut self, name: String) {
        self.not_parsable.push(name);
    }

    /// What the call is answered with.
    pub(super) fn answer(self) -> Object {
        let null_if_none = |list: Vec<String>| if list.is_empty() { Value::Null } else { list.into() };
        object([
            ("accountId", id::of_account(self.account).into()),
            ("parsed", if self.parsed.is_empty() { Value::Null } else { Value::Object(self.parsed) }),
            ("notParsable", null_if_none(self.not_parsable)),
            ("notFound", null_if_none(self.not_found)),
        ])
    }
}
