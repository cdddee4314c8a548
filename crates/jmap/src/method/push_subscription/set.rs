//! `PushSubscription/set` (RFC 8620 §7.2.2)

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use push::{Change, Endpoint, Keys, NewSubscription, Push, Refusal};
use serde_json::Value;
use types::{ModSeq, Timestamp};

use super::{service, show};
use crate::context::{Context, object};
use crate::error::{MethodError, SetError};
use crate::method::set::check_number;
use crate::wire::arguments::Id;
use crate::wire::{Arguments, Object, date, id};

/// The longest name of a device, and of a type, in octets; and the most types.
const NAME: usize = 255;
const TYPES: usize = 100;
/// Apps write keys with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(crate) async fn run(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Object, MethodError> {
    let create: BTreeMap<String, Object> = arguments.or("create", BTreeMap::new())?;
    let update: BTreeMap<String, Object> = arguments.or("update", BTreeMap::new())?;
    let destroy: Vec<Id> = arguments.or("destroy", Vec::new())?;
    arguments.end()?;
    if create.keys().any(|name| !id::is_id(name)) {
        return Err(MethodError::argument("create", "must name what is created as ids are written"));
    }
    check_number(create.len() + update.len() + destroy.len(), context.limits.objects_in_set)?;
    let push = service(context)?.clone();
    let mut done = Done::default();
    for (name, properties) in create {
        match new(context, &push, properties).await.map_err(|error| done.partly(error))? {
            Ok(subscription) => {
                let id = id::of_subscription(subscription.id);
                context.created.insert(name.clone(), id);
                done.created.insert(name, Value::Object(show(&subscription, &["id", "expires"])));
            }
            Err(error) => {
                done.not_created.insert(name, error.to_json());
            }
        }
    }
    for (text, patch) in update {
        let changed = match context.real_id(&text).and_then(id::subscription) {
            Some(id) => change(context, &push, id, patch).await.map_err(|error| done.partly(error))?,
            None => Err(SetError::not_found()),
        };
        match changed {
            Ok(changed) => done.updated.insert(text, changed),
            Err(error) => done.not_updated.insert(text, error.to_json()),
        };
    }
    for Id(text) in destroy {
        let destroyed = match context.real_id(&text).and_then(id::subscription) {
            Some(id) => {
                let destroyed = settle(push.destroy(context.user.login(), id).await);
                destroyed.map_err(|error| done.partly(error))?
            }
            None => Err(SetError::not_found()),
        };
        match destroyed {
            Ok(()) => done.destroyed.push(text.into()),
            Err(error) => {
                done.not_destroyed.insert(text, error.to_json());
            }
        }
    }
    Ok(done.response())
}

#[derive(Default)]
struct Done {
    created: Object,
    updated: Object,
    destroyed: Vec<Value>,
    not_created: Object,
    not_updated: Object,
    not_destroyed: Object,
}

impl Done {
    /// What a failure is after what was done.
    fn partly(&self, error: MethodError) -> MethodError {
        error.after(!(self.created.is_empty() && self.updated.is_empty() && self.destroyed.is_empty()))
    }

    fn response(self) -> Object {
        let map = |map: Object| if map.is_empty() { Value::Null } else { Value::Object(map) };
        let destroyed = if self.destroyed.is_empty() { Value::Null } else { Value::Array(self.destroyed) };
        object([
            ("created", map(self.created)),
            ("updated", map(self.updated)),
            ("destroyed", destroyed),
            ("notCreated", map(self.not_created)),
            ("notUpdated", map(self.not_updated)),
            ("notDestroyed", map(self.not_destroyed)),
        ])
    }
}

async fn new(
    context: &Context<'_>,
    push: &Push,
    properties: Object,
) -> Result<Result<push::Subscription, SetError>, MethodError> {
    let mail = context.mail();
    let since = mail.modseq(context.user.account()).await?;
    let wanted = match read(properties, since) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Err(error)),
    };
    settle(push.create(context.user.login(), wanted).await)
}

