//! Search results in the order in which they are told: ranges of them (RFC 9394), and how they are written.

use std::fmt;
use std::ops::Range;

use super::cursor::{Cursor, Syntax};

/// `partial-range`: which of the results, counted from the first or, with minus signs, from the last (RFC 9394 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultRange {
    first: u32,
    last: u32,
    from_end: bool,
}

/// Numbers in an order of their own; runs that ascend by one are written as ranges (RFC 5267 §3.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Runs(Vec<(u32, u32)>);

impl ResultRange {
    /// Parses `1:500` or `-1:-500`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let from_end = cursor.take(b'-');
        let first = cursor.positive()?;
        cursor.demand(b':', "a colon")?;
        if from_end {
            cursor.demand(b'-', "a minus sign on both sides")?;
        }
        Ok(Self { first, last: cursor.positive()?, from_end })
    }

    /// Whether it is counted from the last.
    pub const fn is_from_end(&self) -> bool {
        self.from_end
    }

    /// How many results there are from where it is counted up to its end.
    pub fn farthest(&self) -> usize {
        self.first.max(self.last) as usize
    }

    /// The indexes that it means among `count` results.
    pub fn of(&self, count: usize) -> Range<usize> {
        let nearest = (self.first.min(self.last) as usize - 1).min(count);
        let farthest = self.farthest().min(count);
        if self.from_end { count - farthest..count - nearest } else { nearest..farthest }
    }
}

impl fmt::Display for ResultRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.first, self.last)
    }
}

impl Runs {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for Runs {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => runs.push((number, number)),
            }
        }
        Self(runs)
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.0 {
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}:{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;

    fn range(text: &'static str) -> Result<ResultRange, Syntax> {
        let frame = Frame::line(text);
        let mut cursor = Cursor::new(&frame);
        let range = ResultRange::parse(&mut cursor)?;
        cursor.end().map(|()| range)
    }

    #[test]
    fn ranges_count_from_either_end() {
        for (text, count, expected) in [
            ("1:3", 10, 0..3),
            ("3:1", 10, 0..3),
            ("-1:-3", 10, 7..10),
            ("-3:-1", 10, 7..10),
            ("8:20", 10, 7..10),
            ("-8:-20", 10, 0..3),
            ("11:20", 10, 10..10),
            ("-11:-20", 10, 0..0),
            ("4294967295:1", 2, 0..2),
            ("1:1", 0, 0..0),
        ] {
            assert_eq!(range(text).unwrap().of(count), expected, "{text}");
            assert_eq!(range(text).unwrap().to_string(), text);
        }
        for bad in ["0:1", "1", "-1:1", "1:-1", "1:*", "1:2:3", ""] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_ascending_runs_become_ranges() {
        let runs = |numbers: &[u32]| numbers.iter().copied().collect::<Runs>().to_string();
        assert_eq!(runs(&[5, 3, 2, 1]), "5,3,2,1");
        assert_eq!(runs(&[1, 2, 3, 9, 8, 4, 5]), "1:3,9,8,4:5");
        assert_eq!(runs(&[]), "");
    }
}
