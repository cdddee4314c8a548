//! A mailbox of a million messages: what opening it, reading its end, one flag and catching up take, and how many rows
//! are read for it. `MAGPIE_BENCH_MAILBOX` says how many messages instead.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::{FlagAction, FlagChange, ImportId, ImportItem, Mail, MailOptions, Quota, Roll};
use store::blob::{Blobs, BlobsOptions, Segments, SegmentsOptions};
use store::bus::Bus;
use store::kv::{Embedded, EmbeddedOptions, Kv, Metered};
use types::{AccountId, Clock, Keyword, Keywords, MailboxId, ModSeq, Timestamp, Uid};

use crate::machine::{cpu_time, resident};

const ACCOUNT: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

/// A node on stores that others use too.
struct Node {
    mail: Mail,
    rows: Arc<Metered>,
}

impl Node {
    fn new(engine: &Arc<Metered>, directory: &Path) -> Result<Self, Box<dyn Error>> {
        let clock = Clock::system();
        let kv = Kv::new(engine.clone(), clock.clone());
        let segments = Segments::open(directory, clock.clone(), SegmentsOptions::default())?;
        let blobs = Blobs::new(kv.clone(), Arc::new(segments), clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv, blobs, Bus::in_process(clock.clone()), clock, MailOptions::default());
        Ok(Self { mail, rows: engine.clone() })
    }

    /// Does something once, and says what it took.
    async fn once<T>(
        &self,
        what: &str,
        work: impl AsyncFnOnce(&Mail) -> Result<T, Box<dyn Error>>,
    ) -> Result<T, Box<dyn Error>> {
        self.rows.take();
        let (begun, cpu) = (Instant::now(), cpu_time());
        let done = work(&self.mail).await?;
        let (took, cpu) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
        let counts = self.rows.take();
        println!(
            "  {what:44} {:10.3} ms   {:5} ms CPU   {:3} rounds   {:7} rows read   {} commits",
            took.as_secs_f64() * 1e3,
            cpu.as_millis(),
            counts.read_rounds,
            counts.rows_read,
            counts.commits
        );
        Ok(done)
    }
}

pub(crate) async fn run(directory: &Path) -> Result<(), Box<dyn Error>> {
    let emails = std::env::var("MAGPIE_BENCH_MAILBOX").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let engine = Embedded::open(&directory.join("kv"), EmbeddedOptions::default())?;
    let engine = Arc::new(Metered::new(Arc::new(engine)));
    let one = Node::new(&engine, &directory.join("one"))?;
    let two = Node::new(&engine, &directory.join("two"))?;
    fill(&one.mail, emails).await?;

    println!("\na mailbox of {emails} messages");
    let before = resident();
    let roll = one.once("SELECT, not known to the node", async |mail| current(mail).await).await?;
    let memory = resident().saturating_sub(before);
    println!(
        "  kept in memory: {} octets a message; {} MB more resident",
        roll.bytes() / roll.len().max(1),
        memory >> 20
    );
    one.once("SELECT, known", async |mail| current(mail).await).await?;
    let last: Vec<Uid> = roll.uids().range(roll.len().saturating_sub(100)..roll.len()).collect();
    let asked = last.clone();
    one.once("FETCH of the last 100: flags", async move |mail| {
        let roll = current(mail).await?;
        let mut finder = roll.finder();
        Ok(asked
            .iter()
            .filter_map(|uid| finder.find(*uid))
            .map(|entry| entry.keywords().len())
            .sum::<usize>())
    })
    .await?;
    let asked = last.clone();
    one.once("FETCH of the last 100: envelopes", async move |mail| {
        let roll = current(mail).await?;
        let mut finder = roll.finder();
        let ids: Vec<_> =
            asked.iter().filter_map(|uid| finder.find(*uid)).map(|entry| entry.email()).collect();
        Ok(mail.metadata(ACCOUNT, &ids).await?)
    })
    .await?;
    let all = roll.len();
    one.once("flags of all, from memory", async move |mail| {
        let roll = current(mail).await?;
        Ok((0..all).zip(roll.iter()).map(|(_, entry)| entry.keywords().len()).sum::<usize>())
    })
    .await?;
    one.once("STORE of one flag", async |mail| store(mail, &[Uid(7)], true).await).await?;
    one.once("NOOP after it", async |mail| current(mail).await).await?;

    for changes in [1, 1000_u32] {
        let since = current(&one.mail).await?.modseq();
        for n in 0..changes {
            let spread = u32::try_from(emails)?.checked_div(changes).unwrap_or(1).max(1);
            store(&two.mail, &[Uid(1 + n * spread)], false).await?;
        }
        let what = format!("QRESYNC after {changes} changes on another node");
        let told = one.once(&what, async move |mail| resync(mail, since).await).await?;
        println!("  {told} messages told");
    }
    Ok(())
}

async fn current(mail: &Mail) -> Result<Arc<Roll>, Box<dyn Error>> {
    Ok(mail.current(ACCOUNT, INBOX).await?.roll.ok_or("the mailbox is too large to be kept in memory")?)
}

/// What SELECT with QRESYNC does: opens the mailbox, and looks at what has changed.
async fn resync(mail: &Mail, since: ModSeq) -> Result<usize, Box<dyn Error>> {
    let roll = current(mail).await?;
    let missed = mail.missed(ACCOUNT, INBOX, since, 10_000).await?;
    let mut finder = roll.finder();
    Ok(missed.changed.iter().filter(|uid| finder.find(**uid).is_some()).count())
}

async fn store(mail: &Mail, uids: &[Uid], on: bool) -> Result<(), Box<dyn Error>> {
    let action = if on { FlagAction::Add } else { FlagAction::Remove };
    let keywords = Keyword::new(if on { Keyword::FLAGGED } else { Keyword::SEEN }).into_iter().collect();
    mail.store(ACCOUNT, INBOX, uids, &FlagChange { action, keywords, deleted: false }, None).await?;
    Ok(())
}

/// Imports small messages, seen, a minute apart.
async fn fill(mail: &Mail, emails: u64) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let text = "From: a@example.test\r\nTo: b@example.test\r\nSubject: a small one\r\n\r\nhello\r\n";
    let message = mail.ingest(text.into()).await?;
    let seen: Keywords = Keyword::new(Keyword::SEEN).into_iter().collect();
    for batch in 0..emails.div_ceil(1000) {
        let numbers = batch * 1000..emails.min((batch + 1) * 1000);
        let item = |number: u64| {
            let mut item = [0; 16];
            item[..8].copy_from_slice(&number.to_be_bytes());
            ImportItem {
                message: message.clone(),
                mailbox: INBOX,
                keywords: seen.clone(),
                deleted: false,
                received: Timestamp(1_600_000_000_000 + number * 60_000),
                id: ImportId { source: [2; 16], item },
            }
        };
        let items: Vec<ImportItem> = numbers.map(item).collect();
        for result in mail.import(ACCOUNT, &items, Quota::default()).await? {
            result?;
        }
    }
    let took = begun.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    println!("\nimport of {emails} small messages: {:.0}/s", emails as f64 / took);
    Ok(())
}
