//! The Date field (RFC 5322 §3.3 and §4.3), and what else is found in it.
//!
//! Our own, because the parser library takes `Sat Sep 21 08:18:08 2002` for a day in August and
//! `2002/09/14` for one in 2129.

use crate::record::metadata::SentAt;

/// The longest value that can be a date, comments included.
const MAX_LEN: usize = 256;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Zones by name, in hours east of UTC. Single letters mean nothing (RFC 5322 §4.3).
const ZONES: [(&str, i16); 18] = [
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("wet", 0),
    ("bst", 1),
    ("cet", 1),
    ("cest", 2),
    ("met", 1),
    ("kst", 9),
    ("jst", 9),
];

/// The moment that a Date field names, or nothing if it names none. The pieces may come in any order. Without
/// a zone it is taken as UTC; years of two or three digits, and the year 0102 that old programs took 2002
/// for, are completed (RFC 5322 §4.3).
pub fn sent_at(value: &[u8]) -> Option<SentAt> {
    let mut date = Pieces::default();
    let text = without_comments(value.get(..MAX_LEN).unwrap_or(value));
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        date.read(word)?;
    }
    date.moment()
}

#[derive(Default)]
struct Pieces {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// Seconds of the day.
    time: Option<i64>,
    /// Minutes east of UTC.
    zone: Option<i16>,
}

impl Pieces {
    /// Reads one word. Words that mean nothing are passed over; nothing is returned for an impossible one.
    fn read(&mut self, word: &str) -> Option<()> {
        if word.contains(':') {
            if self.time.is_none() {
                self.time = Some(time(word)?);
            }
        } else if let Some(zone) = self.time.and_then(|_| offset(word)) {
            self.zone = self.zone.or(Some(zone));
        } else {
            for piece in word.split(['-', '/', '.']).filter(|piece| !piece.is_empty()) {
                self.piece(piece)?;
            }
        }
        Some(())
    }

    fn piece(&mut self, piece: &str) -> Option<()> {
        let lower = piece.to_ascii_lowercase();
        let month = MONTHS.iter().position(|month| lower.starts_with(month));
        match piece.parse::<u16>().map(i64::from) {
            Ok(number)
                if piece.len() <= 2
                    && self.day.is_none()
                    && !(self.month.is_none() && self.year.is_some()) =>
            {
                self.day = Some(number);
            }
            // `2002/09/14`: the month follows the year.
            Ok(number) if piece.len() <= 2 && self.day.is_none() => self.month = Some(number),
            Ok(number) if self.year.is_none() && piece.len() <= 4 => {
                self.year = Some(year(number, piece.len()))
            }
            Ok(_) => {}
            Err(_) if let Some(month) = month => self.month = self.month.or(i64::try_from(month + 1).ok()),
            Err(_) => {
                let zone = ZONES.iter().find(|(name, _)| *name == lower).map(|(_, hours)| hours * 60);
                self.zone = self.zone.or(zone);
            }
        }
        Some(())
    }

    fn moment(self) -> Option<SentAt> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && (1900..=9999).contains(&year);
        let zone = self.zone.unwrap_or(0);
        let secs = days_since_1970(year, month, day) * 86_400 + self.time? - i64::from(zone) * 60;
        fits.then_some(SentAt { secs, zone })
    }
}

fn time(word: &str) -> Option<i64> {
    let mut parts = word.splitn(3, ':').map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        part.get(..digits).and_then(|digits| digits.parse::<u8>().ok()).map(i64::from)
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    // A leap second is told as the one before it.
    let second = parts.next().flatten().unwrap_or(0).min(59);
    (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// `+0900`, `-0330`, and the `+-0500` of one old program.
fn offset(word: &str) -> Option<i16> {
    let digits = word.strip_prefix(['+', '-'])?;
    let west = word.starts_with('-') || digits.starts_with('-');
    let digits = digits.trim_start_matches('-');
    if digits.len() != 4 {
        return None;
    }
    let number = digits.parse::<i16>().ok()?;
    let minutes = number / 100 * 60 + number % 100;
    (number % 100 < 60 && minutes < 24 * 60).then_some(if west { -minutes } else { minutes })
}

fn year(number: i64, digits: usize) -> i64 {
    match number {
        0..=49 if digits <= 2 => number + 2000,
        50..=999 => number + 1900,
        _ => number,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; counts years from March, so that the leap day is
/// the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn without_comments(value: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut text = String::new();
    for byte in value {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            byte if byte.is_ascii() => text.push(char::from(*byte)),
            _ => text.push(' '),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates() {
        let cases = [
            ("Tue, 1 Jul 2003 10:52:37 +0200", Some((1057049557, 120))),
            ("1 Jul 2003 10:52 -0330", Some((1057069320, -210))),
            ("Thu, 13\r\n Feb 1969 23:32:54 -0330 (Newfoundland Time)", Some((-27723426, -210))),
            ("21 Nov 97 09:55:06 GMT", Some((880106106, 0))),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", None),
            ("Fri, 21 Nov 1997 09:55:06 EST", Some((880124106, -300))),
            ("31 Dec 2016 23:59:60 +0000", Some((1483228799, 0))),
            ("Sun, 19 Oct 1980 10:55:16", Some((340800916, 0))),
            ("Mon, 10 Jun 0102 16:27:33 +0600", Some((1023704853, 360))),
            ("Mon, 10 Jun 102 16:27:33 +0600", Some((1023704853, 360))),
            ("Sat Sep 21 08:18:08 2002", Some((1032596288, 0))),
            ("2002/09/14 Sat 02:29:32 CDT", Some((1031988572, -300))),
            ("Tue, 15-Nov-1994 08:12:31 -0500", Some((784905151, -300))),
            ("Mon, 22 Jul 2002 0:4:52 +-0500", Some((1027314292, -300))),
            ("29 Feb 2024 00:00:00 +0000", Some((1709164800, 0))),
            ("Mon Jul  4 2022", None),
            ("99 Foo 2003 10:52:37 +0200", None),
            ("1 Jan 99999 00:00:00 +0000", None),
            ("yesterday, around tea time", None),
            ("25:00", None),
            ("", None),
        ];
        for (value, date) in cases {
            assert_eq!(sent_at(value.as_bytes()).map(|d| (d.secs, d.zone)), date, "{value:?}");
        }
    }
}
