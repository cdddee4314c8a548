//! `Mailbox/set` (RFC 8621 §2.5).

use std::collections::BTreeMap;

use mail::{DeleteScope, MailboxInfo, MailboxName, MailboxUpdate, NewMailbox, Role};
use serde_json::Value;
use types::{AccountId, MailboxId};

use super::get::{PROPERTIES, property};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::method::set::{Done, Set, patch};
use crate::wire::{Arguments, Object, id, state};

/// What a client says of a mailbox.
#[derive(Default)]
struct Said {
    name: Option<MailboxName>,
    parent: Option<Option<MailboxId>>,
    role: Option<Option<Role>>,
    sort_order: Option<u32>,
    subscribed: Option<bool>,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let set = Set::read(context, &mut arguments)?;
    let remove_emails = arguments.or("onDestroyRemoveEmails", false)?;
    arguments.end()?;
    let account = set.account;
    let before = state::to_text(context.standing(account).await?);
    set.check_state(context).await?;
    let mut done = Done::default();
    let all = async {
        create_all(context, account, set.create, &mut done).await?;
        update_all(context, account, set.update, &set.destroy, &mut done).await?;
        destroy_all(context, account, set.destroy, remove_emails, &mut done).await?;
        context.state(account).await
    };
    let after = all.await.map_err(|error| done.partly(error))?;
    Ok(done.response(account, before, after))
}

/// Creates mailboxes, those first that others shall lie in.
async fn create_all(
    context: &mut Context<'_>,
    account: AccountId,
    mut wanted: BTreeMap<String, Object>,
    done: &mut Done,
) -> Result<(), MethodError> {
    while !wanted.is_empty() {
        let waits = |object: &Object| {
            let parent = object.get("parentId").and_then(Value::as_str).and_then(|id| id.strip_prefix('#'));
            parent.is_some_and(|parent| wanted.contains_key(parent))
        };
        let next = wanted.iter().find(|(_, object)| !waits(object)).map(|(name, _)| name.clone());
        // In a circle each waits for another: none of them can be.
        let Some(name) = next.or_else(|| wanted.keys().next().cloned()) else { break };
        let object = wanted.remove(&name).unwrap_or_default();
        match create(context, account, object.clone()).await? {
            Ok(info) => {
                // All that the client does not know: what it has left out, and what is not as it has said.
                let given = PROPERTIES.iter().map(|name| ((*name).to_owned(), property(&info, name)));
                let given = given.filter(|(name, value)| object.get(name) != Some(value)).collect();
                done.created(context, name, &id::of_mailbox(info.id), given);
            }
            Err(error) => done.not_created(name, &error),
        }
    }
    Ok(())
}

