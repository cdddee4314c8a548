//! JMAP (RFC 8620) and JMAP for Mail (RFC 8621).
//!
//! ```text
//!            http: connections, logins, limits on connections (not here)
//!               |  a user, octets in           ^  JSON out, or a problem
//!               v                              |
//!   Jmap::request:  wire ── calls one after the other ── method: one file per method
//!                   I-JSON, Request,   references to       |
//!                   limits first       earlier results     |
//!                                            mail::Mail, directory::Directory, Departures
//! ```
//!
//! [`wire`] is the language without any I/O: strict JSON, requests, pointers, ids. What a method does stands in a file
//! of its own below `method`, and `method::METHODS` is the table of all of them: a new method is a file and a line.
//! What the methods of all types have in common, `get`, `changes`, `query`, stands beside them. From what is stored of
//! an email to what JMAP shows of it is the work of `email`. What mail means, `mail` decides. How clients hear of changes is
//! the business of `push`.
//!
//! Every access names an account, and every access asks whether the user may: ids hold numbers, not permissions.

mod blob;
mod context;
mod departures;
mod download;
mod email;
mod error;
mod limits;
mod meter;
mod method;
mod push;
mod service;
mod session;
mod upload;
mod user;
pub mod wire;

pub use self::push::events::{Event, EventRequest, Events};
pub use self::push::poll::PollRequest;
pub use self::push::socket::{Message, Refusal};
pub use self::push::subscription::PushSource;
pub use departures::{Departure, Departures, NotAcknowledged, NotRecalled, NotSent, Terms};
pub use download::{Download, DownloadStream};
pub use email::header::{Form, HeaderProperty};
pub use error::{Problem, TransferError};
pub use limits::Limits;
pub use service::{Changes, Jmap, Services};
pub use upload::Upload;
pub use user::User;
