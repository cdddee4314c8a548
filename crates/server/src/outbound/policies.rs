//! MTA-STS policies that outlive the process: what a domain has once asked for holds for as long as it said, also for a
//! node that was started a minute ago and cannot reach the domain's web server (RFC 8461 §5.1, fault 71).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dns::Name;
use minicbor::{Decode, Encode};
use relay::{Fetched, StsCache, StsMode, StsPolicy};
use store::kv::{self, KeyRange, KeyReader, KeyWriter, Kv, Range, Table, after_key, counter};
use types::Timestamp;

/// Domains whose policy is kept, at most: those that came first, so that nobody pushes out what others rely on.
const MOST: i64 = 50_000;
/// Rows that are looked at in one transaction when what is over is removed.
const ROWS: usize = 500;

/// `s`, `p`, domain: the policy of a domain.
enum Policies {}

/// A policy as it was fetched.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
struct PolicyRecord {
    /// The id in DNS that announced it.
    #[n(0)]
    id: String,
    #[n(1)]
    mode: Mode,
    /// How long it holds, in seconds from when it was fetched.
    #[n(2)]
    max_age: u64,
    /// The hosts that it names.
    #[n(3)]
    mx: Vec<String>,
    /// When it was fetched.
    #[n(4)]
    at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
enum Mode {
    #[n(0)]
    None,
    #[n(1)]
    Testing,
    #[n(2)]
    Enforce,
}

impl Policies {
    fn all() -> KeyRange {
        KeyWriter::new(b"sp").range()
    }

    /// How many there are.
    fn count() -> Bytes {
        KeyWriter::new(b"sc").done()
    }
}

impl Table for Policies {
    type Key = String;
    type Record = PolicyRecord;
    const NAME: &'static str = "MTA-STS policy";

    fn key(domain: &String) -> Bytes {
        KeyWriter::new(b"sp").bytes(domain.as_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<String> {
        let reader = KeyReader::new(key, b"sp")?;
        String::from_utf8(reader.rest().to_vec()).ok()
    }
}

impl PolicyRecord {
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.at) >= Duration::from_secs(self.max_age)
    }
}

impl From<Fetched> for PolicyRecord {
    fn from(fetched: Fetched) -> Self {
        let mode = match fetched.policy.mode {
            StsMode::None => Mode::None,
            StsMode::Testing => Mode::Testing,
            StsMode::Enforce => Mode::Enforce,
        };
        let max_age = fetched.policy.max_age.as_secs();
        Self { id: fetched.id, mode, max_age, mx: fetched.policy.mx, at: fetched.at }
    }
}

impl From<PolicyRecord> for Fetched {
    fn from(record: PolicyRecord) -> Self {
        let mode = match record.mode {
            Mode::None => StsMode::None,
            Mode::Testing => StsMode::Testing,
            Mode::Enforce => StsMode::Enforce,
        };
        let policy = StsPolicy { mode, max_age: Duration::from_secs(record.max_age), mx: record.mx };
        Self { id: record.id, policy, at: record.at }
    }
}

/// Policies in the store.
pub(super) struct StoredPolicies(pub(super) Kv);

impl StoredPolicies {
    /// Keeps a policy, unless there are as many already. Whether it did.
    async fn keep(&self, domain: &String, record: &PolicyRecord, most: i64) -> Result<bool, kv::Error> {
        self.0
            .run(|tx| async move {
                if tx.load::<Policies>(domain).await?.is_none() {
                    let count = tx.snapshot_get(Policies::count()).await?;
                    if count.is_some_and(|count| counter(&count) >= most) {
                        return Ok(false);
                    }
                    tx.add(Policies::count(), 1)?;
                }
                tx.save::<Policies>(domain, record)?;
                Ok(true)
            })
            .await
    }
}

#[async_trait]
impl StsCache for StoredPolicies {
    async fn load(&self, domain: &Name) -> Option<Fetched> {
        let key = &domain.to_string();
        let found: Result<_, kv::Error> =
            self.0.run(|tx| async move { tx.snapshot_load::<Policies>(key).await }).await;
        found
            .map_err(
                |error| tracing::warn!(%domain, %error, "the MTA-STS policy that is known cannot be read"),
            )
            .ok()
            .flatten()
            .map(Fetched::from)
    }

