//! FoundationDB's limits, which hold on every engine, so that code which passes on a laptop does not fail on a
//! cluster. They are checked in one place: [`super::Transaction`].

use std::time::Duration;

/// The longest key, in bytes. Magpie's own keys stay below 512.
pub const KEY: usize = 10_000;
/// The longest value, in bytes.
pub const VALUE: usize = 100_000;
/// The keys and values that one transaction writes and the key ranges that it conflicts on, in bytes.
pub const TRANSACTION: usize = 10_000_000;
/// How long a transaction may live between its first read and its commit.
pub const AGE: Duration = Duration::from_secs(5);
