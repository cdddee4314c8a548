//! What all `/queryChanges` methods have in common (RFC 8620 §5.6).
//!
//! Whatever may have changed its place is told as removed, and as added where it is now. A client that applies this to a
//! list which had some of it in or not comes to the same list: so nobody needs to know what the list was.

use mail::Standing;
use serde_json::{Value, json};
use types::AccountId;

use super::changes::max_changes;
use crate::context::object;
use crate::error::MethodError;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id, state};

/// The arguments of a `/queryChanges`, but for the query.
pub(crate) struct QueryChanges {
    pub(crate) since: Standing,
    since_text: String,
    max: Option<usize>,
    /// Whether the number of all results is wanted.
    pub(crate) total: bool,
}

/// What has changed of the results.
pub(crate) struct Calculated {
    /// The state that this leads to.
    pub(crate) to: Standing,
    pub(crate) removed: Vec<String>,
    /// In the order of their indexes.
    pub(crate) added: Vec<(usize, String)>,
    pub(crate) total: Option<u64>,
}

impl QueryChanges {
    /// Takes them. What lies behind `upToId` is told as well: it does no harm.
    pub(crate) fn read(arguments: &mut Arguments) -> Result<Self, MethodError> {
        let since_text: String = arguments.required("sinceQueryState")?;
        let max = max_changes(arguments)?;
        let _up_to: Option<Id> = arguments.optional("upToId")?;
        let total = arguments.or("calculateTotal", false)?;
        let since = state::parse(&since_text).filter(|since| since.part == 0);
        let since = since.ok_or(MethodError::CannotCalculateChanges)?;
        Ok(Self { since, since_text, max, total })
    }

    /// The response.
    pub(crate) fn response(&self, account: AccountId, calculated: Calculated) -> Result<Object, MethodError> {
        let Calculated { to, removed, added, total } = calculated;
        if self.max.is_some_and(|max| removed.len() + added.len() > max) {
            return Err(MethodError::TooManyChanges);
        }
        let added: Vec<Value> =
            added.into_iter().map(|(index, id)| json!({"id": id, "index": index})).collect();
        let mut response = object([
            ("accountId", id::of_account(account).into()),
            ("oldQueryState", self.since_text.as_str().into()),
            ("newQueryState", state::to_text(to).into()),
            ("removed", removed.into()),
            ("added", added.into()),
        ]);
        if let Some(total) = total.filter(|_| self.total) {
            response.insert("total".to_owned(), total.into());
        }
        Ok(response)
    }
}
