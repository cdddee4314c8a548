//! All metrics: their names, their kinds, and what they say. A counter that is not listed here is not exported, so that
//! nothing appears that nobody has explained.

/// What a metric is (Prometheus' types).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes up, and begins at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often something took how long, in seconds.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in a line.
    pub help: &'static str,
}

/// The upper bounds of all histograms, in seconds: from a commit on a quick disk to a check whose DNS does not answer.
pub const BOUNDS: [f64; 16] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help }
}

/// All of them.
pub const METRICS: &[Metric] = &[
    gauge("magpie_build_info", "Always 1; the labels say what runs."),
    gauge("magpie_ready", "1 while the server can take mail, 0 while something stands against it."),
    counter("magpie_connections_total", "Connections that came to a listener, by whether there was a place."),
    gauge("magpie_sessions", "Connections that are open now."),
    counter("magpie_received_bytes_total", "Octets received from clients, without those of TLS."),
    counter("magpie_sent_bytes_total", "Octets sent to clients, without those of TLS."),
    counter("magpie_tls_handshakes_total", "TLS handshakes, by how they ended."),
    counter("magpie_http_cut_total", "HTTP/2 connections and answers that were given up, by what was wrong."),
    counter("magpie_commands_total", "Commands of clients, by the answer that they got."),
    counter("magpie_logins_total", "Attempts to log in, by what came of them."),
    counter("magpie_deliveries_total", "Messages for one account, by what became of them and why."),
    counter("magpie_refused_messages_total", "Messages that were refused whole, at their end."),
    histogram("magpie_delivery_seconds", "From a message's last octet to the answer that its sender gets."),
    counter("magpie_checks_total", "Results of the checks of incoming mail."),
    counter("magpie_check_verdicts_total", "What the checks of incoming mail came to."),
    histogram("magpie_check_seconds", "How long the checks kept a message that was there."),
    counter(
        "magpie_reports_sent_total",
        "Reports to other domains that need nothing more, by what came of them.",
    ),
    counter("magpie_reports_received_total", "Reports on domains of ours that came, by what came of them."),
    counter(
        "magpie_report_observations_dropped_total",
        "What there was no room for in reports to other domains.",
    ),
    gauge("magpie_inbound_queue_legs", "Deliveries in the inbound queue."),
    gauge("magpie_inbound_queue_oldest_seconds", "The age of the oldest delivery in the inbound queue."),
    gauge("magpie_outbound_queue_legs", "Deliveries in the outbound queue."),
    gauge("magpie_outbound_queue_oldest_seconds", "The age of the oldest delivery in the outbound queue."),
    gauge("magpie_outbound_line_legs", "Deliveries in the lines of destinations, the longest by name."),
    gauge("magpie_outbound_line_oldest_seconds", "The age of the oldest delivery in a destination's line."),
    gauge("magpie_outbound_cause_destinations", "Destinations that have a line, by what keeps them."),
    gauge("magpie_outbound_cause_legs", "Deliveries in lines, by what keeps their destinations."),
    gauge("magpie_outbound_cause_oldest_seconds", "The age of the oldest delivery in lines, by the same."),
    counter("magpie_relayed_recipients_total", "Recipients elsewhere, by what came of an attempt and why."),
    histogram("magpie_relay_seconds", "From when a message came to when another server had it."),
    counter("magpie_relay_connections_total", "Connections to other servers, by what came of them."),
    counter("magpie_delivery_reports_total", "Reports to senders on what became of their mail."),
    counter("magpie_kv_reads_total", "Round trips that read rows by key, or a page of them."),
    counter("magpie_kv_rows_read_total", "Rows asked for by key, or found in pages."),
    counter("magpie_answers_total", "Answers of those who are away, by what came of them."),
    gauge("magpie_push_channels", "Clients that wait to hear of changes, by how."),
    counter("magpie_push_messages_total", "Messages to push services, by what became of them."),
    counter("magpie_kv_commits_total", "Transactions that wrote, by how their commit ended."),
    counter("magpie_kv_retries_total", "Transactions that were run once more."),
    counter("magpie_kv_fsyncs_total", "Groups of transactions that were made durable, with one fsync each."),
    histogram("magpie_kv_commit_seconds", "How long commits took, their turn in the queue included."),
    counter("magpie_blob_written_bytes_total", "Octets of blobs that were stored, as they were given."),
    counter(
        "magpie_blob_read_bytes_total",
        "Octets of blobs that were read from their store, as they are kept.",
    ),
    counter("magpie_blob_fsyncs_total", "Writes of blobs that were made durable, with one fsync each."),
    gauge("magpie_memory_bytes", "Memory that messages on their way in take now."),
    gauge("magpie_memory_limit_bytes", "Memory that messages on their way in may take."),
    gauge("magpie_certificate_expiry_timestamp_seconds", "When a certificate expires."),
    counter(
        "magpie_certificate_loads_total",
        "Changed certificates that were read again, by whether they could be used.",
    ),
    gauge(
        "magpie_reload_timestamp_seconds",
        "When files were last looked at because an operator asked for it.",
    ),
    counter("process_cpu_seconds_total", "CPU time of the process, in user mode and in the system."),
    gauge("process_resident_memory_bytes", "Memory of the process that is in RAM."),
    gauge("process_virtual_memory_bytes", "Address space of the process."),
    gauge("process_open_fds", "Open files of the process, connections among them."),
    gauge("process_max_fds", "How many files the process may have open."),
    gauge("process_threads", "Threads of the process."),
    gauge("process_start_time_seconds", "When the process was started."),
];

/// What is known of a name.
pub(crate) fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_say_what_they_count() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "a name stands twice");
        for Metric { name, kind, help } in METRICS {
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(name.starts_with("magpie_") || name.starts_with("process_"), "{name}");
            assert!(help.ends_with('.') && !help.contains(['\n', '\\']), "{name}");
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn every_metric_is_explained() {
        let page = include_str!("../../../docs/metrics.md");
        let rows: BTreeSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|line| line.split(['`', '{']).next())
            // What follows are rules made of them.
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            .collect();
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(rows, names, "docs/metrics.md and the catalogue list different metrics");
    }
}
