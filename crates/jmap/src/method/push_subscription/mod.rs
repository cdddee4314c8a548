//! Subscriptions of apps at push services (RFC 8620 §7.2). They are a user's and not an account's, so that these methods
//! know neither accounts nor states.

pub(crate) mod get;
pub(crate) mod set;

use serde_json::{Value, json};

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::{Object, date, id};

/// All properties that are told. The URL and the keys are not (RFC 8620 §7.2.1).
const PROPERTIES: [&str; 5] = ["id", "deviceClientId", "verificationCode", "expires", "types"];

/// Web Push, where it is turned on.
fn service<'c>(context: &'c Context<'_>) -> Result<&'c push::Push, MethodError> {
    let off = || MethodError::Forbidden("push services are not used by this server".into());
    context.services.push.as_ref().ok_or_else(off)
}

fn show(subscription: &push::Subscription, names: &[&'static str]) -> Object {
    let value = |name: &str| match name {
        "id" => id::of_subscription(subscription.id).into(),
        "deviceClientId" => subscription.device.as_str().into(),
        "verificationCode" => json!(subscription.code),
        "expires" => date::utc(subscription.expires).into(),
        "types" => json!(subscription.types),
        _ => Value::Null,
    };
    names.iter().map(|name| ((*name).to_owned(), value(name))).collect()
}
