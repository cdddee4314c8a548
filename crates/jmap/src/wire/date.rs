//! Dates (RFC 8620 §1.4): RFC 3339, without a fraction where it is zero, with capitals.

use types::Timestamp;

const DAY: i64 = 86_400;

/// A moment as `UTCDate`.
pub fn utc(moment: Timestamp) -> String {
    let seconds = i64::try_from(moment.secs()).unwrap_or(i64::MAX);
    match moment.0 % 1000 {
        0 => format!("{}Z", local(seconds)),
        millis => {
            let fraction = format!("{millis:03}");
            format!("{}.{}Z", local(seconds), fraction.trim_end_matches('0'))
        }
    }
}

/// A moment in seconds since 1970 and a zone in minutes east of UTC, as `Date`.
pub fn zoned(seconds: i64, zone: i16) -> String {
    let date = local(seconds.saturating_add(i64::from(zone) * 60));
    let (sign, minutes) = if zone < 0 { ('-', zone.unsigned_abs()) } else { ('+', zone.unsigned_abs()) };
    match minutes {
        0 => format!("{date}Z"),
        _ => format!("{date}{sign}{:02}:{:02}", minutes / 60, minutes % 60),
    }
}

/// Reads a `UTCDate`. Moments before 1970 become 1970: nothing here is older.
pub fn parse_utc(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (time, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let fits = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !fits {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    let millis = match fraction {
        Some(digits) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return None;
        }
        Some(digits) => format!("{digits:0<3}").get(..3)?.parse().ok()?,
        None => 0,
    };
    let moment = Timestamp::from_secs(seconds);
    Some(if seconds < 0 { moment } else { Timestamp(moment.0.saturating_add(millis)) })
}

/// A `Date` as it stands in a `Date:` field (RFC 5322 §3.3).
pub(crate) fn to_rfc5322(text: &str) -> Option<String> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = text.split_once('T')?;
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let zone = match zone {
        "Z" => "+0000".to_owned(),
        zone => {
            let (sign, digits) = zone.split_at_checked(1)?;
            let (hours, minutes) = digits.split_once(':')?;
            let number = |text: &str, below: u8| {
                (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().filter(|n| *n < below)
            };
            format!("{sign}{:02}{:02}", number(hours, 24)?, number(minutes, 60)?)
        }
    };
    let time = time.split('.').next().unwrap_or_default();
    // Checked as if it were in UTC: the fields are what they are in their own zone.
    parse_utc(&format!("{date}T{time}Z"))?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let days = days_since_1970(year, month, day);
    let weekday = DAYS.get(usize::try_from(days.rem_euclid(7)).ok()?)?;
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    Some(format!("{weekday}, {day} {month} {year:04} {time} {zone}"))
}

/// Numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut numbers = [0; 3];
    let mut words = text.split(separator);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let word = words.next()?;
        if word.len() != digits || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = word.parse().ok()?;
    }
    words.next().is_none().then_some(numbers)
}

fn local(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day from days since 1970. Years begin in March here, so that the leap day is the last of its year; an
/// era is 400 of them.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_since_1970(next_year, next, 1) - days_since_1970(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_414_649_520_000, "2014-10-30T06:12:00Z"),
            (1_414_649_520_120, "2014-10-30T06:12:00.12Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(utc(Timestamp(millis)), text);
            assert_eq!(parse_utc(text), Some(Timestamp(millis)));
        }
        assert_eq!(parse_utc("1969-07-20T20:17:40.5Z"), Some(Timestamp(0)));
        assert_eq!(parse_utc("2014-10-30T06:12:00.1239Z"), Some(Timestamp(1_414_649_520_123)));
    }

    #[test]
    fn zones_are_told() {
        assert_eq!(zoned(1_057_049_557, 120), "2003-07-01T10:52:37+02:00");
        assert_eq!(zoned(1_057_069_320, -210), "2003-07-01T10:52:00-03:30");
        assert_eq!(zoned(-1, 0), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn dates_for_headers() {
        for (text, field) in [
            ("2003-07-01T10:52:37+02:00", "Tue, 1 Jul 2003 10:52:37 +0200"),
            ("2026-01-02T03:04:05.5Z", "Fri, 2 Jan 2026 03:04:05 +0000"),
            ("1969-07-20T20:17:40-04:30", "Sun, 20 Jul 1969 20:17:40 -0430"),
        ] {
            assert_eq!(to_rfc5322(text).as_deref(), Some(field));
        }
        for text in
            ["", "2003-07-01", "2003-07-01T10:52:37", "2003-07-01T10:52:37+0200", "2003-02-30T10:52:37Z"]
        {
            assert_eq!(to_rfc5322(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2014-10-30",
            "2014-10-30T06:12:00",
            "2014-10-30T06:12:00+00:00",
            "2014-10-30t06:12:00Z",
            "2014-13-30T06:12:00Z",
            "2014-02-29T06:12:00Z",
            "2014-10-30T24:12:00Z",
            "2014-10-30T06:12:00.Z",
            "2014-10-30T06:12:00.xZ",
            "14-10-30T06:12:00Z",
            "2014-10-30T6:12:00Z",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
