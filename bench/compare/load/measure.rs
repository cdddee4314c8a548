//! Workers side by side, each doing its operation over and over until the time or the number is up.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;

/// How long to work: whatever comes first.
#[derive(Args, Clone, Copy)]
pub(crate) struct Stint {
    #[arg(long)]
    seconds: Option<f64>,
    /// Operations, of all workers together.
    #[arg(long)]
    count: Option<u64>,
}

/// What one operation came to.
#[derive(Default)]
pub(crate) struct Done {
    /// Octets that were moved.
    pub(crate) octets: u64,
    /// How long it took, if not all of the time that it took.
    pub(crate) took: Option<Duration>,
}

/// One connection's worth of work.
pub(crate) trait Worker: Send {
    /// Does the operation once.
    fn once(&mut self) -> io::Result<Done>;
}

#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    octets: u64,
}

/// Says `ready`, waits, lets the workers work, prints what it came to, and waits again.
pub(crate) fn run<W: Worker>(mut workers: Vec<W>, stint: Stint) -> io::Result<()> {
    ready();
    await_line()?;
    let begun = Instant::now();
    let until = stint.seconds.map(|seconds| begun + Duration::from_secs_f64(seconds));
    let left = AtomicU64::new(stint.count.unwrap_or(u64::MAX));
    let tallies: Vec<io::Result<Tally>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(|| work(worker, until, &left))).collect();
        let lost = || Err(io::Error::other("a worker panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut all = Tally::default();
    for tally in tallies {
        let tally = tally?;
        all.latencies.extend(tally.latencies);
        all.octets += tally.octets;
    }
    let micros: Vec<u64> = all.latencies.iter().map(|d| d.as_micros() as u64).collect();
    let figures = serde_json::json!({
        "seconds": seconds, "octets": all.octets, "latencies_us": micros,
    });
    println!("{figures}");
    io::stdout().flush()?;
    await_line()
}

fn work(worker: &mut impl Worker, until: Option<Instant>, left: &AtomicU64) -> io::Result<Tally> {
    let mut tally = Tally::default();
    while until.is_none_or(|until| Instant::now() < until) {
        if left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_err() {
            break;
        }
        let begun = Instant::now();
        let done = worker.once()?;
        tally.latencies.push(done.took.unwrap_or_else(|| begun.elapsed()));
        tally.octets += done.octets;
    }
    Ok(tally)
}

/// Everything is set up; whoever started this may look at the server now.
pub(crate) fn ready() {
    println!("ready");
}

/// Waits to be told to go on.
pub(crate) fn await_line() -> io::Result<()> {
    io::stdin().read_line(&mut String::new()).map(|_| ())
}
