//! Listings on a mailbox of 100,000 emails, and what those take in memory and on disk.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use mail::search::{Filter, Hit, Html, Order, Query, Scope, SortKey};
use mail::{FlagAction, FlagChange, ImportId, ImportItem, Mail, Quota, UidList};
use types::{AccountId, Keyword, Keywords, MailboxId, ModSeq, Timestamp, Uid};

use crate::Stores;
use crate::letters::Letters;
use crate::machine::{Measured, cpu_time, disk, resident};

const EMAILS: u64 = 100_000;
const ACCOUNT: AccountId = AccountId(1);

pub(crate) async fn run(stores: Stores, directory: &Path, span: Duration) -> Result<(), Box<dyn Error>> {
    let mail = stores.mail.clone();
    let before = resident();
    let raw = fill(&mail).await?;
    let (memory, size) = (resident().saturating_sub(before), disk(directory)?);
    let mb = |n: u64| n as f64 / 1e6;
    println!(
        "  memory {:.0} MB more; disk {:.0} MB for {:.0} MB of mail: {:.2}",
        mb(memory),
        mb(size),
        mb(raw),
        size as f64 / raw as f64
    );

    println!("\nreading a mailbox of {EMAILS}");
    let uids = &UidList::new(&mail.select(ACCOUNT, MailboxId::INBOX).await?.uids);
    measured("first page of 50 by date", span, async || Ok(first_page(&mail, uids, false).await?.len()))
        .await?;
    measured("the same, threads collapsed", span, async || Ok(first_page(&mail, uids, true).await?.len()))
        .await?;
    measured("the page's metadata too", span, async || {
        let emails: Vec<_> = first_page(&mail, uids, false).await?.iter().map(|hit| hit.email).collect();
        Ok(mail.metadata(ACCOUNT, &emails).await?.len())
    })
    .await?;
    measured("all UIDs (IMAP SELECT)", span, async || {
        Ok(mail.select(ACCOUNT, MailboxId::INBOX).await?.uids.len())
    })
    .await?;
    measured("1,000 emails' flags by UID", span, async || {
        Ok(mail.members(ACCOUNT, MailboxId::INBOX, Uid(50_000), Uid(u32::MAX), 1000).await?.len())
    })
    .await?;
    let seen = FlagChange {
        action: FlagAction::Add,
        keywords: Keyword::new(Keyword::SEEN).into_iter().collect(),
        deleted: false,
    };
    let unseen = FlagChange { action: FlagAction::Remove, ..seen.clone() };
    mail.store(ACCOUNT, MailboxId::INBOX, &[Uid(1)], &seen, None).await?;
    let since = ModSeq(mail.modseq(ACCOUNT).await?.0.saturating_sub(1));
    measured("changes since the last one", span, async || {
        Ok(mail.mailbox_changes(ACCOUNT, MailboxId::INBOX, since).await?.changed.len())
    })
    .await?;
    let mut on = false;
    measured("one flag set, durably", span, async || {
        on = !on;
        Ok(mail
            .store(ACCOUNT, MailboxId::INBOX, &[Uid(7)], if on { &seen } else { &unseen }, None)
            .await?
            .members
            .len())
    })
    .await?;
    Ok(())
}

/// The newest 50.
async fn first_page(mail: &Mail, uids: &UidList, collapse: bool) -> Result<Vec<Hit>, mail::Error> {
    let query = Query {
        filter: Filter::ALL,
        sort: vec![Order::descending(SortKey::Received), Order::descending(SortKey::Email)],
        collapse,
        html: Html::Text,
        modseqs: false,
        all: false,
    };
    let view = Scope::View { mailbox: MailboxId::INBOX, uids: uids.clone() };
    let mut results = mail.search(ACCOUNT, view, query);
    results.reach(50).await?;
    Ok(results.known().to_vec())
}

/// Imports the mailbox; returns the octets of its messages.
async fn fill(mail: &Mail) -> Result<u64, Box<dyn Error>> {
    let mut letters = Letters::new(2);
    let mut raw = 0;
    let (mut spent, cpu) = (Duration::ZERO, cpu_time());
    let mut making = Duration::ZERO;
    for batch in 0..EMAILS / 100 {
        let at = Instant::now();
        let texts: Vec<_> = (0..100).map(|_| letters.text(5_000)).collect();
        making += at.elapsed();
        let at = Instant::now();
        let mut items = Vec::with_capacity(100);
        for (text, number) in texts.into_iter().zip(batch * 100..) {
            raw += text.len() as u64;
            let mut item = [0; 16];
            item[..8].copy_from_slice(&number.to_be_bytes());
            items.push(ImportItem {
                message: mail.ingest(text).await?,
                mailbox: MailboxId::INBOX,
                keywords: Keywords::new(),
                deleted: false,
                received: Timestamp(1_700_000_000_000 + number * 60_000),
                id: ImportId { source: [1; 16], item },
            });
        }
        for result in mail.import(ACCOUNT, &items, Quota::default()).await? {
            result?;
        }
        spent += at.elapsed();
    }
    let micros = (cpu_time().saturating_sub(cpu).saturating_sub(making)).as_secs_f64() * 1e6 / EMAILS as f64;
    println!("\nimport of {EMAILS} messages of 5 KB into one mailbox");
    println!("  {:.0}/s   {:.0} µs CPU each", EMAILS as f64 / spent.as_secs_f64(), micros);
    Ok(raw)
}

async fn measured(
    what: &str,
    span: Duration,
    mut work: impl AsyncFnMut() -> Result<usize, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let mut latencies = Vec::new();
    let mut rows = 0;
    while begun.elapsed() < span {
        let at = Instant::now();
        rows = work().await?;
        latencies.push(at.elapsed());
    }
    let measured = Measured::new(begun.elapsed(), latencies, cpu_time().saturating_sub(cpu));
    println!("  {what:32} {}   {rows} rows", measured.line());
    Ok(())
}
