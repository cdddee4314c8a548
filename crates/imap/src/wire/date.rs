//! Dates as commands write them and INTERNALDATE shows them (RFC 9051 §9 `date`, `date-time`).

use std::fmt;

use types::Timestamp;

use super::cursor::{Cursor, Syntax};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY: i64 = 86_400;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i64);

/// A moment with a zone, as APPEND takes it. Shown in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(Timestamp);

impl Date {
    /// The day of the proleptic Gregorian calendar; `None` if there is no such day.
    pub fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        if year > 9999 || !(1..=length).contains(&day) {
            return None;
        }
        // Days before March 1st of the year, in a calendar whose years begin in March.
        let (year, month) = (i64::from(year) - i64::from(month <= 2), i64::from((month + 9) % 12));
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        Some(Self(days + (month * 153 + 2) / 5 + i64::from(day) - 1 - 719_468))
    }

    /// The day in UTC on which `moment` falls.
    pub fn of(moment: Timestamp) -> Self {
        Self(i64::try_from(moment.secs()).unwrap_or(i64::MAX).div_euclid(DAY))
    }

    /// Its first second, counted from 1970-01-01T00:00:00.
    pub const fn begins(self) -> i64 {
        self.0.saturating_mul(DAY)
    }

    /// The day after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// `1-Feb-1994`, with or without quotation marks.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let quoted = cursor.take(b'"');
        let date = day_month_year(cursor)?;
        if quoted {
            cursor.demand(b'"', "a closing quotation mark")?;
        }
        Ok(date)
    }

    /// Year, month from 1, day from 1.
    fn civil(self) -> (i64, usize, i64) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let date = day - (153 * month + 2) / 5 + 1;
        let from_january = (month + 2) % 12;
        (era * 400 + year + i64::from(from_january < 2), usize::try_from(from_january).unwrap_or(0) + 1, date)
    }
}

impl DateTime {
    /// `"17-Jul-1996 02:44:25 -0700"`. Moments before 1970 become 1970.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.demand(b'"', "a date-time in quotation marks")?;
        let _ = cursor.take(b' ');
        let date = day_month_year(cursor)?;
        cursor.space()?;
        let hour = two_digits(cursor, 23)?;
        cursor.demand(b':', "a colon")?;
        let minute = two_digits(cursor, 59)?;
        cursor.demand(b':', "a colon")?;
        let second = two_digits(cursor, 60)?;
        cursor.space()?;
        let sign = match cursor.take(b'+') {
            true => 1,
            false => cursor.demand(b'-', "+ or -").map(|()| -1)?,
        };
        let zone = sign * (two_digits(cursor, 99)? * 3600 + two_digits(cursor, 59)? * 60);
        cursor.demand(b'"', "a closing quotation mark")?;
        Ok(Self(Timestamp::from_secs(date.0 * DAY + hour * 3600 + minute * 60 + second - zone)))
    }

    /// The moment.
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for DateTime {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl fmt::Display for DateTime {
    /// Without the quotation marks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = Date::of(self.0).civil();
        let second = self.0.secs() % 86_400;
        let month = MONTHS.get(month - 1).copied().unwrap_or("Jan");
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000")
    }
}

fn day_month_year(cursor: &mut Cursor<'_>) -> Result<Date, Syntax> {
    let day = cursor.number()?;
    cursor.demand(b'-', "a hyphen")?;
    let month = MONTHS.iter().position(|m| cursor.take_word(m));
    let month = month.ok_or_else(|| cursor.expected("a month"))?;
    cursor.demand(b'-', "a hyphen")?;
    let year = cursor.run(|b| b.is_ascii_digit());
    let year = std::str::from_utf8(&year).ok().filter(|y| y.len() == 4).and_then(|y| y.parse().ok());
    let date = year.and_then(|y| Date::new(y, u32::try_from(month).ok()? + 1, day));
    date.ok_or_else(|| cursor.expected("a day of the calendar"))
}

fn two_digits(cursor: &mut Cursor<'_>, most: i64) -> Result<i64, Syntax> {
    let digit = |c: &mut Cursor<'_>| {
        let byte = c.peek().filter(u8::is_ascii_digit).ok_or_else(|| c.expected("two digits"))?;
        let _ = c.take(byte);
        Ok(i64::from(byte - b'0'))
    };
    let value = digit(cursor)? * 10 + digit(cursor)?;
    if value > most { Err(cursor.expected("a time of day")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Frame;

    #[test]
    fn dates_are_days() {
        let date = |s: &'static str| Date::parse(&mut Cursor::new(&Frame::line(s)));
        assert_eq!(date("1-Jan-1970"), Ok(Date(0)));
        assert_eq!(date("\"1-jan-1971\""), Ok(Date(365)));
        assert_eq!(date("29-Feb-2000"), Ok(Date(11_016)));
        assert_eq!(date("01-Mar-2000"), Ok(Date(11_017)));
        assert!(date("1-Jan-0000").is_ok());
        for bad in [
            "29-Feb-1900",
            "31-Apr-2000",
            "0-Jan-2000",
            "1-Foo-2000",
            "1-Jan-20",
            "\"1-Jan-2000",
            "1-Jan-20000",
        ] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn date_time_in_any_zone() {
        let frame = Frame::line("\"17-Jul-1996 02:44:25 -0700\"");
        let moment = DateTime::parse(&mut Cursor::new(&frame)).unwrap();
        assert_eq!(moment.timestamp(), Timestamp::from_secs(837_596_665));
        assert_eq!(moment.to_string(), "17-Jul-1996 09:44:25 +0000");
        let frame = Frame::line("\" 1-Jan-1960 02:44:25 +0000\"");
        assert_eq!(DateTime::parse(&mut Cursor::new(&frame)).unwrap().timestamp(), Timestamp(0));
    }

    proptest! {
        #[test]
        fn written_and_read_again(secs in 0_i64..253_402_300_799) {
            let moment = DateTime(Timestamp::from_secs(secs));
            let frame = Frame::line(format!("\"{moment}\""));
            prop_assert_eq!(DateTime::parse(&mut Cursor::new(&frame)), Ok(moment));
        }
    }
}
