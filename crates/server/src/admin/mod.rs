//! Administration: operations that the command line asks for, done by the running server through its admin
//! socket, or by the command itself where no server runs.
//!
//! ```text
//!   cli ──> Desk ──┬── admin.sock ──> Counter ──> Operation::run on the server's Node
//!                  └── no server there: Operation::run on a Node of its own
//! ```
//!
//! The socket is a Unix socket in the data directory, for its owner alone. A request is one line of JSON,
//! `{"version":1,"operation":"account.create","arguments":{…},"payload":0}`, and as many raw bytes as `payload`
//! says; the answer is one line, `{"done":{…}}` or `{"failed":{"kind":"not_found","message":"…"}}`. A connection
//! may carry any number of requests, one after the other.

mod counter;
mod desk;
mod frame;
pub(crate) mod operation;
mod socket;

use std::future::Future;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::node::Node;
use crate::problem::Problem;

pub(crate) use counter::Counter;
pub(crate) use desk::Desk;

/// Something that the command line can ask for.
pub(crate) trait Operation: Serialize + DeserializeOwned + Send {
    /// What it is called on the wire.
    const NAME: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned + Send;

    /// Does it. `payload` is what came along with the request; most take none.
    fn run(self, node: &Node, payload: Bytes) -> impl Future<Output = Result<Self::Answer, Problem>> + Send;
}
