//! What this crate counts. Handles are made once: counting is one addition.

use std::sync::LazyLock;

use metrics::{Counter, Histogram, counter, histogram};

use crate::kv::Error;

/// All counters of this crate.
pub(crate) static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

/// The handles.
pub(crate) struct Meters {
    committed: Counter,
    conflicts: Counter,
    unknown: Counter,
    refused: Counter,
    read_rounds: Counter,
    rows_read: Counter,
    /// How long commits take, in seconds.
    pub(crate) commit_time: Histogram,
    /// Transactions that are run once more.
    pub(crate) retries: Counter,
    /// Groups of transactions, with one fsync each.
    pub(crate) commit_syncs: Counter,
    /// Octets of blobs as they are given.
    pub(crate) blob_written: Counter,
    /// Octets of blobs as they are kept.
    pub(crate) blob_read: Counter,
    /// Writes of blobs that were made durable.
    pub(crate) blob_syncs: Counter,
}

impl Meters {
    fn new() -> Self {
        let commits = |result: &'static str| counter!("magpie_kv_commits_total", "result" => result);
        Self {
            committed: commits("ok"),
            conflicts: commits("conflict"),
            unknown: commits("unknown"),
            refused: commits("refused"),
            read_rounds: counter!("magpie_kv_reads_total"),
            rows_read: counter!("magpie_kv_rows_read_total"),
            commit_time: histogram!("magpie_kv_commit_seconds"),
            retries: counter!("magpie_kv_retries_total"),
            commit_syncs: counter!("magpie_kv_fsyncs_total"),
            blob_written: counter!("magpie_blob_written_bytes_total"),
            blob_read: counter!("magpie_blob_read_bytes_total"),
            blob_syncs: counter!("magpie_blob_fsyncs_total"),
        }
    }

    /// A round trip that read so many rows.
    pub(crate) fn read(&self, rows: usize) {
        self.read_rounds.increment(1);
        self.rows_read.increment(rows as u64);
    }

    /// A commit ended like this.
    pub(crate) fn committed<T>(&self, result: &Result<T, Error>) {
        let counter = match result {
            Ok(_) => &self.committed,
            Err(Error::Conflict { .. }) => &self.conflicts,
            Err(Error::CommitUnknown) => &self.unknown,
            Err(_) => &self.refused,
        };
        counter.increment(1);
    }
}
