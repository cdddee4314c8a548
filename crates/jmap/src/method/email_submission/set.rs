//! `EmailSubmission/set` (RFC 8621 §7.5), and the `Email/set` that follows from it.

use std::collections::BTreeMap;

use mail::{Submission, Undo};
use serde_json::Value;
use types::{AccountId, EmailId, ObjectId, ThreadId};

use super::create::create;
use super::get::{PROPERTIES, property};
use crate::context::Context;
use crate::departures::NotRecalled;
use crate::error::{MethodError, SetError};
use crate::method::Outcome;
use crate::method::email::set::Succeeded;
use crate::method::set::{Done, Set, check_number, patch};
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, id, state};

pub(in super::super) async fn run(context: &mut Context<'_>, mut arguments: Arguments) -> Outcome {
    let set = Set::read(context, &mut arguments)?;
    let updates: Option<BTreeMap<String, Object>> = arguments.optional("onSuccessUpdateEmail")?;
    let destroys: Option<Vec<Id>> = arguments.optional("onSuccessDestroyEmail")?;
    arguments.end()?;
    // Nothing is sent if what is to follow from it is refused.
    let follow = updates.as_ref().map_or(0, BTreeMap::len) + destroys.as_ref().map_or(0, Vec::len);
    check_number(follow, context.limits.objects_in_set)?;
    let account = set.account;
    let before = state::to_text(context.standing(account).await?);
    set.check_state(context).await?;
    let (mut done, mut succeeded) = (Done::default(), Succeeded::default());
    for (name, wanted) in set.create {
        match create(context, account, &name, wanted).await.map_err(|error| done.partly(error))? {
            Ok((submission, record, given)) => {
                let id = id::of_submission(submission);
                succeeded.add(format!("#{name}"), (record.email, record.thread));
                succeeded.add(id.clone(), (record.email, record.thread));
                done.created(context, name, &id, given);
            }
            Err(error) => done.not_created(name, &error),
        }
    }
    for (id, members) in set.update {
        let real = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        let updated = match set.destroy.contains(&real) {
            true => Err(SetError::new("willDestroy", "it is to be destroyed, too")),
            false => update(context, account, &real, members).await.map_err(|error| done.partly(error))?,
        };
        match updated {
            Ok(email) => {
                succeeded.add(id, email);
                succeeded.add(real.clone(), email);
                done.updated(real);
            }
            Err(error) => done.not_updated(real, &error),
        }
    }
    for id in set.destroy {
        let real = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        match destroy(context, account, &real).await.map_err(|error| done.partly(error))? {
            Ok(email) => {
                succeeded.add(id, email);
                succeeded.add(real.clone(), email);
                done.destroyed(real);
            }
            Err(error) => done.not_destroyed(real, &error),
        }
    }
    let after = context.state(account).await.map_err(|error| done.partly(error))?;
    let mut responses = vec![("EmailSubmission/set", done.response(account, before, after))];
    if updates.is_some() || destroys.is_some() {
        let updates = updates.unwrap_or_default();
        let destroys = destroys.unwrap_or_default().into_iter().map(|Id(id)| id).collect();
        responses.push(succeeded.follow(context, account, updates, destroys).await);
    }
    Ok(responses)
}

/// Undoes a submission; nothing else can be changed. Returns its email.
async fn update(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
    members: Object,
) -> Result<Result<(EmailId, ThreadId), SetError>, MethodError> {
    let (submission, record) = match find(context, account, id).await? {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let cancels = match patch(members).and_then(|members| cancels(submission, &record, members)) {
        Ok(cancels) => cancels,
        Err(error) => return Ok(Err(error)),
    };
    if cancels && record.undo != Undo::Canceled {
        match context.services.departures.recall(account, submission).await {
            Ok(()) => {}
            Err(NotRecalled::NotFound) => return Ok(Err(SetError::not_found())),
            Err(error @ NotRecalled::TooLate) => {
                return Ok(Err(SetError::new("cannotUnsend", error.to_string())));
            }
            Err(NotRecalled::Unavailable(why)) => {
                tracing::warn!(%account, why, "a message cannot be taken back now");
                return Err(MethodError::ServerUnavailable);
            }
        }
    }
    Ok(Ok((record.email, record.thread)))
}

/// Whether a patch undoes the submission. What it says of other properties must be what they are.
fn cancels(
    submission: ObjectId,
    record: &Submission,
    members: Vec<(Vec<String>, Value)>,
) -> Result<bool, SetError> {
    let mut cancels = false;
    for (path, value) in members {
        let [name] = path.as_slice() else {
            return Err(SetError::new("invalidPatch", "only undoStatus of a submission can be changed"));
        };
        match name.as_str() {
            "undoStatus" if value == "canceled" => cancels = true,
            known if PROPERTIES.contains(&known) && property(submission, record, known) == value => {}
            _ => {
                let text = "a submission can be undone (undoStatus: canceled), and nothing else";
                return Err(SetError::properties(&[name], text));
            }
        }
    }
    Ok(cancels)
}

/// Forgets a submission. Returns its email.
async fn destroy(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
) -> Result<Result<(EmailId, ThreadId), SetError>, MethodError> {
    let (submission, record) = match find(context, account, id).await? {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    match context.mail().destroy_submission(account, submission).await {
        Ok(()) => Ok(Ok((record.email, record.thread))),
        Err(error) => SetError::of(error).map(Err),
    }
}

async fn find(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
) -> Result<Result<(ObjectId, Submission), SetError>, MethodError> {
    let Some(submission) = id::submission(id) else { return Ok(Err(SetError::not_found())) };
    let found = context.mail().submissions_at(account, &[submission]).await?.into_iter().next().flatten();
    Ok(found.map(|record| (submission, record)).ok_or_else(SetError::not_found))
}
