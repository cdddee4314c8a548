//! Reports that others have sent on domains of ours: who sends in their names, and who could not reach them by TLS.

use minicbor::{CborLen, Decode, Encode};
use store::kv::{self, Range};
use thiserror::Error as ThisError;
use types::Timestamp;

use crate::Error;
use crate::day::Day;
use crate::service::Reports;
use crate::table::{Counted, Kind, Receiveds, count_key};

/// The most rows of a report on mail that are kept: the most frequent.
pub(crate) const DMARC_ROWS: usize = 250;
/// The most policies of a report on TLS that are kept.
pub(crate) const TLS_POLICIES: usize = 4;
/// The most failures of a report on TLS that are kept: the most frequent.
pub(crate) const TLS_FAILURES: usize = 100;
/// The most octets of all rows of a report.
const ROOM: usize = 80_000;

/// A report as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Received {
    /// What it is about.
    #[n(0)]
    pub kind: Kind,
    /// Who reports, as they call themselves.
    #[n(1)]
    #[cbor(default)]
    pub organization: String,
    /// Whom to ask.
    #[n(2)]
    #[cbor(default)]
    pub contact: String,
    /// What they call the report.
    #[n(3)]
    #[cbor(default)]
    pub report_id: String,
    /// The domain of ours.
    #[n(4)]
    #[cbor(default)]
    pub domain: String,
    /// From when it counts.
    #[n(5)]
    #[cbor(default)]
    pub begin: Timestamp,
    /// Until when.
    #[n(6)]
    #[cbor(default)]
    pub end: Timestamp,
    /// What became of mail.
    #[n(7)]
    pub dmarc: Option<ReceivedDmarc>,
    /// How TLS went, by policy.
    #[n(8)]
    #[cbor(default)]
    pub tls: Vec<ReceivedTls>,
    /// When it came.
    #[n(9)]
    #[cbor(default)]
    pub received: Timestamp,
    /// The domain of whoever has sent it, by `From:`.
    #[n(10)]
    #[cbor(default)]
    pub sender: String,
    /// That domain stands behind the message (DMARC). If not, anybody may have written it.
    #[n(11)]
    #[cbor(default)]
    pub proved: bool,
    /// Rows that there was no room for.
    #[n(12)]
    #[cbor(default)]
    pub left_out: u64,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            kind: Kind::Dmarc,
            organization: String::new(),
            contact: String::new(),
            report_id: String::new(),
            domain: String::new(),
            begin: Timestamp(0),
            end: Timestamp(0),
            dmarc: None,
            tls: Vec::new(),
            received: Timestamp(0),
            sender: String::new(),
            proved: false,
            left_out: 0,
        }
    }
}

/// What became of mail in the domain's name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct ReceivedDmarc {
    /// The policy that they found, as in DNS.
    #[n(0)]
    #[cbor(default)]
    pub policy: String,
    /// Messages, in all rows.
    #[n(1)]
    #[cbor(default)]
    pub messages: u64,
    /// Those that passed.
    #[n(2)]
    #[cbor(default)]
    pub passed: u64,
    /// The most frequent first.
    #[n(3)]
    #[cbor(default)]
    pub rows: Vec<ReceivedRow>,
}

/// Messages that came to the same.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct ReceivedRow {
    /// Who sent them: an address.
    #[n(0)]
    #[cbor(default)]
    pub source: String,
    /// How many.
    #[n(1)]
    #[cbor(default)]
    pub count: u64,
    /// What was done with them.
    #[n(2)]
    #[cbor(default)]
    pub disposition: String,
    /// A signature was good and aligned.
    #[n(3)]
    #[cbor(default)]
    pub dkim: bool,
    /// SPF passed and was aligned.
    #[n(4)]
    #[cbor(default)]
    pub spf: bool,
    /// The domain in `From:`.
    #[n(5)]
    #[cbor(default)]
    pub header_from: String,
    /// The domain of the envelope's sender.
    #[n(6)]
    #[cbor(default)]
    pub envelope_from: String,
    /// Why something else was done than the policy says.
    #[n(7)]
    #[cbor(default)]
    pub reasons: Vec<String>,
    /// What SPF and DKIM said, one line each.
    #[n(8)]
    #[cbor(default)]
    pub results: Vec<String>,
}

/// How TLS went under one policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct ReceivedTls {
    /// Of what kind it is: `sts`, `tlsa` or `no-policy-found`.
    #[n(0)]
    #[cbor(default)]
    pub policy: String,
    /// Its lines or records.
    #[n(1)]
    #[cbor(default)]
    pub text: Vec<String>,
    /// Sessions as it wants them.
    #[n(2)]
    #[cbor(default)]
    pub successes: u64,
    /// Others.
    #[n(3)]
    #[cbor(default)]
    pub failed: u64,
    /// The most frequent first.
    #[n(4)]
    #[cbor(default)]
    pub failures: Vec<ReceivedFailure>,
}

/// Sessions that failed in the same way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct ReceivedFailure {
    /// The word of RFC 8460 §4.3.
    #[n(0)]
    #[cbor(default)]
    pub reason: String,
    /// Who tried: an address.
    #[n(1)]
    #[cbor(default)]
    pub sender: String,
    /// The host that was called.
    #[n(2)]
    #[cbor(default)]
    pub host: String,
    /// Its address.
    #[n(3)]
    #[cbor(default)]
    pub address: String,
    /// How many.
    #[n(4)]
    #[cbor(default)]
    pub count: u64,
    /// In detail.
    #[n(5)]
    #[cbor(default)]
    pub detail: String,
}

