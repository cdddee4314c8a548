//! Lines: messages that wait for their destination instead of each for itself. A destination gets a line when it fails
//! as a whole, when it has no room, or when an operator holds it.
//!
//! ```text
//!                  no room here                        block: it cannot be reached
//!   legs due ──> [ busy ] ──next_in_line, claim──> worker ──> [ failing ] ──one probe per pause──> worker
//!                  ^  ^                                          |                                   |
//!                  |  └──────────── reached ─────────────────────┴──────────────── reached ──────────┘
//!                  └─ release ── [ held ] <── hold ── an operator
//! ```
//!
//! So a dead destination costs one move per message and one attempt per pause, however many messages wait for it, and
//! a busy one is served in order over whatever connection becomes free. A leg in line is still looked at when its
//! sender must hear of it ([`crate::deadline`]); nobody reads through lines to find that out.

mod claim;
mod operate;
mod outcome;
mod standing;
mod table;
mod verify;

use std::time::Duration;

use minicbor::{Decode, Encode};
use store::kv::{self, Transaction};

use crate::clock::Moment;
use crate::record::{Facts, LegRecord, LegState, cut};
use crate::settle::Answer;
use crate::table::LegKey;
use crate::{EntryId, Queue};

pub use operate::{Line, LinePage};
pub use standing::{Heap, LineDepth, Standing};
pub(crate) use table::{LINE_SHARDS, LineOrder};
use table::{LineOrderKey, Lines, PlaceKey, Places, counted_line, line_count_key, line_counts};

/// Why there is a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Standstill {
    /// The destination fails: one message at a time is tried.
    #[n(0)]
    Failing,
    /// There was no room for more at a time.
    #[n(1)]
    Busy,
    /// An operator holds it.
    #[n(2)]
    Held,
}

/// What keeps a destination from being reached, as a class for counting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Cause {
    /// Its name or its mail servers cannot be found out for now.
    #[n(0)]
    Name,
    /// No connection to any of its servers, or it broke.
    #[n(1)]
    Connection,
    /// No connection as safe as it must be: TLS, MTA-STS, DANE, REQUIRETLS.
    #[n(2)]
    Security,
    /// Its server answers, and refuses for now to take mail from here.
    #[n(3)]
    Refusal,
    /// Something on this side.
    #[n(4)]
    Local,
}

impl Cause {
    /// It in a word, as in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connection => "connection",
            Self::Security => "security",
            Self::Refusal => "refusal",
            Self::Local => "local",
        }
    }
}

/// The state of a destination that is not simply working.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct LineRecord {
    #[n(0)]
    pub(crate) why: Standstill,
    /// Since when that is so.
    #[n(1)]
    pub(crate) since: Moment,
    /// Failures in a row.
    #[n(2)]
    #[cbor(default)]
    pub(crate) attempts: u32,
    /// When somebody is handed some of it; none while it is held.
    #[n(3)]
    pub(crate) next: Option<Moment>,
    /// When it was last found failing, or reached: what was handed out before tells nothing new.
    #[n(4)]
    pub(crate) judged: Moment,
    #[n(5)]
    pub(crate) cause: Option<Cause>,
    /// What it said, or why the operator holds it.
    #[n(6)]
    #[cbor(default)]
    pub(crate) said: String,
    #[n(7)]
    pub(crate) facts: Option<Facts>,
    /// Whom it was tried with last: the next one is another, so that no single message holds up the others.
    #[n(8)]
    pub(crate) probed: Option<PlaceRecord>,
}

/// A place in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PlaceRecord {
    #[n(0)]
    pub(crate) since: Moment,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) id: [u8; 8],
    #[n(2)]
    pub(crate) leg: u16,
}

impl LineRecord {
    /// A line for want of room. Whether the destination can be reached nobody knows from that.
    pub(crate) const fn busy(now: Moment, next: Moment) -> Self {
        Self {
            why: Standstill::Busy,
            since: now,
            attempts: 0,
            next: Some(next),
            judged: Moment(0),
            cause: None,
            said: String::new(),
            facts: None,
            probed: None,
        }
    }

    /// A line that has just been opened: those who stand in it go at once.
    pub(crate) const fn open(now: Moment) -> Self {
        let mut line = Self::busy(now, now);
        line.judged = now;
        line
    }