async fn create(
    context: &Context<'_>,
    account: AccountId,
    object: Object,
) -> Result<Result<MailboxInfo, SetError>, MethodError> {
    let members = object.into_iter().map(|(name, value)| (vec![name], value)).collect();
    let said = match Said::read(context, members, None) {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    let Some(name) = said.name else {
        return Ok(Err(SetError::properties(&["name"], "a mailbox needs a name")));
    };
    let new = NewMailbox {
        name,
        parent: said.parent.flatten(),
        role: said.role.flatten(),
        // Who makes a mailbox wants to see it (RFC 8621 §2).
        subscribed: said.subscribed.unwrap_or(true),
        sort_order: said.sort_order.unwrap_or(0),
    };
    match context.mail().create_mailbox(account, new).await {
        Ok(info) => Ok(Ok(info)),
        Err(mail::Error::NoSuchMailbox) => {
            Ok(Err(SetError::properties(&["parentId"], "there is no such mailbox")))
        }
        Err(error) => SetError::of(error).map(Err),
    }
}

/// Changes mailboxes. Those whose new names others still have are changed last, and together: two may exchange their names.
async fn update_all(
    context: &Context<'_>,
    account: AccountId,
    wanted: BTreeMap<String, Object>,
    destroyed: &[String],
    done: &mut Done,
) -> Result<(), MethodError> {
    let mut waiting: Vec<(String, MailboxId, MailboxUpdate)> = Vec::new();
    for (id, members) in wanted {
        let id = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        let (mailbox, update) = match read_update(context, account, &id, members, destroyed).await? {
            Ok(read) => read,
            Err(error) => {
                done.not_updated(id, &error);
                continue;
            }
        };
        match context.mail().update_mailbox(account, mailbox, &update).await {
            Err(mail::Error::Exists) => waiting.push((id, mailbox, update)),
            result => told(id, result, done)?,
        }
    }
    // What may fail for another reason is not among them: a mailbox is changed as a whole, or not.
    let only_name = |update: &MailboxUpdate| update.parent.is_none() && update.role.is_none();
    let names: Vec<(MailboxId, MailboxName)> = waiting
        .iter()
        .filter(|(_, _, update)| only_name(update))
        .filter_map(|(_, mailbox, update)| Some((*mailbox, update.name.clone()?)))
        .collect();
    if !names.is_empty() {
        match context.mail().rename_mailboxes(account, &names).await {
            // Which of them are in each other's way is told below.
            Ok(()) | Err(mail::Error::Exists | mail::Error::NoSuchMailbox) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (id, mailbox, update) in waiting {
        told(id, context.mail().update_mailbox(account, mailbox, &update).await, done)?;
    }
    Ok(())
}

/// Says what became of the change of a mailbox.
fn told(id: String, result: Result<(), mail::Error>, done: &mut Done) -> Result<(), MethodError> {
    match result {
        Ok(()) => done.updated(id),
        Err(mail::Error::NoSuchMailbox) => {
            done.not_updated(id, &SetError::properties(&["parentId"], "there is no such mailbox"));
        }
        Err(error) => done.not_updated(id, &SetError::of(error)?),
    }
    Ok(())
}

async fn read_update(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
    members: Object,
    destroyed: &[String],
) -> Result<Result<(MailboxId, MailboxUpdate), SetError>, MethodError> {
    if destroyed.iter().any(|other| other == id) {
        return Ok(Err(SetError::new("willDestroy", "it is to be destroyed, too")));
    }
    let info = match id::mailbox(id) {
        Some(mailbox) => context.mail().mailbox(account, mailbox).await?,
        None => None,
    };
    let Some(info) = info else { return Ok(Err(SetError::not_found())) };
    let said = match patch(members).and_then(|members| Said::read(context, members, Some(&info))) {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    let Said { name, parent, role, sort_order, subscribed } = said;
    Ok(Ok((info.id, MailboxUpdate { name, parent, role, sort_order, subscribed })))
}

/// Destroys mailboxes, the deepest first: a parent whose children go as well can go.
async fn destroy_all(
    context: &Context<'_>,
    account: AccountId,
    ids: Vec<String>,
    remove_emails: bool,
    done: &mut Done,
) -> Result<(), MethodError> {
    let mut found = Vec::new();
    for id in ids {
        let id = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        let info = match id::mailbox(&id) {
            Some(mailbox) => context.mail().mailbox(account, mailbox).await?,
            None => None,
        };
        match info {
            Some(info) => found.push((info.path.names().len(), info.id, id)),
            None => done.not_destroyed(id, &SetError::not_found()),
        }
    }
    found.sort_by(|(one, ..), (two, ..)| two.cmp(one));
    for (_, mailbox, id) in found {
        let destroyed = match remove_emails {
            true => context.mail().delete_mailbox(account, mailbox, DeleteScope::Leaf).await,
            false => context.mail().delete_empty_mailbox(account, mailbox).await,
        };
        match destroyed {
            Ok(()) => done.destroyed(id),
            Err(mail::Error::NoSuchMailbox) => done.not_destroyed(id, &SetError::not_found()),
            Err(error) => done.not_destroyed(id, &SetError::of(error)?),
        }
    }
    Ok(())
}

impl Said {
    /// Reads members; what only the server sets may be said if it is what is there already.
    fn read(
        context: &Context<'_>,
        members: Vec<(Vec<String>, Value)>,
        before: Option<&MailboxInfo>,
    ) -> Result<Self, SetError> {
        let mut said = Self::default();
        let mut wrong: Option<SetError> = None;
        for (path, value) in members {
            let [name] = path.as_slice() else {
                return Err(SetError::new("invalidPatch", "the properties of a mailbox have no parts"));
            };
            if let Err(error) = said.hear(context, name, &value, before) {
                // The client is told of all that is wrong (RFC 8620 §5.3).
                wrong = Some(match wrong {
                    Some(first) => first.and(error),
                    None => error,
                });
            }
        }
        wrong.map_or(Ok(said), Err)
    }

    fn hear(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &Value,
        before: Option<&MailboxInfo>,
    ) -> Result<(), SetError> {
        let bad = |what: &str| SetError::properties(&[name], format!("{name} must be {what}"));
        match name {
            "name" => {
                let text = value.as_str().ok_or_else(|| bad("a string"))?;
                let name = MailboxName::new(text);
                self.name = Some(name.map_err(|e| SetError::properties(&["name"], e.to_string()))?);
            }
            "parentId" => {
                let parent = value.as_str().map(|text| {
                    let real = context.real_id(text).and_then(id::mailbox);
                    real.ok_or_else(|| bad("a mailbox or null"))
                });
                if parent.is_none() && !value.is_null() {
                    return Err(bad("a mailbox or null"));
                }
                self.parent = Some(parent.transpose()?);
            }
            "role" => {
                let role =
                    value.as_str().map(|text| Role::parse(text).ok_or_else(|| bad("a role that is known")));
                if role.is_none() && !value.is_null() {
                    return Err(bad("a string or null"));
                }
                self.role = Some(role.transpose()?);
            }
            // What it is without being said.
            "sortOrder" if value.is_null() => self.sort_order = Some(0),
            "sortOrder" => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                self.sort_order =
                    Some(number.filter(|n| *n < 1 << 31).ok_or_else(|| bad("a number below 2^31"))?);
            }
            "isSubscribed" => {
                self.subscribed = Some(value.as_bool().ok_or_else(|| bad("true or false"))?);
            }
            name if before
                .is_some_and(|info| PROPERTIES.contains(&name) && property(info, name) == *value) => {}
            name => {
                return Err(SetError::properties(&[name], "it is the server's to set, or not known"));
            }
        }
        Ok(())
    }
}
