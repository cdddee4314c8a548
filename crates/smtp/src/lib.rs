//! The receiving side of SMTP (RFC 5321), LMTP (RFC 2033) and submission (RFC 6409), as a state machine without
//! sockets.
//!
//! Bytes go in, replies and effects come out. The crate knows no runtime, no storage, no directory and no
//! clock: a thin driver around it moves bytes, asks the services, and keeps the time.
//!
//! ```text
//!            bytes ──> Session::input()
//!                            │
//!                     Session::next()
//!                            │
//!    ┌────────────┬──────────┴──────────┬──────────────────┬───────────────┐
//!  Send,        VerifySender        Begin, Body…,        StartTls        Close
//!  NeedInput    VerifyRecipient     End or Abandon          │
//!                 │                   │                tls_started()
//!             sender()            begin(), delivered()
//!             recipient()
//! ```
//!
//! A driver is a loop:
//!
//! ```
//! use std::sync::Arc;
//! use smtp::{Action, Config, DeliveryVerdict, Peer, Protocol, Receipt, Session};
//! use smtp::{BeginVerdict, RecipientVerdict, SenderVerdict};
//!
//! # fn main() -> Result<(), smtp::OutOfTurn> {
//! let config = Arc::new(Config::new("mx.example.test", Protocol::Smtp));
//! let mut session = Session::new(config, Peer::default());
//! let mut wire: &[u8] = b"EHLO c.test\r\nQUIT\r\n";
//! let mut answer = Vec::new();
//! loop {
//!     match session.next() {
//!         Action::Send(replies) => answer.extend_from_slice(&replies),
//!         Action::NeedInput => session.input().extend_from_slice(&std::mem::take(&mut wire)),
//!         Action::VerifySender(_) => session.sender(SenderVerdict::Accept)?,
//!         Action::VerifyRecipient(..) => session.recipient(RecipientVerdict::Accept)?,
//!         Action::Begin(_) => session.begin(BeginVerdict::Proceed)?,
//!         Action::Body(_chunk) => { /* to the hash and the spool */ }
//!         Action::End(envelope) => {
//!             // Store and commit; only then:
//!             let done = |_: &_| DeliveryVerdict::Durable(Receipt::durable("42"));
//!             session.delivered(envelope.recipients.iter().map(done).collect())?;
//!         }
//!         // Submission only.
//!         Action::Authenticate(_) | Action::VerifyHeader(..) => break,
//!         Action::Abandon => { /* drop the spool */ }
//!         Action::StartTls | Action::Close => break,
//!     }
//! }
//! assert!(answer.starts_with(b"220 mx.example.test ESMTP"));
//! assert!(answer.ends_with(b"closing the connection\r\n"));
//! # Ok(())
//! # }
//! ```
//!
//! A session for submission asks two things more: `Authenticate`, until somebody has logged in, without which there is no
//! MAIL; and `VerifyHeader`, before the first octet of a body. Its driver gets header and body apart, because the header is
//! completed on its way. Client and sender may be told apart there: `<>` as sender is allowed to those who have logged in,
//! since notifications on reading (RFC 8098) come from it; who may be named in MAIL and in From is for the driver to say.
//!
//! What holds whatever comes in: framing comes before parsing, so that bad grammar cannot desynchronise the
//! stream; every line gets one reply; memory is bounded by [`Limits`]; work is linear in the bytes received;
//! 250 for a message needs a [`Receipt`].
//!
//! Reading order: [`Session`] turns input into phases (`phase`), lines are framed by `line` and run by
//! `command` (one file per command), a message on its way in lives in `message` with its decoders in `body`,
//! and `decision` says 250 or not.

mod address;
mod auth;
mod body;
mod command;
mod conduct;
mod config;
mod core;
mod decision;
mod envelope;
mod extension;
mod handed_in;
mod hello;
mod line;
mod message;
mod meters;
mod parameter;
mod peer;
mod phase;
mod reply;
mod session;
mod trace;
mod verdict;

pub use address::{AddressError, Domain, ForwardPath, Mailbox, ReversePath};
pub use auth::{AuthRefusal, AuthStep, AuthVerdict, Credential, Submitter};
pub use config::{Config, Limits, Login, Protocol, Timeouts};
pub use envelope::{BodyType, Envelope, Notify, Origin, OriginalRecipient, Recipient, Return};
pub use extension::{DeliverBy, Extensions, Lateness, Submission};
pub use handed_in::{HandedIn, Parameters};
pub use hello::{Greeting, Hello};
pub use peer::{Client, Peer, Tls};
pub use reply::{Refusal, RefusalCode};
pub use session::{Action, OutOfTurn, Session, Waiting, WaitingFor};
pub use trace::Trace;
pub use verdict::{BeginVerdict, DeliveryVerdict, HeaderVerdict, Receipt, RecipientVerdict, SenderVerdict};
