//! Subscriptions as their owners see them.

use types::{ModSeq, Timestamp};

use crate::table::SubscriptionRow;
use crate::{Endpoint, Keys};

/// A subscription's number: chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubscriptionId(pub u64);

/// A subscription. The URL and the keys are told to nobody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Its number.
    pub id: SubscriptionId,
    /// What the app calls the device that it runs on.
    pub device: String,
    /// Whether the app has proved that it gets what is sent.
    pub verified: bool,
    /// The code by which it did; none before.
    pub code: Option<String>,
    /// When it ends.
    pub expires: Timestamp,
    /// The types that it is for; none for all.
    pub types: Option<Vec<String>>,
}

/// A subscription that is to be made.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// What the app calls the device that it runs on. One that is there already for the same device is replaced.
    pub device: String,
    /// Where the push service takes messages.
    pub endpoint: Endpoint,
    /// The URL of that as it was written.
    pub url: String,
    /// What messages are encrypted with; without keys they are not.
    pub keys: Option<Keys>,
    /// When it shall end.
    pub expires: Option<Timestamp>,
    /// The types that it is for; none for all.
    pub types: Option<Vec<String>>,
    /// Where the account stands now: what comes after this is told.
    pub since: ModSeq,
}

/// What is to become of a subscription; what is none stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The code that was sent to the app.
    pub code: Option<String>,
    /// When it shall end; an inner none means as late as possible.
    pub expires: Option<Option<Timestamp>>,
    /// The types that it shall be for; an inner none means all.
    pub types: Option<Option<Vec<String>>>,
}

impl Subscription {
    pub(crate) fn new(id: SubscriptionId, row: SubscriptionRow) -> Self {
        let SubscriptionRow { device, verified, code, expires, types, .. } = row;
        Self { id, device, verified, code: verified.then_some(code), expires, types }
    }
}
