//! Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use super::histogram::Content;
use super::{Labels, Series};
use crate::catalogue::{BOUNDS, Kind, Metric};

/// Labels as they stand behind a name.
pub(super) fn labels<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> Labels {
    let sorted: BTreeMap<&str, &str> = labels.collect();
    let mut out = String::new();
    for (key, value) in sorted {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(key);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if !out.is_empty() {
        out.push('}');
    }
    out
}

/// All series of a metric.
pub(super) fn family(metric: &Metric, all: &BTreeMap<Labels, Series>, out: &mut String) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let name = metric.name;
    line(out, format_args!("# HELP {name} {}", metric.help));
    line(out, format_args!("# TYPE {name} {kind}"));
    for (labels, series) in all {
        match series {
            Series::Counter(total) => line(out, format_args!("{name}{labels} {}", total.load(Relaxed))),
            Series::Gauge(bits) => {
                line(out, format_args!("{name}{labels} {}", f64::from_bits(bits.load(Relaxed))));
            }
            Series::Histogram(buckets) => histogram(name, labels, &buckets.content(), out),
        }
    }
}

fn histogram(name: &str, labels: &str, content: &Content, out: &mut String) {
    let Content { cumulated, sum } = content;
    let inner = labels.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
    let inner = inner.map(|inner| format!("{inner},")).unwrap_or_default();
    let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(cumulated) {
        line(out, format_args!("{name}_bucket{{{inner}le=\"{bound}\"}} {count}"));
    }
    line(out, format_args!("{name}_sum{labels} {sum}"));
    line(out, format_args!("{name}_count{labels} {}", cumulated.last().unwrap_or(&0)));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _into_memory = writeln!(out, "{text}");
}
