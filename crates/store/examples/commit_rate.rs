//! How fast the embedded store commits, next to what its disk can do in the same run.
//!
//! `commit_rate [DIR] [SECONDS]`: a transaction reads and raises a counter and puts 12 rows, as a small delivery
//! does. Prints commits per second, latency and CPU time at 1, 16 and 64 writers.
#![allow(clippy::print_stdout, reason = "a measuring program prints its figures")]

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use store::kv::{Embedded, EmbeddedOptions, KeyWriter, Kv, counter};
use types::Clock;

const PUTS: u8 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let directory = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;

    let seconds = Duration::from_secs(seconds);
    let engine = Arc::new(Embedded::open(&directory.path().join("store"), EmbeddedOptions::default())?);
    let kv = Kv::new(engine.clone(), Clock::system());
    let (syncs, commits) = runtime.block_on(turn_by_turn(&kv, directory.path(), seconds))?;
    println!("turn by turn: 2 KiB + fdatasync           {}", syncs.line());
    println!("              1 writer, {PUTS} puts + counter   {}", commits.line());
    for writers in [1, 16, 64] {
        let (groups, cpu) = (engine.stats().groups, cpu_time());
        let commits = runtime.block_on(commit(&kv, writers, seconds))?;
        let cpu = (cpu_time() - cpu).as_micros() / commits.latencies.len().max(1) as u128;
        let groups = engine.stats().groups - groups;
        let shared = commits.latencies.len() as f64 / groups.max(1) as f64;
        println!(
            "{writers:2} writers, {PUTS} puts + counter                {}   {cpu} µs CPU each   {shared:.1} per fsync",
            commits.line()
        );
    }
    Ok(())
}

struct Measured {
    took: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    fn new(took: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort();
        Self { took, latencies }
    }

    fn line(&self) -> String {
        let rate = self.latencies.len() as f64 / self.took.as_secs_f64();
        let at = |share: f64| {
            let index = (self.latencies.len() as f64 * share) as usize;
            self.latencies.get(index).copied().unwrap_or_default().as_micros()
        };
        format!("{rate:6.0} /s   p50 {:5} µs   p99 {:6} µs", at(0.5), at(0.99))
    }
}

/// What the disk needs for what the store does to its journal, and what the store needs: by turns, so that the
/// disk's other guests hit both alike.
async fn turn_by_turn(
    kv: &Kv,
    directory: &Path,
    time: Duration,
) -> Result<(Measured, Measured), Box<dyn Error>> {
    let file = File::create(directory.join("raw"))?;
    file.set_len(64 << 20)?;
    file.sync_all()?;
    let (begun, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
    let mut bytes = [0; 2048];
    let (mut syncs, mut commits) = (Vec::new(), Vec::new());
    while begun.elapsed() < time {
        rng.fill_bytes(&mut bytes);
        let one = Instant::now();
        file.write_all_at(&bytes, syncs.len() as u64 * 2048)?;
        file.sync_data()?;
        syncs.push(one.elapsed());
        let one = Instant::now();
        transact(kv, u32::MAX, &mut rng).await?;
        commits.push(one.elapsed());
    }
    Ok((Measured::new(syncs.iter().sum(), syncs), Measured::new(commits.iter().sum(), commits)))
}

async fn commit(kv: &Kv, writers: u32, time: Duration) -> Result<Measured, Box<dyn Error>> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers).map(|account| tokio::spawn(write(kv.clone(), account, time))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(Measured::new(begun.elapsed(), latencies))
}

async fn write(kv: Kv, account: u32, time: Duration) -> Result<Vec<Duration>, store::kv::Error> {
    let mut rng = StdRng::seed_from_u64(u64::from(account));
    let (begun, mut latencies) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let one = Instant::now();
        transact(&kv, account, &mut rng).await?;
        latencies.push(one.elapsed());
    }
    Ok(latencies)
}

async fn transact(kv: &Kv, account: u32, rng: &mut StdRng) -> Result<(), store::kv::Error> {
    let rows: Vec<Bytes> = (0..PUTS).map(|_| value(rng)).collect();
    kv.run(|tx| {
        let rows = rows.clone();
        async move {
            let key = |table| KeyWriter::new(b"a").u32(account).u8(table);
            let modseq = tx.get(key(0).done()).await?.map_or(0, |value| counter(&value)) + 1;
            tx.set(key(0).done(), modseq.to_le_bytes().to_vec())?;
            for (table, row) in (1..).zip(rows) {
                tx.set(key(table).u64(modseq as u64).done(), row)?;
            }
            Ok(())
        }
    })
    .await
}

fn value(rng: &mut StdRng) -> Bytes {
    let mut bytes = vec![0; rng.random_range(16..240)];
    rng.fill_bytes(&mut bytes);
    bytes.into()
}

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    TICK * ticks
}
