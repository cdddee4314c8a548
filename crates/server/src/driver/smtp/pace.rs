//! How long a client may keep a session waiting (RFC 5321 §4.5.3.2), and how slowly a message may come.

use std::time::Duration;

use smtp::{Waiting, WaitingFor};
use tokio::time::Instant;

/// A body may stand still this long in all, on top of what its size allows: a new connection starts slowly, and a
/// lost packet stops it for seconds.
const GRACE: Duration = Duration::from_secs(20);

/// What happens when the client does nothing until [`Deadline::at`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    TimedOut,
    TooSlow,
}

/// Until when the session waits for the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) verdict: Verdict,
}

/// Keeps the time of one session.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waiting: Option<(WaitingFor, Instant)>,
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    /// Octets of the message when this stretch of it began.
    began_at: u64,
    /// Time spent waiting for it. What the server itself took to work is not the client's fault.
    waited: Duration,
}

impl Pace {
    /// Until when to wait for the client, from `now` on.
    pub(crate) fn deadline(&mut self, waiting: Waiting, now: Instant) -> Deadline {
        let since = match self.waiting {
            Some((on, since)) if on == waiting.on => since,
            _ => now,
        };
        self.waiting = Some((waiting.on, since));
        let silence = Deadline { at: since + waiting.timeout, verdict: Verdict::TimedOut };
        let (WaitingFor::Body(received), Some(rate)) = (waiting.on, waiting.minimum_rate) else {
            self.body = None;
            return silence;
        };
        let body = self.body.get_or_insert(Body { began_at: received, waited: Duration::ZERO });
        let octets = received.saturating_sub(body.began_at);
        let earned = Duration::from_secs(octets / u64::from(rate.max(1)));
        let slow = now + (GRACE + earned).saturating_sub(body.waited);
        if slow < silence.at { Deadline { at: slow, verdict: Verdict::TooSlow } } else { silence }
    }

    /// The client kept the session waiting so long before it sent something.
    pub(crate) fn waited(&mut self, time: Duration) {
        if let Some(body) = &mut self.body {
            body.waited += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: Duration = Duration::from_secs(300);
    const BODY: Duration = Duration::from_secs(180);

    fn command(number: u64) -> Waiting {
        Waiting { on: WaitingFor::Command(number), timeout: COMMAND, minimum_rate: None }
    }

    fn body(octets: u64) -> Waiting {
        Waiting { on: WaitingFor::Body(octets), timeout: BODY, minimum_rate: Some(500) }
    }

    #[test]
    fn a_command_in_small_pieces_gets_no_more_time() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let later = start + Duration::from_secs(200);
        assert_eq!(pace.deadline(command(1), start).at, start + COMMAND);
        assert_eq!(pace.deadline(command(1), later).at, start + COMMAND);
        assert_eq!(pace.deadline(command(2), later).at, later + COMMAND);
    }

    #[test]
    fn a_byte_every_ten_seconds_is_too_slow() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for octet in 0..2 {
            let deadline = pace.deadline(body(octet), now);
            assert_eq!(deadline.verdict, Verdict::TooSlow);
            assert!(deadline.at > now);
            now += Duration::from_secs(10);
            pace.waited(Duration::from_secs(10));
        }
        assert!(pace.deadline(body(2), now).at <= now);
    }

    #[test]
    fn what_came_quickly_earns_patience() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.deadline(body(0), now);
        pace.waited(Duration::from_secs(1));
        let deadline = pace.deadline(body(1 << 20), now);
        assert_eq!((deadline.verdict, deadline.at), (Verdict::TimedOut, now + BODY));
        pace.deadline(command(9), now);
        assert_eq!(pace.deadline(body(2 << 20), now).at, now + GRACE, "another stretch starts anew");
    }
}