    async fn store(&self, domain: &Name, fetched: Fetched) {
        let (key, record) = (&domain.to_string(), &PolicyRecord::from(fetched));
        match self.keep(key, record, MOST).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(%domain, "an MTA-STS policy is not kept: there are too many already"),
            Err(error) => {
                tracing::warn!(%domain, %error, "an MTA-STS policy cannot be kept; it is fetched again");
            }
        }
    }
}

/// Removes policies whose time is over. Returns how many there were.
pub(crate) async fn trim(kv: &Kv, now: Timestamp) -> Result<usize, kv::Error> {
    let (mut rest, mut removed) = (Policies::all(), 0);
    loop {
        let range = &rest;
        let (last, gone) = kv
            .run(|tx| async move {
                let rows = tx.rows::<Policies>(Range::new(range.clone()).limit(ROWS)).all().await?;
                let mut gone: usize = 0;
                for (domain, _) in rows.iter().filter(|(_, record)| record.is_over(now)) {
                    tx.remove::<Policies>(domain)?;
                    gone += 1;
                }
                if gone > 0 {
                    tx.add(Policies::count(), -i64::try_from(gone).unwrap_or(0))?;
                }
                let last = rows.last().filter(|_| rows.len() == ROWS).map(|(domain, _)| domain.clone());
                Ok::<_, kv::Error>((last, gone))
            })
            .await?;
        removed += gone;
        let Some(last) = last else { return Ok(removed) };
        rest.begin = after_key(&Policies::key(&last));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::kv::Memory;
    use types::Clock;

    use super::*;

    fn policy(max_age: u64, at: u64) -> Fetched {
        let policy = StsPolicy {
            mode: StsMode::Enforce,
            max_age: Duration::from_secs(max_age),
            mx: vec!["mx.a.test".to_owned()],
        };
        Fetched { id: "1".to_owned(), policy, at: Timestamp(at) }
    }

    #[tokio::test]
    async fn fault_71_a_policy_outlives_the_process_and_no_more_than_its_time() {
        let (clock, _hand) = Clock::manual(Timestamp(1_000_000));
        let kv = Kv::new(Arc::new(Memory::new()), clock);
        let names = ["a.test", "b.test"].map(|name| Name::parse(name).unwrap());
        for (name, max_age) in names.iter().zip([10, 1_000]) {
            StoredPolicies(kv.clone()).store(name, policy(max_age, 1_000_000)).await;
        }
        // Another process.
        let cache = StoredPolicies(kv.clone());
        assert_eq!(cache.load(&names[0]).await, Some(policy(10, 1_000_000)));
        assert_eq!(trim(&kv, Timestamp(1_009_999)).await, Ok(0));
        assert_eq!(trim(&kv, Timestamp(1_010_000)).await, Ok(1));
        assert_eq!(cache.load(&names[0]).await, None);
        assert_eq!(cache.load(&names[1]).await, Some(policy(1_000, 1_000_000)));
    }

    #[tokio::test]
    async fn there_is_an_end_to_the_domains_whose_policy_is_kept() {
        let (clock, _hand) = Clock::manual(Timestamp(1_000_000));
        let cache = StoredPolicies(Kv::new(Arc::new(Memory::new()), clock));
        let keep = async |name: &str, max_age| {
            cache.keep(&name.to_owned(), &policy(max_age, 1_000_000).into(), 2).await.unwrap()
        };
        assert!(keep("a.test", 10).await && keep("b.test", 1_000).await);
        assert!(!keep("c.test", 1_000).await);
        assert!(keep("a.test", 10).await, "it has its place");
        assert_eq!(trim(&cache.0, Timestamp(1_010_000)).await, Ok(1));
        assert!(keep("c.test", 1_000).await);
        assert!(!keep("d.test", 1_000).await);
    }

    /// Fields of later releases are skipped.
    #[test]
    fn a_row_of_another_release_is_read() {
        let bytes = [
            0xa6, 0x00, 0x61, 0x31, 0x01, 0x02, 0x02, 0x0a, 0x03, 0x81, 0x61, 0x6d, 0x04, 0x07, 0x18, 0x63,
            0x61, 0x78,
        ];
        let record: PolicyRecord = minicbor::decode(&bytes).unwrap();
        assert_eq!(
            (record.id.as_str(), record.mode, record.max_age, record.at),
            ("1", Mode::Enforce, 10, Timestamp(7))
        );
    }
}
