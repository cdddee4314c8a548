//! One scenario after the other: what has to come out is known beforehand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod annotations;
mod appending;
mod deletion;
mod delivery;
mod identity;
mod import;
mod limits;
mod listing;
mod marks;
mod nodes;
mod objects;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod transfer;
mod vacation;
