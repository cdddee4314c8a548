//! The rows of reports. All keys begin with `r` and the letter of the table.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::Timestamp;

use crate::day::Day;
use crate::observed::{DmarcRow, PublishedPolicy, TlsDay};
use crate::received::Received;

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// Whether mail could be brought to a domain over TLS (RFC 8460).
    #[n(0)]
    Tls,
    /// Whether mail in a domain's name was its own (RFC 9990).
    #[n(1)]
    Dmarc,
}

impl Kind {
    /// Its name, for operators and for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Dmarc => "dmarc",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Tls, Self::Dmarc].into_iter().find(|kind| kind.as_str() == name)
    }

    const fn letter(self) -> u8 {
        match self {
            Self::Tls => b't',
            Self::Dmarc => b'd',
        }
    }

    const fn of_letter(letter: u8) -> Option<Self> {
        match letter {
            b't' => Some(Self::Tls),
            b'd' => Some(Self::Dmarc),
            _ => None,
        }
    }
}

fn table(letter: u8) -> KeyWriter {
    KeyWriter::new(b"r").u8(letter)
}

fn reader(key: &[u8], letter: u8) -> Option<KeyReader<'_>> {
    let mut reader = KeyReader::new(key, b"r")?;
    (reader.u8()? == letter).then_some(reader)
}

fn domain_key(letter: u8, (day, domain): &(Day, String)) -> KeyWriter {
    table(letter).u32(day.0).text(domain)
}

fn domain_of(rest: &mut KeyReader<'_>) -> Option<(Day, String)> {
    Some((Day(rest.u32()?), rest.text()?.to_owned()))
}

/// All rows of a table up to a day, without it.
fn before(letter: u8, day: Day) -> KeyRange {
    KeyRange { begin: table(letter).done(), end: table(letter).u32(day.0).done() }
}

/// `t` day, domain: how TLS went on the way to a domain.
pub(crate) enum TlsDays {}

impl TlsDays {
    pub(crate) fn before(day: Day) -> KeyRange {
        before(b't', day)
    }
}

impl Table for TlsDays {
    type Key = (Day, String);
    type Record = TlsDay;
    const NAME: &'static str = "observed TLS";

    fn key(key: &Self::Key) -> Bytes {
        domain_key(b't', key).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut rest = reader(key, b't')?;
        let key = domain_of(&mut rest)?;
        rest.end().map(|()| key)
    }
}

/// `p` day, domain: the policy by which mail in a domain's name was judged.
pub(crate) enum DmarcDays {}

/// What is known of a domain's day besides the rows.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DmarcDay {
    #[n(0)]
    pub(crate) policy: PublishedPolicy,
    /// How many rows there are.
    #[n(1)]
    #[cbor(default)]
    pub(crate) rows: u32,
    /// Messages for which there was no row any more.
    #[n(2)]
    #[cbor(default)]
    pub(crate) dropped: u64,
}

impl DmarcDays {
    pub(crate) fn before(day: Day) -> KeyRange {
        before(b'p', day)
    }
}

impl Table for DmarcDays {
    type Key = (Day, String);
    type Record = DmarcDay;
    const NAME: &'static str = "observed DMARC policy";

    fn key(key: &Self::Key) -> Bytes {
        domain_key(b'p', key).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut rest = reader(key, b'p')?;
        let key = domain_of(&mut rest)?;
        rest.end().map(|()| key)
    }
}

/// `d` day, domain, hash: messages in a domain's name that came to the same.
pub(crate) enum DmarcRows {}

/// A row and how many messages it stands for.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct CountedRow {
    #[n(0)]
    pub(crate) row: DmarcRow,
    #[n(1)]
    pub(crate) count: u64,
}

/// Names a row: the day, the domain and the hash of what the row says.
pub(crate) type RowKey = (Day, String, [u8; 16]);

impl DmarcRows {
    pub(crate) fn of(day: Day, domain: &str) -> KeyRange {
        domain_key(b'd', &(day, domain.to_owned())).range()
    }

    pub(crate) fn before(day: Day) -> KeyRange {
        before(b'd', day)
    }
}

impl Table for DmarcRows {
    type Key = RowKey;
    type Record = CountedRow;
    const NAME: &'static str = "observed DMARC results";

