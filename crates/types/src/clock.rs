//! Time and randomness as arguments, so that expiry, back-off and leases are tested in virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use minicbor::{Decode, Encode};
use rand::Rng;

/// A moment in milliseconds since 1970-01-01T00:00:00Z. Moments before that are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode, Default)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] pub u64);

impl Timestamp {
    /// From whole seconds since 1970; negative ones become zero.
    pub fn from_secs(secs: i64) -> Self {
        Self(u64::try_from(secs).unwrap_or(0).saturating_mul(1000))
    }

    /// Whole seconds since 1970.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `after` later.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The moment `before` earlier, not before 1970.
    #[must_use]
    pub fn minus(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As it stands in a `Date:` field (RFC 5322 §3.3), in UTC.
    pub fn rfc5322(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, seconds) = (self.secs() / 86_400, self.secs() % 86_400);
        let weekday = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
        let (year, month, day) = civil(days);
        let month = MONTHS.get(month).copied().unwrap_or_default();
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

/// Year, month from zero, and day of the month, from days since 1970.
fn civil(days: u64) -> (u64, usize, u64) {
    // Years begin in March here, so that the leap day is the last of its year; an era is 400 of them.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(from_march >= 10);
    (year, month as usize, day)
}

/// Where a component gets the time from: the system, or a hand that a test moves.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Hands>>);

/// What a manual clock shows.
#[derive(Debug, Default)]
struct Hands {
    wall: AtomicU64,
    steady: AtomicU64,
}

impl Clock {
    /// The system's clocks.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `start` until the [`ManualClock`] moves it.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hands = Arc::new(Hands { wall: AtomicU64::new(start.0), steady: AtomicU64::new(0) });
        (Self(Some(hands.clone())), ManualClock(hands))
    }

    /// The present moment, as the wall clock shows it. Operators and time servers may set it, forward or back.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(hands) => Timestamp(hands.wall.load(Ordering::SeqCst)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }

    /// How long it is since some moment in this process's past. Nobody can set it: what counts is the difference
    /// of two readings.
    pub fn steady(&self) -> Duration {
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        match &self.0 {
            Some(hands) => Duration::from_millis(hands.steady.load(Ordering::SeqCst)),
            None => BEGINNING.get_or_init(Instant::now).elapsed(),
        }
    }
}

/// The hand of a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

impl ManualClock {
    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.wall.fetch_add(millis, Ordering::SeqCst);
        self.0.steady.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock, forward or back, as somebody does with a machine's: no time passes.
    pub fn set(&self, to: Timestamp) {
        self.0.wall.store(to.0, Ordering::SeqCst);
    }
}

/// Where a component gets unguessable bytes from.
pub struct Randomness;

impl Randomness {
    /// Fresh bytes from the thread's cryptographic generator.
    pub fn bytes<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_wall_clock_lets_no_time_pass() {
        let (clock, hand) = Clock::manual(Timestamp(1_000));
        hand.advance(Duration::from_secs(5));
        hand.set(Timestamp(0));
        assert_eq!((clock.now(), clock.steady()), (Timestamp(0), Duration::from_secs(5)));
        let before = Clock::system().steady();
        assert!(Clock::system().steady() >= before);
    }

    #[test]
    fn dates() {
        let table = [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
        ];
        for (secs, text) in table {
            assert_eq!(Timestamp::from_secs(secs).rfc5322(), text);
        }
    }
}
