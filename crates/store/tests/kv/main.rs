//! The proofs of `store::kv`.
//!
//! - the contract, on every engine and under injected faults: `model`, `conflicts`, `histories`, `exactly_once`,
//!   `limits`, `watches`, `snapshots`
//! - the embedded engine: `groups`, `durability`, `damage`, `failures`
//!
//! A new engine adds itself to [`engines::Way::all`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod conflicts;
mod damage;
mod durability;
mod engines;
mod exactly_once;
mod failures;
mod groups;
mod histories;
mod invariants;
mod journals;
mod late;
mod ledger;
mod limits;
mod meter;
mod model;
mod serial;
mod snapshots;
mod watches;