    fn key((day, domain, hash): &RowKey) -> Bytes {
        domain_key(b'd', &(*day, domain.clone())).bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<RowKey> {
        let mut rest = reader(key, b'd')?;
        let (day, domain) = domain_of(&mut rest)?;
        let key = (day, domain, rest.take()?);
        rest.end().map(|()| key)
    }
}

/// `u` due, kind, day, domain: a report that is to be sent, and when somebody looks at it: its time has come, or who
/// had it was not heard of.
pub(crate) enum Dues {}

/// Names a row of [`Dues`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DueKey {
    pub(crate) due: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) day: Day,
    pub(crate) domain: String,
}

/// Who has it, if anybody.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct DueRow {
    #[n(0)]
    #[cbor(default)]
    pub(crate) token: u64,
    /// How often somebody had it.
    #[n(1)]
    #[cbor(default)]
    pub(crate) tries: u32,
}

impl Dues {
    pub(crate) fn until(now: Timestamp) -> KeyRange {
        let end = table(b'u').u64(now.0.saturating_add(1)).done();
        KeyRange { begin: table(b'u').done(), end }
    }
}

impl Table for Dues {
    type Key = DueKey;
    type Record = DueRow;
    const NAME: &'static str = "report to be sent";

    fn key(key: &DueKey) -> Bytes {
        table(b'u').u64(key.due.0).u8(key.kind.letter()).u32(key.day.0).text(&key.domain).done()
    }

    fn parse(key: &[u8]) -> Option<DueKey> {
        let mut rest = reader(key, b'u')?;
        let (due, kind) = (Timestamp(rest.u64()?), Kind::of_letter(rest.u8()?)?);
        let (day, domain) = domain_of(&mut rest)?;
        rest.end().map(|()| DueKey { due, kind, day, domain })
    }
}

/// `s` day, kind, domain: a report that needs nothing more, so that nothing that comes late makes another of it.
pub(crate) enum Settleds {}

/// What became of it, in words.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SettledRow {
    #[n(0)]
    pub(crate) at: Timestamp,
    #[n(1)]
    #[cbor(default)]
    pub(crate) what: String,
}

impl Settleds {
    pub(crate) fn before(day: Day) -> KeyRange {
        before(b's', day)
    }
}

impl Table for Settleds {
    type Key = (Day, Kind, String);
    type Record = SettledRow;
    const NAME: &'static str = "settled report";

    fn key((day, kind, domain): &Self::Key) -> Bytes {
        table(b's').u32(day.0).u8(kind.letter()).text(domain).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut rest = reader(key, b's')?;
        let (day, kind) = (Day(rest.u32()?), Kind::of_letter(rest.u8()?)?);
        let key = (day, kind, rest.text()?.to_owned());
        rest.end().map(|()| key)
    }
}

/// `r` day, hash: a report that others have sent on a domain of ours, by the day on which it ends.
pub(crate) enum Receiveds {}

impl Receiveds {
    pub(crate) fn all() -> KeyRange {
        table(b'r').range()
    }

    pub(crate) fn since(day: Day) -> KeyRange {
        KeyRange { begin: table(b'r').u32(day.0).done(), end: Self::all().end }
    }

    pub(crate) fn before(day: Day) -> KeyRange {
        before(b'r', day)
    }
}

impl Table for Receiveds {
    type Key = (Day, [u8; 8]);
    type Record = Received;
    const NAME: &'static str = "received report";

    fn key((day, hash): &Self::Key) -> Bytes {
        table(b'r').u32(day.0).bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut rest = reader(key, b'r')?;
        let key = (Day(rest.u32()?), rest.take()?);
        rest.end().map(|()| key)
    }
}

/// What is counted by day, so that there is an end to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counted {
    /// Domains with observations on DMARC.
    DmarcDomains,
    /// Received reports.
    Received,
}

/// `n` day, what: a number, little-endian i64, only ever added to.
pub(crate) fn count_key(day: Day, what: Counted) -> Bytes {
    let letter = match what {
        Counted::DmarcDomains => b'd',
        Counted::Received => b'r',
    };
    table(b'n').u32(day.0).u8(letter).done()
}

/// All rows of [`count_key`] before a day.
pub(crate) fn counts_before(day: Day) -> KeyRange {
    before(b'n', day)
}
