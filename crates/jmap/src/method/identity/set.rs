//! `Identity/set` (RFC 8621 §6.3).

use directory::Address;
use mail::{Identity, Mail, Person};
use serde_json::Value;
use types::AccountId;

use super::get::{PROPERTIES, property};
use super::own::Identities;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::method::set::{Done, Set, patch};
use crate::wire::{Arguments, Object, id, state};

/// What a client says of an identity.
#[derive(Clone, Default)]
struct Said {
    name: Option<String>,
    email: Option<String>,
    reply_to: Option<Option<Vec<Person>>>,
    bcc: Option<Option<Vec<Person>>>,
    text_signature: Option<String>,
    html_signature: Option<String>,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let set = Set::read(context, &mut arguments)?;
    arguments.end()?;
    let account = set.account;
    let before = Identities::of(context, account).await?.at;
    set.check_state(context).await?;
    let mut done = Done::default();
    for (name, object) in set.create {
        match create(context, account, object).await.map_err(|error| done.partly(error))? {
            Ok((id, given)) => done.created(context, name, &id, given),
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
            Ok(()) => done.updated(real),
            Err(error) => done.not_updated(real, &error),
        }
    }
    for id in set.destroy {
        let real = context.real_id(&id).map_or_else(|| id.clone(), str::to_owned);
        match destroy(context, account, &real).await.map_err(|error| done.partly(error))? {
            Ok(()) => done.destroyed(real),
            Err(error) => done.not_destroyed(real, &error),
        }
    }
    let after = context.state(account).await.map_err(|error| done.partly(error))?;
    Ok(done.response(account, state::to_text(before.into()), after))
}

async fn create(
    context: &Context<'_>,
    account: AccountId,
    object: Object,
) -> Result<Result<(String, Object), SetError>, MethodError> {
    let said: Vec<String> = object.keys().cloned().collect();
    let members = object.into_iter().map(|(name, value)| (vec![name], value)).collect();
    let identity = match Said::read(members).map(|said| said.over(&Identity::default())) {
        Ok(identity) => identity,
        Err(error) => return Ok(Err(error)),
    };
    let Ok(address) = Address::parse(&identity.email) else {
        return Ok(Err(SetError::properties(&["email"], "an identity needs the address that it writes as")));
    };
    let identity = Identity { email: address.to_string(), ..identity };
    if !context.services.directory.may_write_as(context.user.login(), &identity.email).await? {
        let text = format!("{} is not one of your addresses", identity.email);
        return Ok(Err(SetError::new("forbiddenFrom", text)));
    }
    match context.mail().create_identity(account, &identity).await {
        Ok(id) => {
            let given = PROPERTIES.iter().filter(|property| !said.iter().any(|said| said == *property));
            let given = given.map(|name| ((*name).to_owned(), property(id, &identity, true, name)));
            Ok(Ok((id::of_identity(id), given.collect())))
        }
        Err(error) => SetError::of(error).map(Err),
    }
}

async fn update(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
    members: Object,
) -> Result<Result<(), SetError>, MethodError> {
    let Some(identity) = id::identity(id) else { return Ok(Err(SetError::not_found())) };
    let said = match patch(members).and_then(Said::read) {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(email) = &said.email {
        let (_, list) = context.mail().identities(account).await?;
        match list.iter().find(|(other, _)| *other == identity) {
            None => return Ok(Err(SetError::not_found())),
            Some((_, before)) if before.email != *email => {
                let text = "the address of an identity cannot be changed: create another one";
                return Ok(Err(SetError::properties(&["email"], text)));
            }
            Some(_) => {}
        }
    }
    match context.mail().update_identity(account, identity, &|before| said.over(before)).await {
        Ok(()) => Ok(Ok(())),
        Err(error) => SetError::of(error).map(Err),
    }
}

async fn destroy(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
) -> Result<Result<(), SetError>, MethodError> {
    let Some(identity) = id::identity(id) else { return Ok(Err(SetError::not_found())) };
    let identities = Identities::of(context, account).await?;
    match identities.list.iter().find(|(other, _)| *other == identity) {
        None => return Ok(Err(SetError::not_found())),
        Some((_, found)) if !identities.may_delete(found) => {
            let text = "there is an identity for each of your own addresses";
            return Ok(Err(SetError::new("forbidden", text)));
        }
        Some(_) => {}
    }
    match context.mail().destroy_identity(account, identity).await {
        Ok(()) => Ok(Ok(())),
        Err(error) => SetError::of(error).map(Err),
    }
}

impl Said {
    fn read(members: Vec<(Vec<String>, Value)>) -> Result<Self, SetError> {
        let mut said = Self::default();
        for (path, value) in members {
            let [name] = path.as_slice() else {
                return Err(SetError::new("invalidPatch", "the properties of an identity have no parts"));
            };
            let bad = |what: &str| SetError::properties(&[name], format!("{name} must be {what}"));
            let text = || match &value {
                Value::String(text) => Ok(text.clone()),
                // What is set to null has its default again (RFC 8620 §5.3).
                Value::Null => Ok(String::new()),
                _ => Err(bad("a string")),
            };
            let everybody = || people(&value).ok_or_else(|| bad("null or an array of people with addresses"));
            match name.as_str() {
                "name" => said.name = Some(text()?),
                "email" => said.email = Some(text()?),
                "replyTo" => said.reply_to = Some(everybody()?),
                "bcc" => said.bcc = Some(everybody()?),
                "textSignature" => said.text_signature = Some(text()?),
                "htmlSignature" => said.html_signature = Some(text()?),
                "id" | "mayDelete" => return Err(bad("left to the server")),
                _ => return Err(SetError::properties(&[name], "an identity has no such property")),
            }
        }
        let size = [&said.name, &said.email, &said.text_signature, &said.html_signature];
        if size.into_iter().flatten().map(String::len).sum::<usize>() > Mail::IDENTITY_SIZE {
            let text = format!("the texts of an identity may have {} octets together", Mail::IDENTITY_SIZE);
            return Err(SetError::new("tooLarge", text));
        }
        Ok(said)
    }

    /// What the identity shall be.
    fn over(&self, before: &Identity) -> Identity {
        let Self { name, email, reply_to, bcc, text_signature, html_signature } = self.clone();
        Identity {
            name: name.unwrap_or_else(|| before.name.clone()),
            email: email.unwrap_or_else(|| before.email.clone()),
            reply_to: reply_to.unwrap_or_else(|| before.reply_to.clone()),
            bcc: bcc.unwrap_or_else(|| before.bcc.clone()),
            text_signature: text_signature.unwrap_or_else(|| before.text_signature.clone()),
            html_signature: html_signature.unwrap_or_else(|| before.html_signature.clone()),
            is_own: before.is_own,
        }
    }
}

/// `EmailAddress[]|null` (RFC 8621 §4.1.2.3).
fn people(value: &Value) -> Option<Option<Vec<Person>>> {
    let Value::Array(items) = value else { return value.is_null().then_some(None) };
    let person = |item: &Value| {
        let members = item.as_object()?;
        if members.keys().any(|name| !matches!(name.as_str(), "name" | "email")) {
            return None;
        }
        let name = match members.get("name") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str()?.to_owned()),
        };
        Some(Person { name, email: members.get("email")?.as_str()?.to_owned() })
    };
    Some(Some(items.iter().map(person).collect::<Option<Vec<_>>>()?))
}
