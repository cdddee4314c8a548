//! Days, as reports count them: from midnight to midnight, UTC.

use std::fmt;
use std::time::Duration;

use minicbor::{Decode, Encode};
use types::Timestamp;

const MILLIS: u64 = 86_400_000;

/// A day in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Day(#[n(0)] pub u32);

impl Day {
    /// The day of a moment.
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.0 / MILLIS).unwrap_or(u32::MAX))
    }

    /// Its midnight at the beginning.
    pub fn begin(self) -> Timestamp {
        Timestamp(u64::from(self.0) * MILLIS)
    }

    /// Its midnight at the end, which is already the next day.
    pub fn end(self) -> Timestamp {
        self.begin().plus(Duration::from_millis(MILLIS))
    }

    /// So many days earlier.
    #[must_use]
    pub const fn earlier(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Year, month and day of the month, each from 1.
    fn civil(self) -> (u64, u64, u64) {
        // Years begin in March here, so that the leap day is the last of its year; an era is 400 of them.
        let days = u64::from(self.0) + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = (from_march + 2) % 12 + 1;
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }

    /// The day of a date in the Gregorian calendar; none if there is no such date since 1970.
    pub(crate) fn from_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
            return None;
        }
        let (from_march, year) = ((month + 9) % 12, year - u64::from(month <= 2));
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_year = (153 * from_march + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
        let found = Self(u32::try_from(days).ok()?);
        (found.civil() == (year + u64::from(month <= 2), month, day)).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates() {
        for (days, text) in
            [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_785, "2026-11-28")]
        {
            assert_eq!(Day(days).to_string(), text);
            let mut parts = text.split('-').map(|part| part.parse().unwrap());
            let mut next = || parts.next().unwrap();
            assert_eq!(Day::from_civil(next(), next(), next()), Some(Day(days)), "{text}");
        }
        for (year, month, day) in [(2026, 2, 29), (2026, 13, 1), (2026, 0, 1), (2026, 4, 31), (1969, 12, 31)]
        {
            assert_eq!(Day::from_civil(year, month, day), None, "{year}-{month}-{day}");
        }
        let day = Day::of(Timestamp(86_400_000 * 3 - 1));
        assert_eq!((day, day.end(), Day::of(day.end())), (Day(2), Timestamp(86_400_000 * 3), Day(3)));
    }
}
