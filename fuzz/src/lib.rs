//! What attackers may send, thrown at everything that reads it: one function per parser and per session machine.
//!
//! ```text
//!   corpus/NAME, crates/*/tests, tests/corpus ──> tests/replay.rs   each input once, in `make test`
//!                                             └─> src/engine.rs     libFuzzer makes more of them, in `make fuzz`
//! ```
//!
//! A target takes any bytes and panics where something is wrong: a panic in the code, a promise that is not kept, an
//! answer that contradicts an earlier one. What a fuzzer finds is mended where it belongs, and the input stays in
//! `corpus/NAME` under a name that says what it showed.

// Its own tests are in tests/. The files that it takes from elsewhere bring tests that find their way only at home.
#![cfg(not(test))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a target fails by panicking")]

mod events;
mod imap_session;
mod imap_wire;
#[allow(dead_code, unused_imports, missing_docs, reason = "only the parsers of the importer are wanted here")]
mod import;
mod ingest;
mod jmap;
#[rustfmt::skip]
#[path = "../../crates/server/src/driver/jmap.rs"]
mod jmap_driver;
mod jmap_socket;
mod mbox;
mod names;
mod oauth;
mod pop3_session;
mod records;
mod report;
#[allow(dead_code, reason = "the driver of smtp's own transcripts, which can do more than is wanted here")]
#[path = "../../crates/smtp/tests/support/mod.rs"]
mod smtp_driver;
mod smtp_reply;
mod smtp_session;
mod web;
mod world;

/// Something to throw bytes at.
pub struct Target {
    /// Its name; its seeds and what was found are in `fuzz/corpus/NAME`.
    pub name: &'static str,
    /// Takes any bytes, and panics if something is wrong.
    pub run: fn(&[u8]),
    /// Further folders of seeds, from the root of the repository.
    pub seeds: &'static [&'static str],
    /// The longest input that is worth the time, in bytes.
    pub longest: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "imap_wire", run: imap_wire::run, seeds: &[], longest: 16 << 10 },
    Target { name: "imap_session", run: imap_session::run, seeds: &[], longest: 4 << 10 },
    Target { name: "smtp_session", run: smtp_session::run, seeds: &[], longest: 16 << 10 },
    Target { name: "smtp_reply", run: smtp_reply::run, seeds: &[], longest: 16 << 10 },
    Target { name: "pop3_session", run: pop3_session::run, seeds: &[], longest: 4 << 10 },
    Target {
        name: "ingest",
        run: ingest::run,
        seeds: &["crates/mail/tests/data", "tests/corpus"],
        longest: 32 << 10,
    },
    Target { name: "jmap_request", run: jmap::request, seeds: &[], longest: 16 << 10 },
    Target { name: "jmap_names", run: jmap::names, seeds: &[], longest: 1 << 10 },
    Target { name: "jmap_socket", run: jmap_socket::run, seeds: &[], longest: 8 << 10 },
    Target { name: "oauth", run: oauth::run, seeds: &[], longest: 4 << 10 },
    Target { name: "mbox", run: mbox::run, seeds: &[], longest: 16 << 10 },
    Target { name: "names", run: names::run, seeds: &[], longest: 1 << 10 },
    Target { name: "metadata", run: records::metadata, seeds: &[], longest: 4 << 10 },
    Target { name: "recipe", run: records::recipe, seeds: &[], longest: 1 << 10 },
    Target { name: "report", run: report::plain, seeds: &["crates/reports/tests/data"], longest: 16 << 10 },
    Target { name: "report_archive", run: report::archive, seeds: &[], longest: 4 << 10 },
    Target { name: "damaged_rows", run: records::damaged_rows, seeds: &[], longest: 1 << 10 },
];
