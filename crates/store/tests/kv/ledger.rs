//! A book of commits that can be audited after a crash. Several tasks append entries to a store; each entry that
//! was acknowledged is also written to a file outside, on a disk that does not fail. The audit then asks the
//! store for everything that the file knows, and for what must hold whatever the file knows.
//!
//! The acknowledgement file is text, a line each: what was written, its place, its checksum. `kv 3 17 9f86d081`
//! is entry 17 of task 3. More kinds of things to write are more first words.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use store::kv::{
    Embedded, EmbeddedOptions, Error, KeyRange, KeyReader, KeyWriter, Kv, OpenError, Range, Transaction,
    after_key, counter,
};
use types::Clock;

const ENTRY: &[u8] = b"entry/";
const HEAD: &[u8] = b"head/";
const TOTAL: &[u8] = b"total";

/// The store under test.
#[derive(Clone)]
pub struct Ledger {
    kv: Kv,
}

/// An acknowledged commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    pub task: u32,
    pub number: u64,
    pub checksum: u32,
}

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    pub entries: u64,
    pub acknowledged: u64,
    /// Acknowledged entries that are not there, or not as they were written.
    pub lost: Vec<Acknowledged>,
    /// Traces of transactions of which only a part is there.
    pub torn: Vec<String>,
}

impl Ledger {
    /// Opens the store in `directory`.
    pub fn open(directory: &Path, sync: bool) -> Result<Self, OpenError> {
        let options = EmbeddedOptions { sync, ..EmbeddedOptions::default() };
        let engine = Arc::new(Embedded::open(directory, options)?);
        Ok(Self { kv: Kv::new(engine, Clock::system()) })
    }

    /// Appends the next entry of a task, with its traces, in one transaction.
    pub async fn append(&self, task: u32) -> Result<Acknowledged, Error> {
        self.kv
            .run(|tx| async move {
                let head = KeyWriter::new(HEAD).u32(task).done();
                let number = tx.get(head.clone()).await?.map_or(0, |value| counter(&value) as u64) + 1;
                let content = content(task, number);
                let checksum = crc32fast::hash(&content);
                tx.set(entry(task, number), content)?;
                tx.set(head, number.to_le_bytes().to_vec())?;
                tx.add(TOTAL, 1)?;
                Ok(Acknowledged { task, number, checksum })
            })
            .await
    }

    /// Compares the store with what was acknowledged.
    pub async fn audit(&self, acknowledged: &[Acknowledged]) -> Result<Audit, Error> {
        let mut audit = Audit { acknowledged: acknowledged.len() as u64, ..Audit::default() };
        let mut per_task: BTreeMap<u32, u64> = BTreeMap::new();
        let mut checksums = BTreeMap::new();
        let mut rest = KeyRange::prefix(ENTRY);
        // Nobody writes meanwhile, so several transactions see the same.
        loop {
            let rows = self.kv.read().await?.range(Range::new(rest.clone()).limit(1000)).all().await?;
            let Some((last, _)) = rows.last() else { break };
            rest.begin = after_key(last);
            for (key, value) in rows {
                let Some((task, number)) = parse(&key) else {
                    audit.torn.push(format!("a key that nobody wrote: {key:?}"));
                    continue;
                };
                audit.entries += 1;
                checksums.insert((task, number), crc32fast::hash(&value));
                let last = per_task.entry(task).or_default();
                if number != *last + 1 {
                    audit.torn.push(format!("task {task}: entry {last} is followed by {number}"));
                }
                *last = number;
            }
        }
        audit.lost = acknowledged
            .iter()
            .filter(|a| checksums.get(&(a.task, a.number)) != Some(&a.checksum))
            .copied()
            .collect();
        self.audit_traces(&self.kv.read().await?, &per_task, &mut audit).await?;
        Ok(audit)
    }

    async fn audit_traces(
        &self,
        tx: &Transaction,
        per_task: &BTreeMap<u32, u64>,
        audit: &mut Audit,
    ) -> Result<(), Error> {
        let total = tx.get(TOTAL).await?.map_or(0, |value| counter(&value) as u64);
        if total != audit.entries {
            audit.torn.push(format!("{} entries, but {total} were counted", audit.entries));
        }
        let heads = tx.range(Range::prefix(HEAD)).all().await?;
        let heads: BTreeMap<u32, u64> = heads
            .iter()
            .filter_map(|(key, value)| Some((KeyReader::new(key, HEAD)?.u32()?, counter(value) as u64)))
            .collect();
        if &heads != per_task {
            audit.torn.push(format!("the heads are {heads:?}, but the last entries are {per_task:?}"));
        }
        Ok(())
    }
}

fn entry(task: u32, number: u64) -> Bytes {
    KeyWriter::new(ENTRY).u32(task).u64(number).done()
}

fn parse(key: &[u8]) -> Option<(u32, u64)> {
    let mut reader = KeyReader::new(key, ENTRY)?;
    let parsed = (reader.u32()?, reader.u64()?);
    reader.end().map(|()| parsed)
}

/// What an entry holds: mostly little, now and then much.
fn content(task: u32, number: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(u64::from(task) << 40 | number);
    let length = if rng.random_range(0..20) == 0 {
        rng.random_range(10_000..60_000)
    } else {
        rng.random_range(10..2000)
    };
    let mut content = vec![0; length];
    rng.fill_bytes(&mut content);
    content
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kv {} {} {:08x}", self.task, self.number, self.checksum)
    }
}

impl FromStr for Acknowledged {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let fields: Vec<_> = line.split(' ').collect();
        let parsed = match fields[..] {
            ["kv", task, number, checksum] => {
                task.parse().ok().zip(number.parse().ok()).and_then(|(task, number)| {
                    Some(Self { task, number, checksum: u32::from_str_radix(checksum, 16).ok()? })
                })
            }
            _ => None,
        };
        parsed.ok_or_else(|| format!("not an acknowledgement: {line:?}"))
    }
}

/// The file outside.
pub struct AckFile(File);

impl AckFile {
    /// Opens the file to append to it.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    /// Notes an acknowledgement. One write call: a kill leaves the line whole or absent, or it is the last one.
    pub fn note(&self, acknowledged: Acknowledged) -> io::Result<()> {
        (&self.0).write_all(format!("{acknowledged}\n").as_bytes())
    }

    /// Reads a file. A last line without an end is one whose writer was killed over it.
    pub fn read(path: &Path) -> Result<Vec<Acknowledged>, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::parse).collect()
    }
}

/// Appends from `tasks` tasks and notes what was acknowledged, until an error.
pub async fn write(ledger: Ledger, acks: Arc<AckFile>, tasks: u32) -> Result<(), String> {
    let mut writers = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (ledger, acks) = (ledger.clone(), acks.clone());
        writers.spawn(async move {
            loop {
                let acknowledged = ledger.append(task).await.map_err(|error| error.to_string())?;
                acks.note(acknowledged).map_err(|error| error.to_string())?;
            }
        });
    }
    match writers.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(()),
    }
}