fn read(mut properties: Object, since: ModSeq) -> Result<NewSubscription, SetError> {
    let mut take = |name: &str| properties.remove(name).filter(|value| !value.is_null());
    let device = match take("deviceClientId") {
        Some(Value::String(device)) if (1..=NAME).contains(&device.len()) => device,
        _ => return Err(wrong("deviceClientId", "it must be a string of up to 255 octets")),
    };
    let Some(Value::String(url)) = take("url") else { return Err(wrong("url", "it must be a URL")) };
    let endpoint = Endpoint::parse(&url).map_err(|error| wrong("url", error))?;
    let keys = take("keys").map(keys).transpose()?;
    let expires = take("expires").map(|value| time(&value)).transpose()?;
    let types = take("types").map(types).transpose()?;
    if take("verificationCode").is_some() {
        return Err(wrong("verificationCode", "the push service gets it, and passes it on to the app"));
    }
    let left = properties.iter().find(|(_, value)| !value.is_null());
    match left {
        Some((name, _)) => Err(wrong(name, "it cannot be set")),
        None => Ok(NewSubscription { device, endpoint, url, keys, expires, types, since }),
    }
}

/// Applies a patch; what is returned are the properties that are otherwise than the client has asked for.
async fn change(
    context: &Context<'_>,
    push: &Push,
    id: push::SubscriptionId,
    patch: Object,
) -> Result<Result<Value, SetError>, MethodError> {
    let login = context.user.login();
    let mut change = Change::default();
    let mut asked = None;
    for (name, value) in patch {
        let read = match (name.as_str(), value) {
            ("verificationCode", Value::String(code)) => {
                change.code = Some(code);
                Ok(())
            }
            ("expires", Value::Null) => {
                change.expires = Some(None);
                Ok(())
            }
            ("expires", value) => time(&value).map(|time| {
                asked = Some(time);
                change.expires = Some(Some(time));
            }),
            ("types", Value::Null) => {
                change.types = Some(None);
                Ok(())
            }
            ("types", value) => types(value).map(|names| change.types = Some(Some(names))),
            // What is as it was is no change; of what is told to nobody, nobody learns that either.
            ("id" | "deviceClientId", value) => match push.list(login).await?.iter().find(|s| s.id == id) {
                Some(known) if show(known, &["id", "deviceClientId"]).get(&name) == Some(&value) => Ok(()),
                Some(_) => Err(wrong(&name, "it does not change: create another subscription")),
                None => Err(SetError::not_found()),
            },
            (name, _) => Err(wrong(name, "it does not change: create another subscription")),
        };
        if let Err(error) = read {
            return Ok(Err(error));
        }
    }
    let tells = change.expires.is_some();
    let changed = settle(push.update(login, id, change).await)?;
    Ok(changed.map(|now| match tells && asked != Some(now.expires) {
        true => Value::Object(show(&now, &["expires"])),
        false => Value::Null,
    }))
}

fn keys(value: Value) -> Result<Keys, SetError> {
    let octets = |name: &str| {
        let text = value.get(name).and_then(Value::as_str)?;
        BASE64.decode(text).ok()
    };
    let (Some(p256dh), Some(auth)) = (octets("p256dh"), octets("auth")) else {
        return Err(wrong("keys", push::NoKeys));
    };
    Keys::new(&p256dh, &auth).map_err(|error| wrong("keys", error))
}

fn time(value: &Value) -> Result<Timestamp, SetError> {
    let read = value.as_str().and_then(date::parse_utc);
    read.ok_or_else(|| wrong("expires", "it must be a time in UTC such as 2014-10-30T06:12:00Z"))
}

fn types(value: Value) -> Result<Vec<String>, SetError> {
    let bad = || wrong("types", "it must be an array of names of types");
    let Value::Array(names) = value else { return Err(bad()) };
    if names.len() > TYPES {
        return Err(bad());
    }
    let name = |value: Value| match value {
        Value::String(name) if name.len() <= NAME => Ok(name),
        _ => Err(bad()),
    };
    names.into_iter().map(name).collect()
}

fn wrong(name: &str, what: impl std::fmt::Display) -> SetError {
    SetError::properties(&[name], format!("{name}: {what}"))
}

/// What the client is told of a refusal; what has nothing to do with it fails the whole call.
fn settle<T>(result: Result<T, Refusal>) -> Result<Result<T, SetError>, MethodError> {
    let error = match result {
        Ok(done) => return Ok(Ok(done)),
        Err(error) => error,
    };
    let text = error.to_string();
    Ok(Err(match error {
        Refusal::TooMany(_) => SetError::new("overQuota", text),
        Refusal::TooOften(_) => SetError::new("rateLimit", text),
        Refusal::NotFound => SetError::not_found(),
        Refusal::WrongCode => wrong("verificationCode", text),
        Refusal::Over => wrong("expires", text),
        Refusal::Revoked => SetError::new("forbidden", text),
        Refusal::Failed(error) => return Err(error.into()),
    }))
}
