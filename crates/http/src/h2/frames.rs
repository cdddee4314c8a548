//! Frames that ask for nothing: pings, settings, priorities, streams that are taken back, bodies without octets. Each is
//! cheap for whoever sends it and makes us work, so a connection has a budget for them; what is useful fills it up again.
//!
//! h2 bounds the memory that they take, and streams that are taken back at once. It does not mind how often a client
//! pings.

use tokio::time::Instant;

/// What a connection begins with, in thousandths of a frame, and what it can save up.
const FIRST: u64 = 1_000 * FRAME;
const MOST: u64 = 10_000 * FRAME;
/// One frame.
const FRAME: u64 = 1_000;
/// What comes back in a millisecond: ten frames in a second.
const PER_MILLISECOND: u64 = 10;
/// What a request is worth: its client will acknowledge its answer.
const PER_REQUEST: u64 = 4 * FRAME;
/// What an octet is worth that the client has taken: it makes room for more (WINDOW_UPDATE).
const PER_OCTET: u64 = 2;

/// What a client sends before its first frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// The head of a frame: length, type, flags, stream (§4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// Counts the frames that a client sends. It reads their heads only; whether they are right is not its business.
pub(super) struct Frames {
    /// Octets to come that are no head.
    skip: usize,
    head: [u8; HEAD],
    /// Octets of the head that are there.
    have: usize,
    budget: u64,
    filled: Instant,
}

impl Frames {
    pub(super) const fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], have: 0, budget: FIRST, filled: now }
    }

    /// Whether the client may go on, now that it has sent this.
    pub(super) fn received(&mut self, mut octets: &[u8], now: Instant) -> bool {
        let passed = u64::try_from(now.duration_since(self.filled).as_millis()).unwrap_or(u64::MAX);
        if passed > 0 {
            self.earn(passed.saturating_mul(PER_MILLISECOND));
            self.filled = now;
        }
        let mut may_go_on = true;
        while !octets.is_empty() {
            let skipped = self.skip.min(octets.len());
            self.skip -= skipped;
            octets = octets.get(skipped..).unwrap_or_default();
            let (begin, end) = (self.have, (self.have + octets.len()).min(HEAD));
            if let (Some(room), Some(part)) = (self.head.get_mut(begin..end), octets.get(..end - begin)) {
                room.copy_from_slice(part);
                octets = octets.get(end - begin..).unwrap_or_default();
                self.have = end;
            }
            if self.have == HEAD {
                may_go_on &= self.begins();
            }
        }
        may_go_on
    }

    /// The client has taken so many octets.
    pub(super) fn sent(&mut self, octets: usize) {
        self.earn((octets as u64).saturating_mul(PER_OCTET));
    }

    fn earn(&mut self, worth: u64) {
        self.budget = self.budget.saturating_add(worth).min(MOST);
    }

    /// A head is there.
    fn begins(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.have = 0;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let cost = match kind {
            HEADERS => {
                self.earn(PER_REQUEST);
                0
            }
            DATA if self.skip > 0 || flags & END_STREAM != 0 => 0,
            // A request was begun for it, and all streams may have to be gone through.
            RST_STREAM => 5 * FRAME,
            SETTINGS => 10 * FRAME,
            _ => FRAME,
        };
        let left = self.budget.checked_sub(cost);
        self.budget = left.unwrap_or_default();
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEAD + payload, 0);
        frame
    }

    fn begun() -> (Frames, Instant) {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert!(frames.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now));
        (frames, now)
    }

    /// How many of these are taken in a row.
    fn taken(frames: &mut Frames, now: Instant, frame: &[u8]) -> usize {
        (0..100_000).take_while(|_| frames.received(frame, now)).count()
    }

    #[test]
    fn what_asks_for_nothing_has_a_budget() {
        for (kind, flags, payload, most) in [
            (6, 0, 8, 1_000),
            (SETTINGS, 0, 6, 100),
            (SETTINGS, 1, 0, 100),
            (2, 0, 5, 1_000),
            (RST_STREAM, 0, 4, 200),
            (8, 0, 4, 1_000),
            (9, 0, 100, 1_000),
            (DATA, 0, 0, 1_000),
            (0xfa, 0, 3, 1_000),
        ] {
            let (mut frames, now) = begun();
            assert_eq!(taken(&mut frames, now, &frame(kind, flags, payload)), most, "{kind}");
        }
    }

    #[test]
    fn what_is_useful_has_none() {
        for (kind, flags, payload) in [(HEADERS, 5, 40), (DATA, 0, 1), (DATA, END_STREAM, 0)] {
            let (mut frames, now) = begun();
            assert_eq!(taken(&mut frames, now, &frame(kind, flags, payload)), 100_000, "{kind}");
        }
    }

    #[test]
    fn time_requests_and_answers_fill_it_up() {
        let ping = frame(6, 0, 8);
        let (mut frames, mut now) = begun();
        assert_eq!(taken(&mut frames, now, &ping), 1_000);
        now += Duration::from_secs(1);
        assert_eq!(taken(&mut frames, now, &ping), 10);
        assert!(frames.received(&frame(HEADERS, 5, 40), now));
        assert_eq!(taken(&mut frames, now, &ping), 4);
        frames.sent(16 << 10);
        assert_eq!(taken(&mut frames, now, &ping), 32);
        frames.sent(1 << 30);
        assert_eq!(taken(&mut frames, now, &ping), 10_000);
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for _ in 0..500 {
            stream.extend([frame(6, 0, 8), frame(DATA, 0, 700), frame(9, 0, 0)].concat());
        }
        for size in [1, 2, 7, 9, 10, 4096, stream.len()] {
            let now = Instant::now();
            let mut frames = Frames::new(now);
            assert!(stream.chunks(size).all(|piece| frames.received(piece, now)), "{size}");
            assert!(!frames.received(&frame(6, 0, 8), now), "{size}");
        }
    }
}
