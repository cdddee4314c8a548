//! Web Push: telling apps that are not connected that something has changed, by way of the push service of their platform
//! (RFC 8030), which an app has named in a subscription (RFC 8620 §7.2).
//!
//! ```text
//!   create, list, update, destroy ──> rows of a user ──┐ a word on the bus
//!                                                      v
//!   Push::run:  shards of accounts, leased ──> one task for each subscription
//!                                                ├─ Source     what has changed since it was told?
//!                                                ├─ seal       for the app alone (RFC 8291)
//!                                                ├─ vapid      who we are (RFC 8292)
//!                                                └─ Transport  over HTTPS, to a public address
//! ```
//!
//! What an app was told is a row, and what has changed is read from the change log: a node that dies, a word that is lost or comes
//! twice, and a push service that is away for an hour cost time, never news. Only the newest state is ever sent. What it
//! is that changes, and how it is said, is the business of a [`Source`]; connections are made by a [`Transport`].

mod delivery;
mod endpoint;
mod error;
mod follower;
mod lease;
mod meter;
mod options;
mod seal;
mod service;
mod subscription;
mod table;
mod turns;
mod vapid;

pub use delivery::{Answer, Changed, Source, Transport, Unreached};
pub use endpoint::{Endpoint, NoEndpoint};
pub use error::{Error, Refusal};
pub use options::Options;
pub use seal::{Keys, NoKeys, seal};
pub use service::Push;
pub use subscription::{Change, NewSubscription, Subscription, SubscriptionId};
