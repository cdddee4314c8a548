//! The rows of a queue. All keys begin with `q`, the letter of the queue and the letter of the table.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::blob::Hash;
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};

use crate::EntryId;
use crate::clock::Moment;
use crate::record::{EntryRecord, LegRecord, LegState};
use crate::service::Kind;

/// How many parts the order by due time is cut into.
pub(crate) const SHARDS: u8 = 16;
/// How many rows say that something has become due earlier.
pub(crate) const WAKES: u8 = 4;

pub(crate) fn table(kind: Kind, letter: u8) -> KeyWriter {
    KeyWriter::new(b"q").u8(kind.letter()).u8(letter)
}

pub(crate) fn reader(key: &[u8], letter: u8) -> Option<(Kind, KeyReader<'_>)> {
    let mut reader = KeyReader::new(key, b"q")?;
    let kind = Kind::of_letter(reader.u8()?)?;
    (reader.u8()? == letter).then_some((kind, reader))
}

fn shard(id: EntryId) -> u8 {
    id.0[0] % SHARDS
}

/// `t`: the queue's time.
pub(crate) enum Times {}

/// The moment that has been reached at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct TimeRow {
    #[n(0)]
    pub(crate) now: Moment,
}

impl Table for Times {
    type Key = Kind;
    type Record = TimeRow;
    const NAME: &'static str = "queue time";

    fn key(kind: &Kind) -> Bytes {
        table(*kind, b't').done()
    }

    fn parse(key: &[u8]) -> Option<Kind> {
        let (kind, rest) = reader(key, b't')?;
        rest.end().map(|()| kind)
    }
}

/// `m` id: an entry, a message in the queue.
pub(crate) enum Entries {}

impl Entries {
    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'm').range()
    }
}

impl Table for Entries {
    type Key = (Kind, EntryId);
    type Record = EntryRecord;
    const NAME: &'static str = "queued message";

    fn key((kind, id): &(Kind, EntryId)) -> Bytes {
        table(*kind, b'm').bytes(&id.0).done()
    }

    fn parse(key: &[u8]) -> Option<(Kind, EntryId)> {
        let (kind, mut rest) = reader(key, b'm')?;
        let id = EntryId(rest.take()?);
        rest.end().map(|()| (kind, id))
    }
}

/// `b` id: the message itself, in the form that whoever enqueued it has given it.
pub(crate) enum Bodies {}

/// A message's bytes, or how they are put together from blobs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct BodyRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) row: Vec<u8>,
}

impl Table for Bodies {
    type Key = (Kind, EntryId);
    type Record = BodyRow;
    const NAME: &'static str = "queued body";

    fn key((kind, id): &(Kind, EntryId)) -> Bytes {
        table(*kind, b'b').bytes(&id.0).done()
    }

    fn parse(key: &[u8]) -> Option<(Kind, EntryId)> {
        let (kind, mut rest) = reader(key, b'b')?;
        let id = EntryId(rest.take()?);
        rest.end().map(|()| (kind, id))
    }
}

/// `k` id: the blobs that an entry keeps alive; no row if there are none.
pub(crate) enum Kept {}

/// Names of blobs, each once.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KeptRow {
    #[n(0)]
    pub(crate) blobs: Vec<Hash>,
}

impl Table for Kept {
    type Key = (Kind, EntryId);
    type Record = KeptRow;
    const NAME: &'static str = "blobs of a queued message";

    fn key((kind, id): &(Kind, EntryId)) -> Bytes {
        table(*kind, b'k').bytes(&id.0).done()
    }

    fn parse(key: &[u8]) -> Option<(Kind, EntryId)> {
        let (kind, mut rest) = reader(key, b'k')?;
        let id = EntryId(rest.take()?);
        rest.end().map(|()| (kind, id))
    }
}

/// `l` id, leg: a leg of an entry.
pub(crate) enum Legs {}

/// Names a leg.
pub(crate) type LegKey = (Kind, EntryId, u16);

impl Legs {
    pub(crate) fn of(kind: Kind, id: EntryId) -> KeyRange {
        table(kind, b'l').bytes(&id.0).range()
    }

    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'l').range()
    }
}

impl Table for Legs {
    type Key = LegKey;
    type Record = LegRecord;
    const NAME: &'static str = "leg of a queued message";

