//! `Email/set` (RFC 8621 §4.6).

use std::collections::{BTreeMap, BTreeSet};

use mail::{EmailChanged, EmailUpdate};
use serde_json::Value;
use types::{AccountId, EmailId, ModSeq, ThreadId};

use super::places::Patch;
use super::{create, get};
use crate::context::{Context, object};
use crate::email::property::Property;
use crate::error::{MethodError, SetError};
use crate::method::set::{Done, Set};
use crate::wire::state;
use crate::wire::{Arguments, Object, id};

/// What shall become of an email, and how the client calls it.
struct Wish {
    id: String,
    update: EmailUpdate,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let set = Set::read(context, &mut arguments)?;
    arguments.end()?;
    let account = set.account;
    let before = context.standing(account).await?;
    if set.if_in_state.is_some_and(|modseq| modseq != before.modseq) {
        return Err(MethodError::StateMismatch);
    }
    let mut done = Done::default();
    // What is created moves the state on: the condition holds for what comes first.
    let mut condition = set.if_in_state;
    for (name, object) in set.create {
        let created = create::create(context, account, object, condition).await;
        match created.map_err(|error| done.partly(error))? {
            Ok((id, given)) => {
                condition = None;
                done.created(context, name, &id, given);
            }
            Err(error) => done.not_created(name, &error),
        }
    }
    let destroyed: BTreeSet<String> =
        set.destroy.iter().filter_map(|id| context.real_id(id)).map(str::to_owned).collect();
    let mut wishes: Vec<Wish> = Vec::new();
    for (id, members) in set.update {
        let real = context.real_id(&id).map(str::to_owned);
        if real.as_ref().is_some_and(|id| destroyed.contains(id)) {
            done.not_updated(id, &SetError::new("willDestroy", "it is to be destroyed, too"));
            continue;
        }
        let real = real.unwrap_or_else(|| id.clone());
        let read = read_update(context, account, &real, members).await;
        match read.map_err(|error| done.partly(error))? {
            Err(error) => done.not_updated(id, &error),
            Ok(update) => wishes.push(Wish { id: real, update }),
        }
    }
    for id in set.destroy {
        let id = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        wishes.push(Wish { id, update: EmailUpdate::Destroy });
    }
    let fulfilled = fulfil(context, account, wishes, condition, &mut done).await;
    fulfilled.map_err(|error| done.partly(error))?;
    let after = context.state(account).await.map_err(|error| done.partly(error))?;
    Ok(done.response(account, state::to_text(before), after))
}

/// The emails of what was done in a `/set` or the like, by its ids and, with `#`, by the client's names (RFC 8621 §7.5
/// `onSuccessUpdateEmail`).
#[derive(Default)]
pub(in super::super) struct Succeeded(BTreeMap<String, (EmailId, ThreadId)>);

impl Succeeded {
    pub(in super::super) fn add(&mut self, name: String, email: (EmailId, ThreadId)) {
        self.0.insert(name, email);
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Answers the `Email/set` that follows from it. Where that fails, what it follows from has been done all the same.
    pub(in super::super) async fn follow(
        &self,
        context: &mut Context<'_>,
        account: AccountId,
        updates: BTreeMap<String, Object>,
        destroys: Vec<String>,
    ) -> (&'static str, Object) {
        let email = |name: &String| self.0.get(name).map(|(email, thread)| id::of_email(*email, *thread));
        let update: Object = updates
            .into_iter()
            .filter_map(|(name, patch)| Some((email(&name)?, Value::Object(patch))))
            .collect();
        let destroy: Vec<String> = destroys.iter().filter_map(email).collect();
        let call = object([
            ("accountId", id::of_account(account).into()),
            ("update", Value::Object(update)),
            ("destroy", destroy.into()),
        ]);
        match run(context, Arguments::new(call)).await {
            Ok(response) => ("Email/set", response),
            Err(error) => ("error", error.to_json()),
        }
    }
}

/// What happens to those that come after one that failed.
fn unreached() -> mail::Error {
    mail::Error::Unavailable("an update before this one failed".to_owned())
}

/// Reads a patch. What it says of properties that never change must be what they are.
async fn read_update(
    context: &mut Context<'_>,
    account: AccountId,
    id: &str,
    members: Object,
) -> Result<Result<EmailUpdate, SetError>, MethodError> {
    let mut patch = match Patch::read(context, members) {
        Ok(patch) => patch,
        Err(error) => return Ok(Err(error)),
    };
    if patch.fixed.is_empty() {
        return Ok(patch.update());
    }
    let known = |(name, _): &(String, Value)| Property::read_all(Some(vec![name.clone()])).is_ok();
    let names = patch.fixed.iter().filter(|fixed| known(fixed)).map(|(name, _)| name.clone()).collect();
    // Of an email that is not there nothing is as it is said to be, and that is not what is wrong.
    if let Some(shown) = get::shown(context, account, id, names).await? {
        for (name, value) in std::mem::take(&mut patch.fixed) {
            if shown.get(&name) != Some(&value) {
                let text = format!("{name:?} does not change, or does not exist");
                patch.is_wrong(SetError::properties(&[&name], text));
            }
        }
    }
    Ok(patch.update())
}

/// Does all of it, and says of each what became of it.
async fn fulfil(
    context: &Context<'_>,
    account: AccountId,
    wishes: Vec<Wish>,
    condition: Option<ModSeq>,
    done: &mut Done,
) -> Result<(), MethodError> {
    let named: Vec<Option<EmailChanged>> = wishes.iter().map(|wish| id::email(&wish.id)).collect();
    let updates: Vec<(EmailChanged, EmailUpdate)> = wishes
        .iter()
        .zip(&named)
        .filter_map(|(wish, named)| Some(((*named)?, wish.update.clone())))
        .collect();
    let mut results = context.mail().update_emails(account, &updates, condition).await?.into_iter();
    for (wish, named) in wishes.into_iter().zip(named) {
        let result = match named {
            Some(_) => results.next().unwrap_or_else(|| Err(unreached())),
            None => Err(mail::Error::NoSuchEmail),
        };
        let result = result.map_err(SetError::of);
        match (wish.update, result) {
            (_, Err(Err(error))) => return Err(error),
            (EmailUpdate::Destroy, Ok(())) => done.destroyed(wish.id),
            (EmailUpdate::Destroy, Err(Ok(error))) => done.not_destroyed(wish.id, &error),
            (EmailUpdate::Change { .. }, Ok(())) => done.updated(wish.id),
            (EmailUpdate::Change { .. }, Err(Ok(error))) => done.not_updated(wish.id, &error),
        }
    }
    Ok(())
}
