//! What all `/set` methods have in common (RFC 8620 §5.3).

use std::collections::BTreeMap;

use serde_json::Value;
use types::{AccountId, ModSeq};

use crate::context::{Context, object};
use crate::error::{MethodError, SetError};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, Pointer, id, state};

/// The arguments of a `/set`.
pub(crate) struct Set {
    pub(crate) account: AccountId,
    /// The state in which the account must be: `Some` if the client says so.
    pub(crate) if_in_state: Option<ModSeq>,
    /// By the client's names.
    pub(crate) create: BTreeMap<String, Object>,
    pub(crate) update: BTreeMap<String, Object>,
    pub(crate) destroy: Vec<String>,
}

/// What became of each object.
#[derive(Default)]
pub(crate) struct Done {
    created: Object,
    updated: Object,
    destroyed: Vec<Value>,
    not_created: Object,
    not_updated: Object,
    not_destroyed: Object,
}

impl Set {
    /// Takes them.
    pub(crate) fn read(context: &Context<'_>, arguments: &mut Arguments) -> Result<Self, MethodError> {
        let account = context.account(arguments)?;
        let if_in_state: Option<String> = arguments.optional("ifInState")?;
        let create: BTreeMap<String, Object> = arguments.or("create", BTreeMap::new())?;
        let update: BTreeMap<String, Object> = arguments.or("update", BTreeMap::new())?;
        let destroy: Vec<Id> = arguments.or("destroy", Vec::new())?;
        if create.keys().any(|name| !id::is_id(name)) {
            return Err(MethodError::argument("create", "must name what is created as ids are written"));
        }
        check_number(create.len() + update.len() + destroy.len(), context.limits.objects_in_set)?;
        let if_in_state = match if_in_state {
            // A state of ours that is in the middle of a change is no state that an account is in now.
            Some(text) => match state::parse(&text).filter(|standing| standing.part == 0) {
                Some(standing) => Some(standing.modseq),
                None => return Err(MethodError::StateMismatch),
            },
            None => None,
        };
        let destroy = destroy.into_iter().map(|Id(id)| id).collect();
        Ok(Self { account, if_in_state, create, update, destroy })
    }

    /// Refuses to go on if the account is not in the state that the client takes it to be in.
    pub(crate) async fn check_state(&self, context: &Context<'_>) -> Result<(), MethodError> {
        match self.if_in_state {
            Some(modseq) if context.standing(self.account).await?.modseq != modseq => {
                Err(MethodError::StateMismatch)
            }
            _ => Ok(()),
        }
    }
}

impl Done {
    /// An object that was created under a name of the client's: what the server has given it, its id first of all.
    pub(crate) fn created(&mut self, context: &mut Context<'_>, name: String, id: &str, mut given: Object) {
        given.insert("id".to_owned(), id.into());
        context.created.insert(name.clone(), id.to_owned());
        self.created.insert(name, Value::Object(given));
    }

    pub(crate) fn updated(&mut self, id: String) {
        self.updated.insert(id, Value::Null);
    }

    pub(crate) fn destroyed(&mut self, id: String) {
        self.destroyed.push(id.into());
    }

    pub(crate) fn not_created(&mut self, name: String, error: &SetError) {
        self.not_created.insert(name, error.to_json());
    }

    pub(crate) fn not_updated(&mut self, id: String, error: &SetError) {
        self.not_updated.insert(id, error.to_json());
    }

    pub(crate) fn not_destroyed(&mut self, id: String, error: &SetError) {
        self.not_destroyed.insert(id, error.to_json());
    }

    /// What a failure is after what was done.
    pub(crate) fn partly(&self, error: MethodError) -> MethodError {
        error.after(!(self.created.is_empty() && self.updated.is_empty() && self.destroyed.is_empty()))
    }

    /// The response.
    pub(crate) fn response(self, account: AccountId, old_state: String, new_state: String) -> Object {
        let map = |map: Object| if map.is_empty() { Value::Null } else { Value::Object(map) };
        let destroyed = if self.destroyed.is_empty() { Value::Null } else { Value::Array(self.destroyed) };
        object([
            ("accountId", id::of_account(account).into()),
            ("oldState", old_state.into()),
            ("newState", new_state.into()),
            ("created", map(self.created)),
            ("updated", map(self.updated)),
            ("destroyed", destroyed),
            ("notCreated", map(self.not_created)),
            ("notUpdated", map(self.not_updated)),
            ("notDestroyed", map(self.not_destroyed)),
        ])
    }
}

/// Refuses to change more objects than one call may.
pub(crate) fn check_number(asked: usize, limit: usize) -> Result<(), MethodError> {
    if asked > limit {
        let text = format!("{asked} objects are to be changed; maxObjectsInSet is {limit}");
        return Err(MethodError::RequestTooLarge(text));
    }
    Ok(())
}

/// A patch of an object (RFC 8620 §5.3), member by member: a path of names each, and what shall be there. Paths that lie
/// within each other, and what is no path, are refused.
pub(crate) fn patch(members: Object) -> Result<Vec<(Vec<String>, Value)>, SetError> {
    let mut paths: Vec<(Vec<String>, Value)> = Vec::with_capacity(members.len());
    for (text, value) in members {
        let bad = || SetError::new("invalidPatch", format!("{text:?} is no path in a patch"));
        let pointer = Pointer::parse(&format!("/{text}")).ok_or_else(bad)?;
        paths.push((pointer.steps().to_vec(), value));
    }
    paths.sort_by(|(one, _), (two, _)| one.cmp(two));
    let inside =
        |pair: &[(Vec<String>, Value)]| matches!(pair, [(outer, _), (inner, _)] if inner.starts_with(outer));
    if paths.windows(2).any(inside) {
        return Err(SetError::new("invalidPatch", "two paths of the patch lie within each other"));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(value: Value) -> Result<Vec<Vec<String>>, String> {
        let patch = patch(value.as_object().unwrap().clone());
        patch
            .map(|p| p.into_iter().map(|(path, _)| path).collect())
            .map_err(|e| e.to_json()["type"].to_string())
    }

    #[test]
    fn what_was_done_before_a_failure_is_not_denied() {
        let mut done = Done::default();
        done.not_destroyed("M1".to_owned(), &SetError::not_found());
        assert_eq!(done.partly(MethodError::ServerUnavailable), MethodError::ServerUnavailable);
        done.updated("M2".to_owned());
        let partly = done.partly(MethodError::ServerUnavailable);
        assert!(matches!(partly, MethodError::ServerPartialFail(_)), "{partly}");
    }

    #[test]
    fn patches() {
        assert_eq!(
            paths(json!({"keywords/$seen": true, "mailboxIds/F1": null, "a~1b": 1})).unwrap(),
            [
                vec!["a/b".to_owned()],
                vec!["keywords".into(), "$seen".into()],
                vec!["mailboxIds".into(), "F1".into()]
            ]
        );
        for bad in [json!({"keywords": {}, "keywords/$seen": true}), json!({"a~": 1})] {
            assert_eq!(paths(bad), Err("\"invalidPatch\"".to_owned()));
        }
    }
}
