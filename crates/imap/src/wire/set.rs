//! Sequence sets (RFC 9051 §9 `sequence-set`): bounded, sorted, merged.

use std::fmt;

use super::cursor::{Cursor, Syntax};

/// What the numbers of a command name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers; the command came with `UID` before it.
    Uid,
}

/// A set of message numbers in normal form: its size depends on the number of gaps, not on how it was written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SequenceSet {
    /// Sorted, disjoint, not adjacent, and below `star`; inclusive.
    ranges: Vec<(u32, u32)>,
    /// The lowest `n` of all `n:*`. A bare `*` counts as `4294967295:*`.
    star: Option<u32>,
}

/// A sequence set, or the result that the last search saved (RFC 9051 §6.4.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageSet {
    /// Numbers.
    Numbers(SequenceSet),
    /// `$`
    Saved,
}

impl MessageSet {
    /// Parses a sequence set or `$`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        if cursor.take(b'$') { Ok(Self::Saved) } else { SequenceSet::parse(cursor).map(Self::Numbers) }
    }
}

impl SequenceSet {
    /// Parses `1,3:5,7:*`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut ranges = Vec::new();
        let mut star: Option<u32> = None;
        loop {
            let first = number_or_star(cursor)?;
            let last = if cursor.take(b':') { number_or_star(cursor)? } else { first };
            match (first, last) {
                (Some(a), Some(b)) => ranges.push((a.min(b), a.max(b))),
                (Some(n), None) | (None, Some(n)) => star = Some(star.unwrap_or(u32::MAX).min(n)),
                (None, None) => star = Some(star.unwrap_or(u32::MAX)),
            }
            if !cursor.take(b',') {
                return Ok(Self::normal(merge(ranges), star));
            }
        }
    }

    /// `n:*` takes in every range that reaches up to `n`.
    fn normal(mut ranges: Vec<(u32, u32)>, mut star: Option<u32>) -> Self {
        while let (Some((first, last)), Some(n)) = (ranges.last().copied(), star)
            && last.saturating_add(1) >= n
        {
            star = Some(first.min(n));
            ranges.pop();
        }
        Self { ranges, star }
    }

    /// The set of these numbers.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        Self { ranges: merge(ranges.into_iter().collect()), star: None }
    }

    /// The set of these numbers, which must ascend.
    pub fn from_ascending(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for n in numbers {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
                _ => ranges.push((n, n)),
            }
        }
        Self { ranges, star: None }
    }

    /// Inclusive ranges, sorted and disjoint, when `largest` is the largest number in use: what `*` stands for.
    pub fn resolve(&self, largest: u32) -> Vec<(u32, u32)> {
        let Some(star) = self.star else { return self.ranges.clone() };
        let mut ranges = self.ranges.clone();
        ranges.push((star.min(largest), largest));
        merge(ranges)
    }

    /// The largest number named, `*` aside.
    pub fn largest(&self) -> Option<u32> {
        let star = self.star.filter(|n| *n != u32::MAX);
        self.ranges.last().map(|(_, last)| *last).max(star)
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        self.star.is_some()
    }

    /// How many numbers are in the set, `*` aside.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether it names one message: `7` or `*`.
    pub fn is_one(&self) -> bool {
        match (&self.ranges[..], self.star) {
            ([(first, last)], None) => first == last,
            ([], Some(star)) => star == u32::MAX,
            _ => false,
        }
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.star.is_none()
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.ranges {
            if first == last {
                write!(f, "{comma}{first}")?
            } else {
                write!(f, "{comma}{first}:{last}")?
            }
            comma = ",";
        }
        match self.star {
            Some(u32::MAX) => write!(f, "{comma}*"),
            Some(n) => write!(f, "{comma}{n}:*"),
            None => Ok(()),
        }
    }
}

fn number_or_star(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Syntax> {
    if cursor.take(b'*') { Ok(None) } else { cursor.positive().map(Some) }
}

fn merge(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len().min(64));
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::Frame;

    fn set(text: &str) -> SequenceSet {
        let frame = Frame::line(text.to_owned());
        let mut cursor = Cursor::new(&frame);
        let set = SequenceSet::parse(&mut cursor).unwrap();
        cursor.end().unwrap();
        set
    }

    #[test]
    fn normal_form() {
        assert_eq!(set("5,1:3,2:4,9:7").to_string(), "1:5,7:9");
        assert_eq!(set("*").resolve(7), [(7, 7)]);
        assert_eq!(set("9:*,12:*").resolve(7), [(7, 7)]);
        assert_eq!(set("9:*,12:*").resolve(20), [(9, 20)]);
        assert_eq!(set("*:3").resolve(7), [(3, 7)]);
        assert_eq!(set("4294967295,4294967294").to_string(), "4294967294:4294967295");
    }

    #[test]
    fn a_set_of_many_ranges_is_correct() {
        let text: Vec<String> = (0..100_000).rev().map(|n| format!("{}:{}", 3 * n + 2, 3 * n + 1)).collect();
        let set = set(&text.join(","));
        assert_eq!(set.resolve(1).len(), 100_000);
        assert_eq!(set.resolve(1)[99_999], (299_998, 299_999));
    }

    #[test]
    fn bad_sets() {
        for bad in ["", "0", "1:", "1,", ":1", "1,,2", "a", "1:2:3", "4294967296", "$1"] {
            let frame = Frame::line(bad);
            let mut cursor = Cursor::new(&frame);
            assert!(SequenceSet::parse(&mut cursor).and_then(|_| cursor.end()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn means_what_it_says(parts in prop::collection::vec((1_u32..50, prop::option::of(1_u32..50)), 1..12), max in 1_u32..60) {
            let mut text = Vec::new();
            let mut model = BTreeSet::new();
            for (a, b) in parts {
                text.push(b.map_or_else(|| format!("{a}:*"), |b| format!("{a}:{b}")));
                let b = b.unwrap_or(max);
                model.extend((a.min(b)..=a.max(b)).filter(|n| *n <= max));
            }
            let got: BTreeSet<u32> = set(&text.join(","))
                .resolve(max)
                .iter()
                .flat_map(|(a, b)| *a..=*b)
                .filter(|n| *n <= max)
                .collect();
            prop_assert_eq!(got, model);
        }

        #[test]
        fn written_and_read_again(ranges in prop::collection::vec((1_u32.., 1_u32..), 1..20)) {
            let ranges = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b)));
            let one = SequenceSet::from_ranges(ranges);
            prop_assert_eq!(set(&one.to_string()), one);
        }
    }
}
