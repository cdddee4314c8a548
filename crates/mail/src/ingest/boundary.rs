//! The boundary lines that the scanner waits for (RFC 2046 §5.1.1).
//!
//! A line is looked up by hash, so that a hundred open multiparts cost no more per line than one. It matches
//! as a whole, trailing white space aside: boundaries that are prefixes of each other cannot be mixed up.

/// The boundaries of the open multiparts, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    open: Vec<(u64, Vec<u8>)>,
    /// How many open boundaries have a hash with that low byte: refuses nearly all lines at once.
    low: Vec<u8>,
}

/// A line that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Delimiter {
    /// Which open boundary, counted from the outermost.
    pub(super) level: usize,
    /// Whether it is the last one of its multipart, with `--` at its end.
    pub(super) closes: bool,
}

impl Boundaries {
    /// RFC 2046 allows 70 octets; senders do exceed it.
    pub(super) const MAX_LEN: usize = 250;

    pub(super) fn push(&mut self, boundary: &[u8]) {
        let hash = hash(boundary);
        self.low.resize(256, 0);
        if let Some(count) = self.low.get_mut(usize::from(hash as u8)) {
            *count = count.saturating_add(1);
        }
        self.open.push((hash, boundary.to_vec()));
    }

    pub(super) fn truncate(&mut self, len: usize) {
        for (hash, _) in self.open.drain(len.min(self.open.len())..) {
            if let Some(count) = self.low.get_mut(usize::from(hash as u8)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What `line`, which begins with `--`, delimits.
    pub(super) fn find(&self, line: &[u8]) -> Option<Delimiter> {
        let text = line.get(2..)?;
        // Trailing white space may be longer than any boundary, so it is cut before the length is judged.
        let text = text.trim_ascii_end();
        if text.len() > Self::MAX_LEN + 2 {
            return None;
        }
        let opens = self.position(text).map(|level| Delimiter { level, closes: false });
        let closes = text
            .strip_suffix(b"--")
            .and_then(|text| self.position(text))
            .map(|level| Delimiter { level, closes: true });
        match (opens, closes) {
            (Some(opens), Some(closes)) if closes.level > opens.level => Some(closes),
            (None, closes) => closes,
            (opens, _) => opens,
        }
    }

    fn position(&self, text: &[u8]) -> Option<usize> {
        let hash = hash(text);
        if self.low.get(usize::from(hash as u8)).is_none_or(|count| *count == 0) {
            return None;
        }
        self.open.iter().rposition(|(other, boundary)| *other == hash && boundary == text)
    }
}

fn hash(text: &[u8]) -> u64 {
    let hash =
        text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_prefixes_and_endings_apart() {
        let mut open = Boundaries::default();
        for boundary in [&b"a"[..], b"ab", b"a--", b"ab--"] {
            open.push(boundary);
        }
        let find = |line: &[u8]| open.find(line).map(|d| (d.level, d.closes));
        assert_eq!(find(b"--a\r\n"), Some((0, false)));
        assert_eq!(find(b"--ab \t\r\n"), Some((1, false)));
        assert_eq!(find(b"--a--\n"), Some((2, false)));
        assert_eq!(find(b"--ab--"), Some((3, false)));
        assert_eq!(find(b"--ab----"), Some((3, true)));
        assert_eq!(find(b"--abc"), None);
        assert_eq!(find(b"--"), None);
    }

    #[test]
    fn the_innermost_of_equals_wins_until_it_is_gone() {
        let mut open = Boundaries::default();
        open.push(b"x");
        open.push(b"x");
        assert_eq!(open.find(b"--x--").map(|d| d.level), Some(1));
        open.truncate(1);
        assert_eq!(open.find(b"--x--").map(|d| d.level), Some(0));
        open.truncate(0);
        assert_eq!(open.find(b"--x--"), None);
    }
}
