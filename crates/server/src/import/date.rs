//! Dates as mail stores write them: asctime in From_ lines with all the variations of forty years, RFC 5322 in
//! header fields. Read by what each word looks like, not by its place.

use types::Timestamp;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The moment that `text` names. Without a time zone it counts as UTC; without month, day, year and time it is
/// no date.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let mut date = Parts::default();
    let mut comment = 0usize;
    for word in text.split(|b| b" \t\r\n,".contains(b)).filter(|word| !word.is_empty()) {
        // A comment such as (PDT) repeats what was said.
        let (opens, closes) = (count(word, b'('), count(word, b')'));
        if comment == 0 && opens == 0 {
            date.take(word);
        }
        comment = (comment + opens).saturating_sub(closes);
    }
    date.moment()
}

#[derive(Default)]
struct Parts {
    month: Option<u64>,
    day: Option<u64>,
    year: Option<i64>,
    /// Seconds since midnight.
    time: Option<u64>,
    /// Seconds east of Greenwich.
    zone: i64,
}

impl Parts {
    fn take(&mut self, word: &[u8]) {
        let number = || std::str::from_utf8(word).ok()?.parse::<u64>().ok();
        if let Some(time) = clock(word) {
            self.time.get_or_insert(time);
        } else if let Some(zone) = zone(word) {
            self.zone = zone;
        } else if word.first().is_some_and(u8::is_ascii_digit)
            && let Some(number) = number()
        {
            match number {
                1..=31 if word.len() <= 2 && self.day.is_none() => self.day = Some(number),
                0..=99 if word.len() == 2 => self.year = self.year.or(Some(short_year(number))),
                1900..=9999 => self.year = self.year.or(i64::try_from(number).ok()),
                _ => {}
            }
        } else if let Some(month) = month(word) {
            self.month.get_or_insert(month);
        } else if let [day, month, year] = word.split(|b| *b == b'-').collect::<Vec<_>>()[..] {
            // 1-Jan-2024
            [day, month, year].into_iter().for_each(|part| self.take(part));
        }
    }

    fn moment(&self) -> Option<Timestamp> {
        let days = days(self.year?, self.month?, self.day?);
        let seconds = i64::try_from(self.time?).ok()?;
        let moment = days * 86_400 + seconds - self.zone;
        (moment >= 0).then(|| Timestamp::from_secs(moment))
    }
}

fn count(word: &[u8], wanted: u8) -> usize {
    word.iter().filter(|b| **b == wanted).count()
}

/// `21:49`, `21:49:08`
fn clock(word: &[u8]) -> Option<u64> {
    let mut parts = word.split(|b| *b == b':').map(two_digits);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let valid = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    valid.then_some(hour * 3600 + minute * 60 + second)
}

fn two_digits(part: &[u8]) -> Option<u64> {
    match part {
        [a @ b'0'..=b'9'] => Some(u64::from(a - b'0')),
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u64::from(a - b'0') * 10 + u64::from(b - b'0')),
        _ => None,
    }
}

/// `+0200`, and the names of RFC 5322 §4.3.
fn zone(word: &[u8]) -> Option<i64> {
    if let [sign @ (b'+' | b'-'), a, b, c, d] = word {
        let (hours, minutes) = (two_digits(&[*a, *b])?, two_digits(&[*c, *d])?);
        let east = i64::try_from(hours * 3600 + minutes * 60).ok()?;
        return Some(if *sign == b'-' { -east } else { east });
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"UT" | b"UTC" | b"GMT" | b"Z" | b"WET" => 0,
        b"EST" | b"CDT" => -5,
        b"EDT" => -4,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        b"CET" | b"MET" | b"BST" | b"WEST" => 1,
        b"CEST" | b"MEST" | b"EET" => 2,
        b"EEST" => 3,
        b"KST" | b"JST" => 9,
        _ => return None,
    };
    Some(hours * 3600)
}

fn month(word: &[u8]) -> Option<u64> {
    let start = word.get(..3)?.to_ascii_lowercase();
    let found =
        word.iter().all(u8::is_ascii_alphabetic).then(|| MONTHS.iter().position(|m| **m == start[..]));
    found?.and_then(|index| u64::try_from(index).ok())
}

/// RFC 5322 §4.3.
fn short_year(year: u64) -> i64 {
    let year = i64::try_from(year).unwrap_or(0);
    if year < 50 { 2000 + year } else { 1900 + year }
}

/// Days since 1970 of a day of the Gregorian calendar; `month` counts from zero.
fn days(year: i64, month: u64, day: u64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year; an era is 400 of them.
    let (month, day) = (i64::try_from(month).unwrap_or(0), i64::try_from(day).unwrap_or(0));
    let year = if month < 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_in_use() {
        let table: [(&str, u64); 15] = [
            ("Wed Jun 30 21:49:08 1993", 741_476_948),
            ("Wed Jun 30 21:49 1993", 741_476_940),
            ("Wed Jun 30 21:49:08 GMT 1993", 741_476_948),
            ("Wed Jun 30 21:49:08 +0200 1993", 741_469_748),
            ("Wed Jun 30 21:49:08 1993 -0700", 741_502_148),
            ("Wed Jun 30 21:49:08 PDT 1993", 741_502_148),
            ("Wed, 30 Jun 1993 21:49:08 +0000", 741_476_948),
            ("Wed, 30 Jun 93 14:49:08 -0700 (PDT)", 741_476_948),
            ("30 Jun 1993 21:49:08 -0000", 741_476_948),
            ("Mon Jan  1 00:00:00 2024", 1_704_067_200),
            ("Thu Feb 29 12:00:00 2024", 1_709_208_000),
            ("Thu,  1 Jan 1970 00:00:00 +0000", 0),
            ("1-Jan-2024 00:00:00", 1_704_067_200),
            ("Sat, 31 December 2033 23:59:60 Z (leap) extra", 2_019_686_400),
            ("Thu, 01 Feb 2024 09:00:00 +0900 (KST)", 1_706_745_600),
        ];
        for (text, secs) in table {
            assert_eq!(parse(text.as_bytes()), Some(Timestamp::from_secs(secs as i64)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        let table = [
            "",
            "the beginning we knew",
            "Jun 30 1993",
            "21:49:08",
            "Wed Jun 30 25:49:08 1993",
            "Wed Jun 99 21:49:08",
            "May I come at 10:30",
            "Wed Dec 31 00:00:00 1920",
        ];
        for text in table {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
