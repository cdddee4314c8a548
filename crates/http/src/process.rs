//! What the system says of the process, under the names that all exporters of Prometheus use.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use crate::catalogue;
use crate::exporter::Exporter;

/// Reads what Linux tells in `/proc`; where there is none, nothing is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessGauges;

impl ProcessGauges {
    /// Puts all of it into the exporter. Reads a few files in memory.
    pub fn collect(self, exporter: &Exporter) {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
            let boot = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time);
            stat.tell(boot, exporter);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // One of them is the directory itself.
            exporter.set("process_open_fds", &[], float(files.count().saturating_sub(1) as u64));
        }
        if let Some(most) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(most_files) {
            exporter.set("process_max_fds", &[], most);
        }
    }
}

/// The fields of `/proc/self/stat` that are told.
#[derive(PartialEq, Eq, Debug)]
struct Stat {
    ticks: u64,
    threads: u64,
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The program's name, in parentheses, may hold anything: numbers are counted from its end (proc(5)).
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The first of these is the third of the manual.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            ticks: field(14)?.checked_add(field(15)?)?,
            threads: field(20)?,
            started: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    fn tell(&self, boot: Option<u64>, exporter: &Exporter) {
        let ticks = clock_ticks_per_second().max(1);
        if let Some(metric) = catalogue::find("process_cpu_seconds_total") {
            exporter.set_total(metric, float(self.ticks) / float(ticks));
        }
        exporter.set("process_threads", &[], float(self.threads));
        exporter.set("process_virtual_memory_bytes", &[], float(self.virtual_bytes));
        let resident = self.resident_pages.saturating_mul(page_size() as u64);
        exporter.set("process_resident_memory_bytes", &[], float(resident));
        if let Some(boot) = boot {
            exporter.set("process_start_time_seconds", &[], float(boot) + float(self.started) / float(ticks));
        }
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// How many files may be open.
fn most_files(text: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse::<u64>().ok().map(float),
    }
}

#[allow(clippy::cast_precision_loss)]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_middle_confuses_nobody() {
        let text = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 100 50 0 0 20 0 7 0 12345 4096000 250 99\n";
        let stat = Stat::parse(text).unwrap();
        let wanted =
            Stat { ticks: 150, threads: 7, started: 12_345, virtual_bytes: 4_096_000, resident_pages: 250 };
        assert_eq!(stat, wanted);
        assert_eq!(Stat::parse("42 (a) S 1 2"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
        let limits = "Max open files            1024                 524288               files     \n";
        assert_eq!(most_files(limits), Some(1024.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_files() {
        let exporter = Exporter::default();
        ProcessGauges.collect(&exporter);
        let text = exporter.render();
        for name in
            ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"]
        {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name} is not in\n{text}");
        }
    }
}
