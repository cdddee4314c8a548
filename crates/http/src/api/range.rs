//! Which octets of a file are asked for (RFC 9110 §14), and whether any are (§13).

use std::ops::Range;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, Method};

/// What an answer to a request for a file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// `200`: all of it.
    Whole,
    /// `206`: this range.
    Part(Range<u64>),
    /// `304`: the client has it.
    Known,
    /// `412`: it is not the one that the client means.
    Another,
    /// `416`: there are no such octets.
    Beyond,
}

/// What is asked for of a file of so many octets that has this entity tag, and always will.
pub(super) fn asked(method: &Method, headers: &HeaderMap, tag: &str, size: u64) -> Asked {
    // The order is that of RFC 9110 §13.2.2. Files have no date here: conditions on one never hold, or are left alone.
    if headers.contains_key(IF_MATCH) && !lists(headers, &IF_MATCH, tag, Comparison::Strong) {
        return Asked::Another;
    }
    if lists(headers, &IF_NONE_MATCH, tag, Comparison::Weak) {
        return Asked::Known;
    }
    let same = || match headers.get(IF_RANGE) {
        Some(known) => known.as_bytes() == tag.as_bytes(),
        None => true,
    };
    // Ranges are for GET and for nothing else (§14.2).
    let range = headers.get(RANGE).filter(|_| *method == Method::GET && same());
    match range.and_then(|value| value.to_str().ok()).and_then(|text| read(text, size)) {
        None => Asked::Whole,
        Some(range) if range.is_empty() => Asked::Beyond,
        Some(range) => Asked::Part(range),
    }
}

/// The only range of a field; empty if there are no such octets, nothing if the field is to be ignored: because it cannot be
/// read, or because it names several ranges (§14.2 lets a server do that).
fn read(text: &str, size: u64) -> Option<Range<u64>> {
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // A list may have empty elements (§5.6.1).
    let mut ranges = set.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return None };
    let (first, last) = range.split_once('-')?;
    match (first, last) {
        ("", last) => Some(size.saturating_sub(number(last)?)..size),
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

/// A number of any length; one that is larger than all files is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// How entity tags are compared (§8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a field lists the tag, or `*`. Tags of ours have no comma in them.
fn lists(headers: &HeaderMap, field: &HeaderName, tag: &str, how: Comparison) -> bool {
    let values = headers.get_all(field).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|listed| {
        let listed = match how {
            Comparison::Weak => listed.strip_prefix("W/").unwrap_or(listed),
            Comparison::Strong => listed,
        };
        listed == "*" || listed == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"B1\"";

    fn ask(method: Method, fields: &[(HeaderName, &str)]) -> Asked {
        let headers = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        asked(&method, &headers, TAG, 10)
    }

    #[test]
    fn ranges() {
        for (range, wanted) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=2-5", Asked::Part(2..6)),
            ("BYTES=2-", Asked::Part(2..10)),
            ("bytes=9-99999999999999999999999", Asked::Part(9..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-11", Asked::Part(0..10)),
            ("bytes= , 1-2 ,", Asked::Part(1..3)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=10-11", Asked::Beyond),
            ("bytes=99999999999999999999999-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=1 - 2", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("1-2", Asked::Whole),
        ] {
            assert_eq!(ask(Method::GET, &[(RANGE, range)]), wanted, "{range}");
            assert_eq!(ask(Method::HEAD, &[(RANGE, range)]), Asked::Whole, "{range}");
        }
        assert_eq!(read("bytes=0-", 0), Some(0..0));
    }

    #[test]
    fn conditions() {
        let part = (RANGE, "bytes=0-1");
        for (field, value, wanted) in [
            (IF_RANGE, TAG, Asked::Part(0..2)),
            (IF_RANGE, "W/\"B1\"", Asked::Whole),
            (IF_RANGE, "\"B2\"", Asked::Whole),
            (IF_RANGE, "Sat, 28 Nov 2026 09:00:00 GMT", Asked::Whole),
            (IF_NONE_MATCH, TAG, Asked::Known),
            (IF_NONE_MATCH, "\"x\", W/\"B1\"", Asked::Known),
            (IF_NONE_MATCH, "*", Asked::Known),
            (IF_NONE_MATCH, "\"B2\"", Asked::Part(0..2)),
            (IF_MATCH, "\"B2\", \"B1\"", Asked::Part(0..2)),
            (IF_MATCH, "*", Asked::Part(0..2)),
            (IF_MATCH, "W/\"B1\"", Asked::Another),
            (IF_MATCH, "\"B2\"", Asked::Another),
        ] {
            assert_eq!(ask(Method::GET, &[part.clone(), (field.clone(), value)]), wanted, "{field}: {value}");
        }
    }
}
