//! Durable deliveries per second at several degrees of concurrency, next to the engine's own commit rate.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::{Delivery, Mail, Quota};
use store::kv::{KeyWriter, Kv, counter};
use types::{AccountId, Clock, Keywords, MailboxId};

use crate::Stores;
use crate::letters::Letters;
use crate::machine::{Limits, Measured, cpu_time};

const ACCOUNTS: u64 = 1000;
type Failure = Box<dyn Error + Send + Sync>;

pub(crate) async fn run(stores: &Stores, limits: &Limits, span: Duration) -> Result<(), Box<dyn Error>> {
    println!("\nthe engine's own commits (12 puts of 100 octets, one counter read and written)");
    let mut engine = Vec::new();
    for writers in [1, 16, 64] {
        let commits = commits(&stores.kv, writers, span).await.map_err(|e| e.to_string())?;
        println!("  {writers:2} at once   {}", commits.line());
        engine.push(commits.rate());
    }
    for account in 1..=ACCOUNTS {
        stores.mail.mailboxes(AccountId(account)).await?;
    }
    let mut letters = Letters::new(1);
    let small: Arc<Vec<Bytes>> = Arc::new((0..20_000).map(|_| letters.text(10_240)).collect());
    let large: Arc<Vec<Bytes>> = Arc::new((0..4_000).map(|_| letters.with_attachment(102_400)).collect());
    for (name, mails) in [("10 KB, text", small), ("100 KB, most of it an attachment", large)] {
        println!("\ndurable deliveries of {name}");
        for (writers, engine) in [1, 16, 64].into_iter().zip(&engine) {
            let groups = stores.engine.stats().groups;
            let delivered =
                deliveries(&stores.mail, &mails, writers, span).await.map_err(|e| e.to_string())?;
            let groups = stores.engine.stats().groups - groups;
            let rate = delivered.rate();
            let syncs = groups as f64 / (rate * span.as_secs_f64());
            println!(
                "  {writers:2} at once   {}   {syncs:.2} kv syncs each   {:.2} of the engine's rate   p50 {:.1}x one sync",
                delivered.line(),
                rate / engine,
                delivered.at(0.5).as_secs_f64() / limits.sync.at(0.5).as_secs_f64(),
            );
        }
    }
    Ok(())
}

async fn commits(kv: &Kv, writers: u64, span: Duration) -> Result<Measured, Failure> {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let kv = kv.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < span {
                    let at = Instant::now();
                    kv.run(|tx| async move {
                        let own = KeyWriter::new(b"z").u64(writer);
                        let number = tx.get(own.clone().done()).await?.map_or(0, |value| counter(&value)) + 1;
                        tx.set(own.clone().done(), number.to_le_bytes().to_vec())?;
                        for row in 0..12 {
                            let key = own.clone().u64(number.cast_unsigned()).u8(row).done();
                            tx.set(key, vec![row; 100])?;
                        }
                        Ok::<_, store::kv::Error>(())
                    })
                    .await?;
                    latencies.push(at.elapsed());
                }
                Ok::<_, Failure>(latencies)
            })
        })
        .collect();
    gathered(tasks, begun, cpu).await
}

async fn deliveries(
    mail: &Mail,
    mails: &Arc<Vec<Bytes>>,
    writers: u64,
    span: Duration,
) -> Result<Measured, Failure> {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (mail, mails) = (mail.clone(), mails.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < span {
                    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let raw = mails.get(number % mails.len()).cloned().unwrap_or_default();
                    let at = Instant::now();
                    let message = mail.ingest(raw).await?;
                    let delivery = Delivery {
                        account: AccountId(1 + number as u64 % ACCOUNTS),
                        mailbox: MailboxId::INBOX,
                        keywords: Keywords::new(),
                        received: Clock::system().now(),
                        quota: Quota::default(),
                        reports_on: None,
                        id: None,
                        answer_to: None,
                    };
                    for result in mail.deliver(&message, &[delivery]).await {
                        result?;
                    }
                    latencies.push(at.elapsed());
                }
                Ok::<_, Failure>(latencies)
            })
        })
        .collect();
    gathered(tasks, begun, cpu).await
}

async fn gathered(
    tasks: Vec<tokio::task::JoinHandle<Result<Vec<Duration>, Failure>>>,
    begun: Instant,
    cpu: Duration,
) -> Result<Measured, Failure> {
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Measured::new(begun.elapsed(), latencies, cpu_time().saturating_sub(cpu)))
}
