//! What a durable blob costs on this machine: segments with group fsync, beside one file for each blob (written
//! under another name, fsynced, renamed, directory fsynced). `cargo run --release -p magpie-store --example
//! blob_cost [DIRECTORY]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::blob::{Blobs, BlobsOptions, Content, LinkError, Segments, SegmentsOptions};
use store::kv::{Embedded, EmbeddedOptions, Kv};
use types::{Clock, Randomness};

const RUN: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() {
    let base = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let directory = tempfile::tempdir_in(base).unwrap();
    println!(
        "{:>8} {:>8}  {:<28} {:>9} {:>9} {:>9} {:>9}",
        "KB", "writers", "how", "blobs/s", "MB/s", "p50 ms", "p99 ms"
    );
    for kilobytes in [10, 100, 1000] {
        for writers in [1, 16, 64] {
            let segments =
                Segments::open(&fresh(directory.path()), Clock::system(), SegmentsOptions::default());
            let engine = Arc::new(segments.unwrap());
            let put = move |content: Bytes| {
                let engine = engine.clone();
                async move {
                    let body = store::blob::Body::Memory(vec![content.clone()]);
                    let object = store::blob::Object { hash: store::blob::Hash::of(&content), body };
                    store::blob::Engine::put(engine.as_ref(), vec![object]).await.unwrap();
                }
            };
            measure("segments, group fsync", kilobytes, writers, put).await;

            let files = Arc::new(fresh(directory.path()));
            let put = move |content: Bytes| {
                let files = files.clone();
                async move { tokio::task::spawn_blocking(move || file_each(&files, &content)).await.unwrap() }
            };
            measure("file each", kilobytes, writers, put).await;

            let blobs = blobs(&fresh(directory.path()));
            let put = move |content: Bytes| {
                let blobs = blobs.clone();
                async move { keep(&blobs, content).await }
            };
            measure("prepare and link, all in", kilobytes, writers, put).await;
        }
    }
}

fn fresh(base: &Path) -> std::path::PathBuf {
    tempfile::tempdir_in(base).unwrap().keep()
}

fn file_each(directory: &Path, content: &[u8]) {
    let name: String = Randomness::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create_new(&temporary).unwrap();
    file.write_all(content).unwrap();
    file.sync_data().unwrap();
    fs::rename(&temporary, directory.join(name)).unwrap();
    File::open(directory).unwrap().sync_all().unwrap();
}

fn blobs(directory: &Path) -> (Kv, Blobs) {
    let kv = Embedded::open(&directory.join("kv"), EmbeddedOptions::default()).unwrap();
    let kv = Kv::new(Arc::new(kv), Clock::system());
    let segments = Segments::open(&directory.join("blobs"), Clock::system(), SegmentsOptions::default());
    let options = BlobsOptions { spool: directory.to_owned(), ..BlobsOptions::default() };
    (kv.clone(), Blobs::new(kv, Arc::new(segments.unwrap()), Clock::system(), options))
}

async fn keep((kv, blobs): &(Kv, Blobs), content: Bytes) {
    let prepared = [blobs.prepare(Content::memory(content)).await.unwrap()];
    let prepared = &prepared;
    let linked: Result<(), LinkError> =
        kv.run(|tx| async move { blobs.link(&tx, prepared, b"owner").await }).await;
    linked.unwrap();
}

async fn measure<F, Fut>(how: &str, kilobytes: usize, writers: usize, put: F)
where
    F: Fn(Bytes) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks = (0..writers).map(|_| {
        let put = put.clone();
        tokio::spawn(async move {
            let mut took = Vec::new();
            while begun.elapsed() < RUN {
                let content = half_random(kilobytes * 1000);
                let start = Instant::now();
                put(content).await;
                took.push(start.elapsed());
            }
            took
        })
    });
    let mut took = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        took.extend(task.await.unwrap());
    }
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    took.sort();
    let rate = took.len() as f64 / elapsed;
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!(
        "{kilobytes:>8} {writers:>8}  {how:<28} {rate:>9.0} {:>9.1} {:>9.2} {:>9.2}  {:>7.0} µs CPU each",
        rate * kilobytes as f64 / 1000.0,
        at(50),
        at(99),
        cpu / took.len() as f64 * 1e6,
    );
}

/// Content of which zstd can save about a half: pairs of random and equal runs.
fn half_random(len: usize) -> Bytes {
    let mut content = Vec::with_capacity(len + 64);
    while content.len() < len {
        content.extend_from_slice(&Randomness::bytes::<32>());
        content.extend_from_slice(&[b'a'; 32]);
    }
    content.truncate(len);
    content.into()
}

/// What this process has used of the processors, from the kernel's own count.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
