//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051).
//!
//! ```text
//!            driver: socket, TLS, time limits (not here)
//!               |  bytes in            ^  Step: send, read, begin TLS, close
//!               v                      |
//!   Session:  Framer -> Command -> one file per command -> Output
//!                                      |
//!                            mail::Mail, directory::Directory
//! ```
//!
//! [`wire`] is the language without any I/O: framing, commands, responses. [`Session`] is a client's session as a
//! state machine without a socket (a [`conversation::Conversation`]), so that a transcript is all it takes to test one. What is kept of mail, and
//! what a mailbox is, `mail` decides; here it is only put into IMAP's words.
//!
//! What a client sees of others' changes is kept in one place: the view of the selected mailbox, which follows the
//! account's change log and announces each UID once.

mod session;
pub mod wire;

pub use session::{Config, Peer, Services, Session, Timeouts};