/// Names a report that is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReportId(Day, [u8; 8]);

impl std::fmt::Display for ReportId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}{:016x}", self.0.0, u64::from_be_bytes(self.1))
    }
}

/// A text that names no report.
#[derive(Clone, PartialEq, Eq, Debug, ThisError)]
#[error("{0:?} is no report's id: `magpie report list` shows those that there are")]
pub struct ReportIdError(String);

impl std::str::FromStr for ReportId {
    type Err = ReportIdError;

    fn from_str(text: &str) -> Result<Self, ReportIdError> {
        let error = || ReportIdError(text.chars().take(40).collect());
        if text.len() != 24 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        let (day, hash) = text.split_at(8);
        let day = u32::from_str_radix(day, 16).map_err(|_| error())?;
        let hash = u64::from_str_radix(hash, 16).map_err(|_| error())?;
        Ok(Self(Day(day), hash.to_be_bytes()))
    }
}

/// What became of a report that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is kept under this id.
    New(ReportId),
    /// It was there already.
    Known(ReportId),
    /// It is about a time too long ago, or one that has not been yet.
    OutOfTime,
    /// There are as many of that day as are kept.
    Full,
}

/// Which reports to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only on this domain.
    pub domain: Option<String>,
    /// Only those that end in so many days before now.
    pub days: Option<u32>,
}

impl Received {
    /// What it is called here: the same whenever the same report comes.
    pub fn id(&self) -> ReportId {
        let mut hash = blake3::Hasher::new();
        for part in [self.kind.as_str(), &self.domain, &self.organization, &self.report_id] {
            hash.update(part.as_bytes()).update(b"\0");
        }
        hash.update(&self.begin.0.to_be_bytes()).update(&self.end.0.to_be_bytes());
        let mut name = [0; 8];
        name.copy_from_slice(&hash.finalize().as_bytes()[..8]);
        ReportId(Day::of(self.end), name)
    }

    /// Leaves rows out until the record fits into a row of the store.
    fn fit(&mut self) {
        let mut room = ROOM;
        let mut fits = |length: usize| {
            let there = room >= length;
            room = room.saturating_sub(length);
            there
        };
        for tally in &mut self.tls {
            let kept = tally.failures.iter().take_while(|failure| fits(minicbor::len(*failure))).count();
            self.left_out += (tally.failures.len() - kept) as u64;
            tally.failures.truncate(kept);
        }
        if let Some(dmarc) = &mut self.dmarc {
            let kept = dmarc.rows.iter().take_while(|row| fits(minicbor::len(*row))).count();
            self.left_out += (dmarc.rows.len() - kept) as u64;
            dmarc.rows.truncate(kept);
        }
    }
}

impl Reports {
    /// Keeps a report on a domain of ours, which whoever calls has seen to. The same report is kept once.
    ///
    /// # Errors
    /// That of the store.
    pub async fn keep(&self, mut report: Received) -> Result<Kept, Error> {
        let today = self.today();
        let id = report.id();
        let ReportId(day, _) = id;
        // Clocks and time zones differ by a day.
        if day > Day(today.0.saturating_add(1)) || day < today.earlier(self.limits().keep) {
            return Ok(Kept::OutOfTime);
        }
        report.received = self.clock().now();
        report.fit();
        let (report, limits) = (&report, self.limits());
        self.kv()
            .run(|tx| async move {
                let key = (id.0, id.1);
                if tx.load::<Receiveds>(&key).await?.is_some() {
                    return Ok(Kept::Known(id));
                }
                let counter = count_key(day, Counted::Received);
                let there = tx.snapshot_get(counter.clone()).await?.map_or(0, |value| kv::counter(&value));
                if there >= limits.received {
                    return Ok(Kept::Full);
                }
                tx.add(counter, 1)?;
                tx.save::<Receiveds>(&key, report)?;
                Ok(Kept::New(id))
            })
            .await
    }

    /// The reports that are kept, the newest first, at most so many.
    ///
    /// # Errors
    /// That of the store.
    pub async fn list(&self, filter: &Filter, most: usize) -> Result<Vec<(ReportId, Received)>, Error> {
        let range = match filter.days {
            Some(days) => Receiveds::since(self.today().earlier(days)),
            None => Receiveds::all(),
        };
        let tx = self.kv().read().await?;
        let mut rows = tx.rows::<Receiveds>(Range::new(range).reverse().snapshot());
        let mut found = Vec::new();
        while let Some(((day, hash), report)) = rows.next().await? {
            let wanted = filter.kind.is_none_or(|kind| kind == report.kind)
                && filter.domain.as_ref().is_none_or(|domain| *domain == report.domain);
            if wanted {
                found.push((ReportId(day, hash), report));
            }
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// A report that is kept.
    ///
    /// # Errors
    /// That of the store.
    pub async fn show(&self, id: ReportId) -> Result<Option<Received>, Error> {
        Ok(self.kv().read().await?.snapshot_load::<Receiveds>(&(id.0, id.1)).await?)
    }
}
