//! `VacationResponse/set` (RFC 8621 §8.2): the one object is changed, and neither made nor destroyed.

use mail::Vacation;
use serde_json::Value;
use types::{AccountId, Timestamp};

use super::ID;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::method::set::{Done, Set, patch};
use crate::wire::arguments::FromJson;
use crate::wire::{Arguments, Object, state};

/// What a client says of it; none where it says nothing.
#[derive(Clone, Default)]
struct Said {
    enabled: Option<bool>,
    from: Option<Option<Timestamp>>,
    until: Option<Option<Timestamp>>,
    subject: Option<Option<String>>,
    text: Option<Option<String>>,
    html: Option<Option<String>>,
}

pub(in super::super) async fn run(
    context: &mut Context<'_>,
    mut arguments: Arguments,
) -> Result<Object, MethodError> {
    let set = Set::read(context, &mut arguments)?;
    arguments.end()?;
    let before = state::to_text(context.standing(set.account).await?);
    set.check_state(context).await?;
    let mut done = Done::default();
    let singleton = || SetError::new("singleton", "there is one VacationResponse, which can only be changed");
    for name in set.create.into_keys() {
        done.not_created(name, &singleton());
    }
    for (id, members) in set.update {
        match update(context, set.account, &id, members).await.map_err(|error| done.partly(error))? {
            Ok(()) => done.updated(id),
            Err(error) => done.not_updated(id, &error),
        }
    }
    for id in set.destroy {
        let error = if id == ID { singleton() } else { SetError::not_found() };
        done.not_destroyed(id, &error);
    }
    let after = context.state(set.account).await.map_err(|error| done.partly(error))?;
    Ok(done.response(set.account, before, after))
}

async fn update(
    context: &Context<'_>,
    account: AccountId,
    id: &str,
    members: Object,
) -> Result<Result<(), SetError>, MethodError> {
    if id != ID {
        return Ok(Err(SetError::not_found()));
    }
    let said = match patch(members).and_then(Said::read) {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    match context.mail().set_vacation(account, &|before| said.clone().over(before)).await {
        Ok(()) => Ok(Ok(())),
        Err(error @ mail::Error::ObjectTooLarge { .. }) => {
            Ok(Err(SetError::new("tooLarge", error.to_string())))
        }
        Err(error) => SetError::of(error).map(Err),
    }
}

impl Said {
    fn read(members: Vec<(Vec<String>, Value)>) -> Result<Self, SetError> {
        let mut said = Self::default();
        for (path, value) in members {
            let [name] = path.as_slice() else {
                return Err(SetError::new("invalidPatch", "its properties have no parts"));
            };
            match name.as_str() {
                "isEnabled" => said.enabled = Some(read(name, value)?),
                "fromDate" => said.from = Some(nullable(name, value)?),
                "toDate" => said.until = Some(nullable(name, value)?),
                "subject" => said.subject = Some(nullable(name, value)?),
                "textBody" => said.text = Some(nullable(name, value)?),
                "htmlBody" => said.html = Some(nullable(name, value)?),
                "id" if value == ID => {}
                name => {
                    return Err(SetError::properties(&[name], "it is the server's to set, or not known"));
                }
            }
        }
        Ok(said)
    }

    /// What comes of it.
    fn over(self, before: &Vacation) -> Vacation {
        Vacation {
            enabled: self.enabled.unwrap_or(before.enabled),
            from: self.from.unwrap_or(before.from),
            until: self.until.unwrap_or(before.until),
            subject: self.subject.unwrap_or_else(|| before.subject.clone()),
            text: self.text.unwrap_or_else(|| before.text.clone()),
            html: self.html.unwrap_or_else(|| before.html.clone()),
        }
    }
}

fn read<T: FromJson>(name: &str, value: Value) -> Result<T, SetError> {
    let bad = || SetError::properties(&[name], format!("{name} must be {}", T::EXPECTED));
    T::from_json(value).ok_or_else(bad)
}

fn nullable<T: FromJson>(name: &str, value: Value) -> Result<Option<T>, SetError> {
    if value.is_null() { Ok(None) } else { read(name, value).map(Some) }
}
