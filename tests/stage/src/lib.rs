//! A stage for sessions that talk in commands and answers: clients without sockets, and transcripts for them to play.
//! The tests of IMAP and POP3 stand on it, and the fuzzer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod play;
mod script;

pub use client::Client;
pub use play::{Scene, play};
pub use script::{Line, matches, parse, transcripts};
