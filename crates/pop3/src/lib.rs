//! POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595), SASL (RFC 5034), AUTH and SYS response codes (RFC 3206)
//! and UTF8 (RFC 6856).
//!
//! ```text
//!            driver: socket, TLS, time limits (not here)
//!               |  bytes in            ^  Step: send, read, begin TLS, close
//!               v                      |
//!   Session:  Lines -> one file per command -> Output
//!                          |
//!                 mail::Mail, directory::Directory
//!
//!   Authorization --PASS, AUTH--> Transaction, with a Maildrop --QUIT--> messages are removed, closing
//! ```
//!
//! [`conversation::Conversation`] is what a driver sees of a session.
//!
//! What holds whatever comes in:
//!
//! - Every line gets one answer, a flood of bad ones the end of the connection. Memory does not follow what a
//!   client sends; it follows the number of messages, with 13 bytes for each.
//! - Opening a mailbox reads the rows that hold UIDs and sizes, never a message.
//! - Nothing is removed but by QUIT after DELE. A connection that is lost, timed out or closed removes nothing.
//! - A message is on its way in chunks, and the next is read when the driver has sent the last.
//!
//! **Several sessions at once.** RFC 1939 §4 has a session lock its maildrop, and RFC 2449 §8.1.2 gives the refused
//! one `[IN-USE]`. Here nothing is locked. The lock protects message numbers from shifting and removals from hitting
//! the wrong message, and neither can happen: numbers belong to the session, which knows each message by a UID that is
//! never used again, and a message that another session removed is answered for by itself. A lock over several nodes,
//! on the other hand, would have to outlive crashed ones, and shuts an owner out of the mail whenever a phone's
//! connection is lost without anybody noticing. IMAP sessions would not respect it anyway.
//!
//! **Not here:** APOP (RFC 1939 §7), which needs passwords to be stored readable; LANG (RFC 6856 §3), because all
//! texts are in one language.

mod command;
mod conduct;
mod config;
mod error;
mod line;
mod listing;
mod maildrop;
mod meters;
mod output;
mod reply;
mod sending;
mod session;
mod user;
mod wire;

pub use config::{Config, InternationalMail, Limits, Peer, Services, Timeouts};
pub use session::Session;
