//! The rows of lines. Only queues whose destinations matter have any.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table, after_key};

use super::LineRecord;
use crate::EntryId;
use crate::clock::Moment;
use crate::service::Kind;
use crate::table::{LegKey, reader, table};

/// How many parts the order of lines by their next time is cut into.
pub(crate) const LINE_SHARDS: u8 = 4;

/// A row that says all by being there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PlaceRow {}

/// `h` destination: the line of a destination.
pub(crate) enum Lines {}

impl Lines {
    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'h').range()
    }

    /// All lines behind that of a destination, in the order of their names.
    pub(crate) fn after(kind: Kind, destination: Option<&str>) -> KeyRange {
        let mut range = Self::all(kind);
        if let Some(destination) = destination {
            range.begin = after_key(&Self::key(&(kind, destination.to_owned())));
        }
        range
    }
}

impl Table for Lines {
    type Key = (Kind, String);
    type Record = LineRecord;
    const NAME: &'static str = "line of a destination";

    fn key((kind, destination): &(Kind, String)) -> Bytes {
        table(*kind, b'h').text(destination).done()
    }

    fn parse(key: &[u8]) -> Option<(Kind, String)> {
        let (kind, mut rest) = reader(key, b'h')?;
        let destination = rest.text()?.to_owned();
        rest.end().map(|()| (kind, destination))
    }
}

/// `r` shard, next, destination: when somebody is handed some of a line.
pub(crate) enum LineOrder {}

/// Names a row of [`LineOrder`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct LineOrderKey {
    pub(crate) kind: Kind,
    pub(crate) next: Moment,
    pub(crate) destination: String,
}

impl LineOrder {
    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'r').range()
    }

    pub(crate) fn shard(kind: Kind, shard: u8) -> KeyRange {
        table(kind, b'r').u8(shard).range()
    }

    /// The lines of a shard whose time has come.
    pub(crate) fn until(kind: Kind, shard: u8, until: Moment) -> KeyRange {
        let shard = table(kind, b'r').u8(shard);
        let begin = shard.clone().done();
        KeyRange { begin, end: shard.u64(until.0.saturating_add(1)).done() }
    }
}

/// Any fixed function of the name would do, so long as every release computes the same.
fn shard(destination: &str) -> u8 {
    destination.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % LINE_SHARDS
}

impl Table for LineOrder {
    type Key = LineOrderKey;
    type Record = PlaceRow;
    const NAME: &'static str = "next time of a line";

    fn key(key: &LineOrderKey) -> Bytes {
        let start = table(key.kind, b'r').u8(shard(&key.destination)).u64(key.next.0);
        start.text(&key.destination).done()
    }

    fn parse(key: &[u8]) -> Option<LineOrderKey> {
        let (kind, mut rest) = reader(key, b'r')?;
        rest.u8()?;
        let next = Moment(rest.u64()?);
        let parsed = LineOrderKey { kind, next, destination: rest.text()?.to_owned() };
        rest.end().map(|()| parsed)
    }
}

/// `p` destination, since, id, leg: who stands in a line, the oldest first.
pub(crate) enum Places {}

/// Names a row of [`Places`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PlaceKey {
    pub(crate) kind: Kind,
    pub(crate) destination: String,
    /// When the leg's time began.
    pub(crate) since: Moment,
    pub(crate) id: EntryId,
    pub(crate) leg: u16,
}

impl PlaceKey {
    pub(crate) const fn leg_key(&self) -> LegKey {
        (self.kind, self.id, self.leg)
    }
}

impl Places {
    pub(crate) fn all(kind: Kind) -> KeyRange {
        table(kind, b'p').range()
    }

    pub(crate) fn of(kind: Kind, destination: &str) -> KeyRange {
        table(kind, b'p').text(destination).range()
    }
}

impl Table for Places {
    type Key = PlaceKey;
    type Record = PlaceRow;
    const NAME: &'static str = "place in a line";

    fn key(key: &PlaceKey) -> Bytes {
        let start = table(key.kind, b'p').text(&key.destination).u64(key.since.0);
        start.bytes(&key.id.0).bytes(&key.leg.to_be_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<PlaceKey> {
        let (kind, mut rest) = reader(key, b'p')?;
        let destination = rest.text()?.to_owned();
        let since = Moment(rest.u64()?);
        let (id, leg) = (EntryId(rest.take()?), u16::from_be_bytes(rest.take()?));
        rest.end().map(|()| PlaceKey { kind, destination, since, id, leg })
    }
}

/// `c` destination: how many stand in its line, a counter of [`store::kv::counter`].
pub(crate) fn line_count_key(kind: Kind, destination: &str) -> Bytes {
    table(kind, b'c').text(destination).done()
}

/// All rows of [`line_count_key`].
pub(crate) fn line_counts(kind: Kind) -> KeyRange {
    table(kind, b'c').range()
}

/// The destination in a [`line_count_key`].
pub(crate) fn counted_line(key: &[u8]) -> Option<&str> {
    let (_, mut rest) = reader(key, b'c')?;
    rest.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let destination = "mx.example".to_owned();
        let line = (Kind::Outbound, destination.clone());
        assert_eq!(Lines::parse(&Lines::key(&line)), Some(line));
        let (kind, next) = (Kind::Outbound, Moment(0x00ff_0000));
        let order = LineOrderKey { kind, next, destination: destination.clone() };
        assert_eq!(LineOrder::parse(&LineOrder::key(&order)), Some(order));
        let place = PlaceKey { kind, destination, since: next, id: EntryId([0; 8]), leg: 256 };
        assert_eq!(Places::parse(&Places::key(&place)), Some(place.clone()));
        assert!(Places::of(kind, "mx.example").contains(&Places::key(&place)));
        assert!(!Places::of(kind, "mx.exampl").contains(&Places::key(&place)));
        assert_eq!(counted_line(&line_count_key(kind, "mx.example")), Some("mx.example"));
        let longest = PlaceKey { destination: "a".repeat(255), ..place };
        assert!(Places::key(&longest).len() < 512);
    }
}
