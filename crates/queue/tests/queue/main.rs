//! The queue through its public names: what it costs, and that nothing is lost, doubled or forgotten, whatever the
//! store, the clocks and the workers do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod costs;
mod deadlines;
mod destinations;
mod handovers;
mod leases;
mod lines;
mod model;
mod operator;
mod outbound_costs;
mod outbound_model;
mod reports;
mod retries;
mod standing;
mod time;
mod verify;
mod world;
