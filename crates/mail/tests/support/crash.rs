//! Deliveries that can be audited after a crash: each one that was acknowledged is noted in a file outside, and the
//! audit looks for everything that the file knows.
//!
//! The file is text, a line each: account, UID, size and BLAKE3 of the message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use mail::{Delivery, Mail, MailOptions, Quota};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::blob::{Blobs, BlobsOptions, Segments, SegmentsOptions};
use store::bus::Bus;
use store::kv::{Embedded, EmbeddedOptions, Kv};
use types::{AccountId, Clock, Keywords, MailboxId, Uid};

use super::letter::{Letter, noise};

const ACCOUNTS: u64 = 6;
/// Attachments that many messages carry.
const SHARED: u64 = 5;

/// The stores of one data directory.
#[derive(Clone)]
pub struct Stores {
    mail: Mail,
    blobs: Blobs,
    clock: Clock,
}

/// An acknowledged delivery.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Acknowledged {
    pub account: AccountId,
    pub uid: Uid,
    pub size: u64,
    pub hash: String,
}

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    pub acknowledged: usize,
    pub stored: usize,
    /// Acknowledged deliveries that are not there, or not as they came.
    pub lost: Vec<String>,
    /// Messages that are there more than once, and whatever the verifications found.
    pub wrong: Vec<String>,
}

impl Stores {
    pub fn open(directory: &Path) -> Result<Self, String> {
        let clock = Clock::system();
        let engine = Embedded::open(&directory.join("kv"), EmbeddedOptions::default()).map_err(text)?;
        let segments = SegmentsOptions { segment_bytes: 4 << 20, ..SegmentsOptions::default() };
        let segments = Segments::open(&directory.join("blobs"), clock.clone(), segments).map_err(text)?;
        let kv = Kv::new(Arc::new(engine), clock.clone());
        let options = BlobsOptions { spool: directory.to_owned(), ..BlobsOptions::default() };
        let blobs = Blobs::new(kv.clone(), Arc::new(segments), clock.clone(), options);
        let bus = Bus::in_process(clock.clone());
        let mail = Mail::new(kv, blobs.clone(), bus, clock.clone(), MailOptions::default());
        Ok(Self { mail, blobs, clock })
    }

