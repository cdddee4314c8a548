//! What the server counts: connections, octets, deliveries and checks. Commands, logins and commits are counted where
//! they happen, in the crates below. docs/metrics.md explains all of it.
//!
//! Handles are made once, with a listener or at first use: counting is one addition, without lock or allocation.

mod checks;
mod delivery;
mod gauges;
mod listener;
mod outbound;
mod reports;

use std::sync::OnceLock;

use metrics::Counter;

pub(crate) use self::checks::{checked, judged};
pub(crate) use self::delivery::{Became, Refused, Why, delivered, refused, took};
pub(crate) use self::gauges::Gauges;
pub(crate) use self::listener::{Arrived, DoorMeters, PortMeters};
pub(crate) use self::outbound::{Told, answered, blocked, connected, relayed, relayed_after, told};
pub(crate) use self::reports::{report_received, report_sent, reports_dropped};

/// Counters that are made when they are first needed.
struct Cells<const N: usize>([OnceLock<Counter>; N]);

impl<const N: usize> Cells<N> {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; N])
    }

    fn count(&self, place: usize, make: impl FnOnce() -> Counter) {
        if let Some(cell) = self.0.get(place) {
            cell.get_or_init(make).increment(1);
        }
    }
}
