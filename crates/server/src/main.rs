//! Magpie: a mail server in one program.
//!
//! This crate is glue. It reads the command line, opens the stores, binds the sockets and puts a thin driver around
//! each protocol's session machine; what mail means is in the crates below.
//!
//! ```text
//!   cli ──┬── serve ── config ──┐
//!         ├── dev ──────────────┴─> server (node: all services on one data directory)
//!         │                          ├── net: listeners, PROXY, TLS, admission, the end of a server
//!         │                          ├── driver: smtp and lmtp, imap, pop3, http
//!         │                          ├── inbound: the queue behind smtp, and what delivers from it
//!         │                          ├── outbound: the queue for other servers, and what brings it there
//!         │                          ├── notice: what senders are told, through these queues
//!         │                          ├── admin: the socket that the other commands talk to
//!         │                          └── upkeep
//!         └── other commands ──> admin::Desk ──> the running server, or a node of their own
//!                                   ^
//!   import: reads Maildir and mbox ─┘
//! ```

mod admin;
mod budget;
mod carriage;
mod cli;
mod config;
mod data_dir;
mod dev;
mod driver;
mod import;
mod inbound;
mod junk;
mod leaving;
mod log;
mod meters;
mod net;
mod node;
mod notice;
mod origin;
mod outbound;
mod problem;
mod progress;
mod public;
mod pushing;
mod reporting;
mod server;
mod service_manager;
mod signers;
mod text;
mod upkeep;
mod vacation;
mod zone;

use std::process::ExitCode;

use clap::Parser;

/// Gives memory back that the system's allocator keeps: password hashes and large messages come and go on many
/// threads, and each would leave its share behind.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
