//! What all `/changes` methods have in common (RFC 8620 §5.2).

use mail::{Followed, Standing};
use types::AccountId;

use crate::context::{Context, object};
use crate::error::MethodError;
use crate::wire::{Arguments, Object, id, state};

/// The arguments of a `/changes`.
pub(crate) struct Changes {
    pub(crate) account: AccountId,
    pub(crate) since: Standing,
    since_text: String,
    pub(crate) max: usize,
}

impl Changes {
    /// Takes them: there are no others.
    pub(crate) fn read(context: &Context<'_>, mut arguments: Arguments) -> Result<Self, MethodError> {
        let account = context.account(&mut arguments)?;
        let since_text: String = arguments.required("sinceState")?;
        let max = max_changes(&mut arguments)?.unwrap_or(context.limits.changes);
        arguments.end()?;
        let since = state::parse(&since_text).ok_or(MethodError::CannotCalculateChanges)?;
        Ok(Self { account, since, since_text, max: max.min(context.limits.changes) })
    }

    /// The response.
    pub(crate) fn response<T>(&self, followed: Followed<T>, name: impl Fn(T) -> String) -> Object {
        let ids = |things: Vec<T>| things.into_iter().map(&name).collect::<Vec<String>>().into();
        object([
            ("accountId", id::of_account(self.account).into()),
            ("oldState", self.since_text.as_str().into()),
            ("newState", state::to_text(followed.to).into()),
            ("hasMoreChanges", followed.more.into()),
            ("created", ids(followed.created)),
            ("updated", ids(followed.updated)),
            ("destroyed", ids(followed.destroyed)),
        ])
    }
}

/// Takes `maxChanges`, which is positive.
pub(crate) fn max_changes(arguments: &mut Arguments) -> Result<Option<usize>, MethodError> {
    match arguments.optional::<u64>("maxChanges")? {
        Some(0) => Err(MethodError::argument("maxChanges", "must be greater than 0")),
        max => Ok(max.map(|max| usize::try_from(max).unwrap_or(usize::MAX))),
    }
}
