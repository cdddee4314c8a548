//! What is spoken over HTTP: whether the server lives, whether it can take mail, and how it is doing.
//!
//! ```text
//!   a connection ──> HttpServer::serve ──> routes ─┬─> /healthz/live    the process answers
//!    (any stream)     or serve_http2               ├─> /healthz/ready   Readiness: what stands against taking mail
//!                     header, time, stall          ├─> /metrics         Exporter::render, for those who may ask
//!                                                  ├─> /jmap/…          Api: page, login, limits, then JmapService
//!                                                  ├─> /oauth/…         OAuth: who may grant what to which app
//!                                                  └─> /.well-known/…   Discovery: settings for apps, policies for servers
//!
//!   counters of all crates ──(facade: metrics)──> Exporter <── Gauges: what is read only when somebody asks
//! ```
//!
//! The crate knows no socket, no store and no protocol of mail: who serves hands in a stream, and closures, and a
//! [`JmapService`], that say what is to be said. [`catalogue`] lists all metrics that there are; `docs/metrics.md` explains them.

mod api;
pub mod catalogue;
mod connection;
mod discovery;
mod exporter;
mod h2;
mod oauth;
mod process;
mod routes;
mod unread;

pub use api::{
    Api, ApiLimits, Change, Content, Download, EventQuestion, Heard, JmapService, PollQuestion, Refused,
    ServerEvent, Upload,
};
pub use connection::{HttpLimits, HttpServer, Traffic};
pub use discovery::{Discovery, MailService, ServiceKind};
pub use exporter::Exporter;
pub use oauth::OAuth;
pub use process::ProcessGauges;
pub use routes::{Access, Services};