    /// What the destination said last, if it fails.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let facts = self.facts.clone().unwrap_or_default();
        (self.why == Standstill::Failing).then(|| Answer { text: self.said.clone(), facts })
    }

    /// Whether it failed so lately that this is worth knowing though nobody stands in it.
    fn is_fresh(&self, queue: &Queue, now: Moment) -> bool {
        self.why == Standstill::Failing && now.since(self.judged) < queue.options().line.longest * 2
    }

    /// The pause after as many failures.
    fn pause(&self, queue: &Queue) -> Duration {
        queue.options().line.pause(self.attempts, &queue.options().dice)
    }

    /// What keeps the destination from being reached, if it fails.
    pub(crate) fn failing_for(&self) -> Option<Cause> {
        self.cause.filter(|_| self.why == Standstill::Failing)
    }

    /// Somebody who had it in hand says that it cannot be reached. Returns whether that is news.
    fn fail(&mut self, queue: &Queue, claimed: Moment, now: Moment, cause: Cause, said: &Answer) -> bool {
        // What was under way when it was judged last failed with it, or before it was reached.
        if self.why == Standstill::Held || claimed <= self.judged {
            return false;
        }
        if self.why != Standstill::Failing {
            (self.why, self.since, self.attempts) = (Standstill::Failing, now, 0);
        }
        self.attempts = self.attempts.saturating_add(1);
        self.judged = now;
        self.next = Some(now.plus(self.pause(queue)));
        self.cause = Some(cause);
        self.said = cut(&said.text);
        self.facts = said.facts.kept(queue.clock().wall());
        true
    }
}

/// The place of a leg in its destination's line, if it stands there.
fn place((kind, id, leg): LegKey, record: &LegRecord) -> Option<PlaceKey> {
    (record.line && record.state == LegState::Waiting).then(|| PlaceKey {
        kind,
        destination: record.destination.clone(),
        since: record.since,
        id,
        leg,
    })
}

impl Queue {
    /// Keeps a leg's place in line in step with its row.
    pub(crate) fn save_place(
        &self,
        tx: &Transaction,
        key: LegKey,
        before: Option<&LegRecord>,
        after: Option<&LegRecord>,
    ) -> Result<(), kv::Error> {
        let before = before.and_then(|before| place(key, before));
        let after = after.and_then(|after| place(key, after));
        if before == after {
            return Ok(());
        }
        if let Some(place) = before {
            tx.remove::<Places>(&place)?;
            tx.add(line_count_key(place.kind, &place.destination), -1)?;
        }
        if let Some(place) = after {
            tx.save::<Places>(&place, &table::PlaceRow {})?;
            tx.add(line_count_key(place.kind, &place.destination), 1)?;
        }
        Ok(())
    }

    /// Writes a line anew, with its place in the order. `before` is what was stored. A line may be removed only by
    /// who has seen in the same transaction that nobody stands in it.
    pub(crate) fn save_line(
        &self,
        tx: &Transaction,
        destination: &str,
        before: Option<&LineRecord>,
        after: Option<&LineRecord>,
    ) -> Result<(), kv::Error> {
        let key = (self.kind(), destination.to_owned());
        let order = |record: &LineRecord| {
            record.next.map(|next| LineOrderKey {
                kind: self.kind(),
                next,
                destination: destination.to_owned(),
            })
        };
        let (was, is) = (before.and_then(order), after.and_then(order));
        if was != is {
            was.iter().try_for_each(|was| tx.remove::<LineOrder>(was))?;
            is.iter().try_for_each(|is| tx.save::<LineOrder>(is, &table::PlaceRow {}))?;
        }
        match after {
            Some(after) => tx.save::<Lines>(&key, after),
            None => {
                tx.clear(line_count_key(self.kind(), destination))?;
                tx.remove::<Lines>(&key)
            }
        }
    }
}

/// The place behind which to look for the next one.
fn behind(probed: Option<PlaceRecord>, kind: crate::Kind, destination: &str) -> Option<PlaceKey> {
    probed.map(|place| PlaceKey {
        kind,
        destination: destination.to_owned(),
        since: place.since,
        id: EntryId(place.id),
        leg: place.leg,
    })
}
