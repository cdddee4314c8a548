//! Durable queues: what has been accepted and is not where it belongs yet. The inbound queue holds mail for
//! mailboxes here, the outbound queue mail for other servers; both are this.
//!
//! ```text
//!   enqueue ──> entry: origin, body ──┬─> leg: recipients of one destination, one schedule ─┐
//!    (1 commit)                       └─> leg …                                             │
//!                                                                                           v
//!        wait ──> claim ──> Lease ──> strike, in the delivering transaction ──> done: gone
//!                   ^         └─────> settle ──┬─ later: back-off, and again ─────┐
//!                   ├──────────────────────────┼──────────────────────────────────┘
//!                   │                          └─ never: the error queue, until somebody decides
//!                   │                             or, where the sender is told: gone
//!                   └── line of a destination that fails or has no room <── block, claim
//! ```
//!
//! Where destinations matter, in the outbound queue, one that fails costs its own messages nothing but a place in its
//! [`Line`], and the others nothing at all.
//!
//! **Exactly once.** Who works on a leg holds a lease, a token in the leg's row. [`Queue::strike`] takes a recipient
//! off the leg in the transaction that delivers to it, and fails where the token is no longer in the row: so
//! whatever a worker believes, at most one transaction delivers. Leases only spare the others the work.
//!
//! **No wall clock decides.** Due times and leases are [`Moment`]s of the queue's own time, which passes as fast as
//! the steady clock of a running node, and no faster: a node whose clock is set a day ahead retries nothing
//! early and takes nobody's lease (see [`Queue::now`]).
//!
//! **No hot range.** Ids are random, and the order by due time is kept in shards. `docs/keyspace.md` lists the rows,
//! `docs/queue.md` says what an operator sees.

mod browse;
mod claim;
mod clock;
mod deadline;
mod dice;
mod enqueue;
mod error;
mod id;
mod line;
mod once;
mod operate;
mod record;
mod report;
mod schedule;
mod service;
mod settle;
mod sweep;
mod table;
mod verify;
mod wait;
mod withdraw;

pub use browse::{Ages, Depth, Entry, Leg, Page, Plan};
pub use claim::Lease;
pub use clock::Moment;
pub use deadline::Errand;
pub use dice::Dice;
pub use enqueue::{Body, NewEntry, NewLeg};
pub use error::Error;
pub use id::{EntryId, EntryIdError};
pub use line::{Cause, Heap, Line, LineDepth, LinePage, Standing, Standstill};
pub use once::Handover;
pub use record::{
    Client, Event, EventKind, Facts, LegState, Origin, Protection, Recipient, RecipientState, Return,
    Transfer, Unchecked,
};
pub use report::{Companion, Fate, Notice, Report};
pub use schedule::{Pauses, Schedule};
pub use service::{Kind, Options, Queue};
pub use settle::{Answer, Outcome, Passage, Settled};
pub use sweep::{Action, Cursor, Survey, Swept, Tally, Whose};
pub use verify::Finding;
