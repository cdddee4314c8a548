//! Words and numbers for people: sizes, times, tables.

use std::fmt::Write;

use types::Timestamp;

use crate::problem::Problem;

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// `1.5 GiB`, `12 KiB`, `7 B`.
pub(crate) fn size(bytes: u64) -> String {
    for (unit, shift) in UNITS {
        if bytes >> shift > 0 {
            let tenths = bytes.saturating_mul(10) >> shift;
            return match tenths {
                ..100 => format!("{}.{} {unit}iB", tenths / 10, tenths % 10),
                _ => format!("{} {unit}iB", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}

/// Reads `500M`, `1.5G`, `2 GiB`, `1048576`.
pub(crate) fn parse_size(text: &str) -> Result<u64, Problem> {
    let unreadable =
        || Problem::invalid(format!("{text:?} is no size: write 500M, 1.5G or a number of bytes"));
    let trimmed = text.trim().to_ascii_uppercase();
    let trimmed = trimmed.strip_suffix("IB").or_else(|| trimmed.strip_suffix('B')).unwrap_or(&trimmed);
    let (number, shift) = match UNITS.iter().find(|(unit, _)| trimmed.ends_with(*unit)) {
        Some((unit, shift)) => (trimmed.trim_end_matches(*unit), *shift),
        None => (trimmed, 0),
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let whole: u64 = whole.parse().map_err(|_| unreadable())?;
    let mut bytes = whole.checked_mul(1 << shift).ok_or_else(unreadable)?;
    if !fraction.is_empty() {
        let digits =
            u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 6).ok_or_else(unreadable)?;
        let parts: u64 = fraction.parse().map_err(|_| unreadable())?;
        let more = (u128::from(parts) << shift) / u128::from(10u64.pow(digits));
        bytes = u64::try_from(more).ok().and_then(|more| bytes.checked_add(more)).ok_or_else(unreadable)?;
    }
    Ok(bytes)
}

/// `12,345`
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 message`, `12,345 messages`
pub(crate) fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", self::number(number), if number == 1 { "" } else { "s" })
}

/// RFC 3339, in UTC: `2026-11-22T14:58:00Z`.
pub(crate) fn date_time(at: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// When something is, seen from now, in UTC: `at 14:58 UTC`; on another day `on 3 Dec at 14:58 UTC`, with the year where
/// that is another one.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (Civil::of(at), Civil::of(now));
    let time = format!("at {:02}:{:02} UTC", at.hour, at.minute);
    let month = usize::try_from(at.month).ok().and_then(|month| MONTHS.get(month.saturating_sub(1)));
    let (day, month) = (at.day, month.copied().unwrap_or_default());
    if at.year != now.year {
        return format!("on {day} {month} {} {time}", at.year);
    }
    if (at.month, at.day) != (now.month, now.day) {
        return format!("on {day} {month} {time}");
    }
    time
}

/// When something will be: `in 12 min, at 14:58 UTC`; `now` if its time has come.
pub(crate) fn ahead(at: Timestamp, now: Timestamp) -> String {
    match at.since(now).as_secs() {
        0 => "now".to_owned(),
        seconds => format!("in {}, {}", span(seconds), moment(at, now)),
    }
}

/// Since when something has been: `for 12 min, since 14:46 UTC`.
pub(crate) fn lasting(since: Timestamp, now: Timestamp) -> String {
    let moment = moment(since, now);
    let moment = moment.strip_prefix("at ").or_else(|| moment.strip_prefix("on ")).unwrap_or(&moment);
    format!("for {}, since {moment}", span(now.since(since).as_secs()))
}

/// When something was: `12 min ago, at 14:46 UTC`.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago, {}", span(now.since(at).as_secs()), moment(at, now))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment as a calendar and a clock show it, in UTC.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    const fn of(at: Timestamp) -> Self {
        let (days, seconds) = (at.secs() / 86_400, at.secs() % 86_400);
        // Years begin in March here, so that the leap day is the last of its year; an era is 400 of them.
        let days = days + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let is_new_year = from_march >= 10;
        Self {
            year: era * 400 + year_of_era + if is_new_year { 1 } else { 0 },
            month: (from_march + 2) % 12 + 1,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }
}

/// A length of time in its two largest units: `3 min 10 s`, `2 d 4 h`, `45 s`.
pub(crate) fn span(seconds: u64) -> String {
    let (large, small, unit, below) = match seconds {
        ..60 => return format!("{seconds} s"),
        60..3_600 => (seconds / 60, seconds % 60, "min", "s"),
        3_600..86_400 => (seconds / 3_600, seconds % 3_600 / 60, "h", "min"),
        _ => (seconds / 86_400, seconds % 86_400 / 3_600, "d", "h"),
    };
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {below}") }
}

/// A table with aligned columns, as text.
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    /// A table without headings: names and values.
    pub(crate) fn pairs() -> Self {
        Self { rows: Vec::new() }
    }

    /// Appends a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }
}

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, wanted) in row.iter().zip(&widths) {
                let padding = wanted - self::width(cell) + 2;
                write!(line, "{cell}{:padding$}", "")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// How many places a text takes on a terminal: two for the characters of East Asia.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("500M", 500 << 20),
            ("1.5G", 3 << 29),
            ("2 GiB", 2 << 30),
            ("10kb", 10 << 10),
            ("0.25t", 1 << 38),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "G", "-1", "1.2.3", "1e9", "99999999T", "many"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        for (bytes, text) in [(7, "7 B"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"), (u64::MAX, "1677721 TiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (count(1, "message"), count(2000, "message")),
            ("1 message".into(), "2,000 messages".into())
        );
        assert_eq!(date_time(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(date_time(Timestamp::from_secs(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(date_time(Timestamp::from_secs(1_795_359_480)), "2026-11-22T14:58:00Z");
    }

    #[test]
    fn moments_as_people_say_them() {
        let now = Timestamp::from_secs(1_795_359_480);
        let after = |seconds: i64| Timestamp::from_secs(1_795_359_480 + seconds);
        let before = |seconds: i64| Timestamp::from_secs(1_795_359_480 - seconds);
        for (seconds, text) in [
            (0, "now"),
            (30, "in 30 s, at 14:58 UTC"),
            (720, "in 12 min, at 15:10 UTC"),
            (86_400, "in 1 d, on 23 Nov at 14:58 UTC"),
            (40 * 86_400, "in 40 d, on 1 Jan 2027 at 14:58 UTC"),
        ] {
            assert_eq!(ahead(after(seconds), now), text);
        }
        assert_eq!(ahead(before(5), now), "now");
        assert_eq!(ago(before(720), now), "12 min ago, at 14:46 UTC");
        assert_eq!(lasting(before(720), now), "for 12 min, since 14:46 UTC");
        assert_eq!(lasting(before(86_400), now), "for 1 d, since 21 Nov at 14:58 UTC");
    }

    #[test]
    fn spans() {
        let spans = [0, 59, 60, 190, 3_600, 7_260, 86_400, 190_000].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "3 min 10 s", "1 h", "2 h 1 min", "1 d", "2 d 4 h"]);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Columns::new(&["name", "size"]);
        table.row(["alice", "1"]);
        table.row(["한글", "20"]);
        assert_eq!(table.to_string(), "NAME   SIZE\nalice  1\n한글   20\n");
    }
}
