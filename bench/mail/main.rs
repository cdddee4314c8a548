//! The mail core against what the machine can do, in one run: durable deliveries, listings, and what 100,000
//! messages take in memory and on disk; what sessions cost without their sockets; and a mailbox of a million.
//! `MAGPIE_BENCH_DIR` says on which disk, `MAGPIE_BENCH_SECONDS` how long each rate is measured.
#![allow(clippy::print_stdout, reason = "a measuring program prints its figures")]

mod deliveries;
mod large;
mod letters;
mod lists;
mod machine;
mod sessions;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mail::{Mail, MailOptions};
use store::blob::{Blobs, BlobsOptions, Segments, SegmentsOptions};
use store::bus::Bus;
use store::kv::{Embedded, EmbeddedOptions, Kv};
use types::Clock;

/// As in the server: what is measured frees much of what it takes on another thread, or long after.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The stores of one run, as the server opens them.
pub(crate) struct Stores {
    pub(crate) engine: Arc<Embedded>,
    pub(crate) kv: Kv,
    pub(crate) bus: Bus,
    pub(crate) mail: Mail,
}

impl Stores {
    fn open(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let clock = Clock::system();
        let engine = Arc::new(Embedded::open(&directory.join("kv"), EmbeddedOptions::default())?);
        let kv = Kv::new(engine.clone(), clock.clone());
        let segments = Segments::open(&directory.join("blobs"), clock.clone(), SegmentsOptions::default())?;
        let blobs = Blobs::new(kv.clone(), Arc::new(segments), clock.clone(), BlobsOptions::default());
        let bus = Bus::in_process(clock.clone());
        let mail = Mail::new(kv.clone(), blobs, bus.clone(), clock, MailOptions::default());
        Ok(Self { engine, kv, bus, mail })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::var_os("MAGPIE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = std::env::var("MAGPIE_BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let span = Duration::from_secs(seconds);
    let directory = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;

    // `cargo bench --bench mail -- large` measures one part alone.
    let only: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    if wanted("deliveries") {
        measure_deliveries(directory.path(), &runtime, span)?;
    }
    if wanted("lists") {
        let lists_at = directory.path().join("lists");
        let stores = Stores::open(&lists_at)?;
        runtime.block_on(lists::run(stores, &lists_at, span))?;
    }
    if wanted("sessions") {
        let stores = Stores::open(&directory.path().join("sessions"))?;
        runtime.block_on(sessions::run(&stores, span))?;
    }
    if wanted("large") {
        runtime.block_on(large::run(&directory.path().join("large")))?;
    }
    Ok(())
}

fn measure_deliveries(
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
    span: Duration,
) -> Result<(), Box<dyn Error>> {
    let limits = machine::limits(directory, span.min(Duration::from_secs(3)))?;
    println!("what the disk can do");
    println!("  fdatasync of 16 KiB appended    {}", limits.sync.line());
    println!("  write and one fdatasync         {:.0} MB/s", limits.write_mb_s);

    let stores = Stores::open(&directory.join("deliveries"))?;
    runtime.block_on(deliveries::run(&stores, &limits, span))
}