    fn key((kind, id, leg): &LegKey) -> Bytes {
        table(*kind, b'l').bytes(&id.0).bytes(&leg.to_be_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<LegKey> {
        let (kind, mut rest) = reader(key, b'l')?;
        let key = (kind, EntryId(rest.take()?), u16::from_be_bytes(rest.take()?));
        rest.end().map(|()| key)
    }
}

/// `d` shard, due, id, leg: when a leg is to be looked at: tried, or taken from a worker that was not heard of.
pub(crate) enum Dues {}

/// Names a row of [`Dues`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DueKey {
    pub(crate) kind: Kind,
    pub(crate) due: Moment,
    pub(crate) id: EntryId,
    pub(crate) leg: u16,
}

/// Whether a worker has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DueRow {
    #[n(0)]
    #[cbor(default)]
    pub(crate) leased: bool,
}

impl DueKey {
    pub(crate) const fn leg_key(&self) -> LegKey {
        (self.kind, self.id, self.leg)
    }
}

impl Dues {
    /// What is due in a shard up to a moment.
    pub(crate) fn until(kind: Kind, shard: u8, until: Moment) -> KeyRange {
        let shard = table(kind, b'd').u8(shard);
        let begin = shard.clone().done();
        KeyRange { begin, end: shard.u64(until.0.saturating_add(1)).done() }
    }

    pub(crate) fn shard(kind: Kind, shard: u8) -> KeyRange {
        table(kind, b'd').u8(shard).range()
    }

    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'd').range()
    }
}

impl Table for Dues {
    type Key = DueKey;
    type Record = DueRow;
    const NAME: &'static str = "due time of a queued message";

    fn key(key: &DueKey) -> Bytes {
        let start = table(key.kind, b'd').u8(shard(key.id)).u64(key.due.0);
        start.bytes(&key.id.0).bytes(&key.leg.to_be_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<DueKey> {
        let (kind, mut rest) = reader(key, b'd')?;
        rest.u8()?;
        let due = Moment(rest.u64()?);
        let parsed = DueKey { kind, due, id: EntryId(rest.take()?), leg: u16::from_be_bytes(rest.take()?) };
        rest.end().map(|()| parsed)
    }
}

/// `e` id, leg: a leg in the error queue.
pub(crate) enum Errors {}

/// A row that says all by being there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Mark {}

impl Errors {
    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'e').range()
    }
}

impl Table for Errors {
    type Key = LegKey;
    type Record = Mark;
    const NAME: &'static str = "error queue";

    fn key((kind, id, leg): &LegKey) -> Bytes {
        table(*kind, b'e').bytes(&id.0).bytes(&leg.to_be_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<LegKey> {
        let (kind, mut rest) = reader(key, b'e')?;
        let key = (kind, EntryId(rest.take()?), u16::from_be_bytes(rest.take()?));
        rest.end().map(|()| key)
    }
}

/// `n` shard, state: how many legs are in a state, a counter of [`store::kv::counter`]. Leased ones count as
/// waiting: a claim changes no counter.
pub(crate) fn count_key(kind: Kind, id: EntryId, state: LegState) -> Bytes {
    table(kind, b'n').u8(shard(id)).u8(counted_as(state)).done()
}

/// All rows of [`count_key`].
pub(crate) fn count_range(kind: Kind) -> KeyRange {
    table(kind, b'n').range()
}

/// The state in a [`count_key`].
pub(crate) fn counted_state(key: &[u8]) -> Option<u8> {
    let (_, mut rest) = reader(key, b'n')?;
    rest.u8()?;
    rest.u8()
}

/// How a state is written in a [`count_key`].
pub(crate) const fn counted_as(state: LegState) -> u8 {
    match state {
        LegState::Waiting | LegState::Leased => 0,
        LegState::Held => 2,
        LegState::Failed => 3,
    }
}

/// `w` number: counts what has become due earlier than was known, so that whoever waits can watch it.
pub(crate) fn wake_key(kind: Kind, number: u8) -> Bytes {
    table(kind, b'w').u8(number).done()
}

/// The row that an entry's becoming due changes.
pub(crate) fn wake_of(kind: Kind, id: EntryId) -> Bytes {
    wake_key(kind, id.0[1] % WAKES)
}

/// Who holds an entry's blobs. The owners of mail are 16 bytes long.
pub(crate) fn owner(kind: Kind, id: EntryId) -> [u8; 10] {
    let mut owner = [b'q'; 10];
    owner[1] = kind.letter();
    owner[2..].copy_from_slice(&id.0);
    owner
}

/// The entry that is the owner of a blob, if it is one of this queue.
pub(crate) fn owned(kind: Kind, owner: &[u8]) -> Option<EntryId> {
    let id = owner.strip_prefix(&[b'q', kind.letter()])?;
    id.try_into().ok().map(EntryId)
}
