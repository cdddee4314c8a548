//! What the machine can do, and what a run took of it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Latencies of one kind of operation over a span of time.
pub(crate) struct Measured {
    took: Duration,
    sorted: Vec<Duration>,
    cpu: Duration,
}

impl Measured {
    pub(crate) fn new(took: Duration, mut latencies: Vec<Duration>, cpu: Duration) -> Self {
        latencies.sort();
        Self { took, sorted: latencies, cpu }
    }

    pub(crate) fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn at(&self, share: f64) -> Duration {
        let index = (self.sorted.len().saturating_sub(1) as f64 * share) as usize;
        self.sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.sorted.len().max(1) as f64
    }

    pub(crate) fn line(&self) -> String {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let (p50, p99) = (ms(self.at(0.5)), ms(self.at(0.99)));
        format!(
            "{:8.0}/s   p50 {p50:7.3} ms   p99 {p99:7.3} ms   {:5.0} µs CPU",
            self.rate(),
            self.cpu_micros()
        )
    }
}

/// What nothing that is durable on this disk can beat.
pub(crate) struct Limits {
    pub(crate) sync: Measured,
    pub(crate) write_mb_s: f64,
}

pub(crate) fn limits(directory: &Path, span: Duration) -> io::Result<Limits> {
    let mut file = File::create(directory.join("limit"))?;
    let block = vec![0x5a; 16 << 10];
    let (begun, cpu) = (Instant::now(), cpu_time());
    let mut latencies = Vec::new();
    while begun.elapsed() < span {
        let at = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        latencies.push(at.elapsed());
    }
    let sync = Measured::new(begun.elapsed(), latencies, cpu_time().saturating_sub(cpu));
    let mut file = File::create(directory.join("limit"))?;
    let block = vec![0x5a; 1 << 20];
    let begun = Instant::now();
    for _ in 0..256 {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let write_mb_s = 256.0 * 1.048_576 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(directory.join("limit"))?;
    Ok(Limits { sync, write_mb_s })
}

/// CPU time of this process so far, all threads.
pub(crate) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let field = |n: usize| after_name.split(' ').nth(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    // Fields 14 and 15 of the file, in ticks of 10 ms.
    Duration::from_millis((field(11) + field(12)) * 10)
}

/// Memory of this process that is in use, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

/// Bytes of disk that a directory takes.
pub(crate) fn disk(directory: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() { disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(total)
}