    /// Delivers from `tasks` tasks and notes what was acknowledged, until an error.
    pub async fn deliver(&self, acks: Arc<AckFile>, tasks: u64, seed: u64) -> Result<(), String> {
        let mut writers = tokio::task::JoinSet::new();
        for task in 0..tasks {
            let (stores, acks) = (self.clone(), acks.clone());
            writers.spawn(async move {
                for number in 0_u64.. {
                    stores.deliver_one(&acks, seed, task, number).await?;
                }
                Ok::<_, String>(())
            });
        }
        match writers.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(()),
        }
    }

    async fn deliver_one(&self, acks: &AckFile, seed: u64, task: u64, number: u64) -> Result<(), String> {
        let mut rng = StdRng::seed_from_u64(seed ^ (task << 48) ^ number);
        let raw = letter(&mut rng, &format!("{seed}.{task}"), number);
        let hash = blake3::hash(&raw).to_hex().to_string();
        let message = self.mail.ingest(raw).await.map_err(text)?;
        let first = rng.random_range(0..ACCOUNTS);
        let recipients = (0..rng.random_range(1..=3)).map(|n| AccountId(1 + (first + n) % ACCOUNTS));
        let deliveries: Vec<Delivery> = recipients
            .map(|account| Delivery {
                account,
                mailbox: MailboxId::INBOX,
                keywords: Keywords::new(),
                received: self.clock.now(),
                quota: Quota::default(),
                id: None,
                reports_on: None,
                answer_to: None,
            })
            .collect();
        let results = self.mail.deliver(&message, &deliveries).await;
        for (delivery, result) in deliveries.iter().zip(results) {
            let uid = result.map_err(text)?.uid;
            let (account, size, hash) = (delivery.account, message.size(), hash.clone());
            acks.note(&Acknowledged { account, uid, size, hash }).map_err(text)?;
        }
        Ok(())
    }

    /// Compares the stores with what was acknowledged.
    pub async fn audit(&self, acknowledged: &[Acknowledged]) -> Result<Audit, String> {
        let mut audit = Audit { acknowledged: acknowledged.len(), ..Audit::default() };
        for account in (1..=ACCOUNTS).map(AccountId) {
            let acknowledged: Vec<&Acknowledged> =
                acknowledged.iter().filter(|a| a.account == account).collect();
            self.audit_account(account, &acknowledged, &mut audit).await?;
            let findings = self.mail.verify(account).await.map_err(text)?;
            audit.wrong.extend(findings.iter().map(|finding| format!("account {account}: {finding}")));
        }
        let wrong = &mut audit.wrong;
        self.blobs.verify(true, |finding| wrong.push(finding.to_string())).await.map_err(text)?;
        Ok(audit)
    }

    async fn audit_account(
        &self,
        account: AccountId,
        acknowledged: &[&Acknowledged],
        audit: &mut Audit,
    ) -> Result<(), String> {
        let all = self.mail.members(account, MailboxId::INBOX, Uid(1), Uid(u32::MAX), usize::MAX);
        let all = all.await.map_err(text)?;
        audit.stored += all.len();
        let mut stored: BTreeMap<Uid, Acknowledged> = BTreeMap::new();
        let mut hashes = BTreeSet::new();
        for member in all {
            let source = self.mail.source(account, member.email).await.map_err(text)?;
            let raw = source.read(0..u64::MAX).await.map_err(text)?;
            let (uid, size) = (member.uid, raw.len() as u64);
            let hash = blake3::hash(&raw).to_hex().to_string();
            if !hashes.insert(hash.clone()) {
                audit.wrong.push(format!("account {account}, UID {uid}: the message is there twice"));
            }
            stored.insert(uid, Acknowledged { account, uid, size, hash });
        }
        let lost = acknowledged.iter().filter(|wanted| stored.get(&wanted.uid) != Some(**wanted));
        audit.lost.extend(lost.map(ToString::to_string));
        let distinct: BTreeSet<Uid> = acknowledged.iter().map(|a| a.uid).collect();
        if distinct.len() != acknowledged.len() {
            audit.wrong.push(format!("account {account}: a UID was acknowledged twice"));
        }
        Ok(())
    }
}

/// Mostly short, some with attachments that others have too, some with their own; often an answer.
fn letter(rng: &mut StdRng, sender: &str, number: u64) -> Bytes {
    let mut letter =
        Letter::new(&format!("{sender}.{number}"), "Re: load").text(rng.random_range(50..12_000));
    if number > 0 && rng.random_bool(0.5) {
        letter = letter.reply_to(&[&format!("{sender}.{}", number - 1 - rng.random_range(0..number.min(3)))]);
    }
    match rng.random_range(0..10) {
        0 => letter = letter.text(rng.random_range(20_000..300_000)),
        1 | 2 => {
            let shared = rng.random_range(0..SHARED);
            letter = letter.attach(noise(shared, 30_000 + 20_000 * usize::try_from(shared).unwrap_or(0)));
        }
        3 => letter = letter.attach(noise(rng.random(), rng.random_range(24_000..150_000))),
        _ => {}
    }
    letter.write()
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.account, self.uid, self.size, self.hash)
    }
}

impl FromStr for Acknowledged {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parsed = match line.split(' ').collect::<Vec<_>>()[..] {
            [account, uid, size, hash] => {
                account.parse().ok().zip(uid.parse().ok()).zip(size.parse().ok()).map(
                    |((account, uid), size)| Self {
                        account: AccountId(account),
                        uid: Uid(uid),
                        size,
                        hash: hash.to_owned(),
                    },
                )
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
    pub fn note(&self, acknowledged: &Acknowledged) -> io::Result<()> {
        (&self.0).write_all(format!("{acknowledged}\n").as_bytes())
    }

    /// Reads a file. A last line without an end is one whose writer was killed over it.
    pub fn read(path: &Path) -> Result<Vec<Acknowledged>, String> {
        let lines = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        lines.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::parse).collect()
    }
}
