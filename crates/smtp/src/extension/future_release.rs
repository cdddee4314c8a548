//! FUTURERELEASE (RFC 4865): mail that is handed over now and sent later.

use std::time::Duration;

use types::Timestamp;

use crate::parameter::Parameter;
use crate::reply::Reply;

/// The parameter with an interval, in seconds.
pub(crate) const FOR: &str = "HOLDFOR";
/// The parameter with a moment.
pub(crate) const UNTIL: &str = "HOLDUNTIL";

/// What EHLO says (§4): for how long mail may be held, and so until when.
pub(crate) fn announce(longest: Duration, now: Timestamp) -> String {
    let seconds = longest.as_secs();
    format!("FUTURERELEASE {seconds} {}", date_time(now.plus(Duration::from_secs(seconds))))
}

/// When a message is to be sent, from the one of the two parameters that was given (§5).
pub(crate) fn parse(parameter: Parameter<'_>, longest: Duration, now: Timestamp) -> Result<Timestamp, Reply> {
    let wanted = || match parameter.is(FOR) {
        true => parameter.invalid("up to so many seconds as EHLO says"),
        false => {
            parameter.invalid("a date and time as in 2026-12-24T18:00:00Z, and not beyond what EHLO says")
        }
    };
    let value = parameter.value.ok_or_else(wanted)?;
    let at = if parameter.is(FOR) {
        let digits = (1..=9).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        let seconds = value.parse().ok().filter(|_| digits).ok_or_else(wanted)?;
        now.plus(Duration::from_secs(seconds))
    } else {
        moment(value).ok_or_else(wanted)?
    };
    if at > now.plus(longest) { Err(wanted()) } else { Ok(at) }
}

/// RFC 3339 §5.6. Seconds have no fractions here (RFC 4865 §5).
fn moment(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, zone) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('+') { 1 } else { -1 };
            let [hours, minutes] = numbers(zone.strip_prefix(['+', '-'])?, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3_600 + minutes * 60)
        }
    };
    // Years begin in March here, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(Timestamp::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second - offset))
}

fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut words = text.split(separator);
    for (number, digits) in found.iter_mut().zip(digits) {
        let word = words.next().filter(|word| word.len() == digits)?;
        *number = word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok())??;
    }
    words.next().is_none().then_some(found)
}

/// RFC 3339, in UTC.
fn date_time(at: Timestamp) -> String {
    // `Thu, 1 Jan 1970 00:00:00 +0000`
    let text = at.rfc5322();
    let mut words = text.split(' ').skip(1);
    let (day, month) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (year, time) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = months.find(month).map_or(0, |at| at / 3 + 1);
    format!("{year}-{month:02}-{day:0>2}T{time}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_359_480_000);

    #[test]
    fn moments() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-11-22T14:58:00z", 1_795_359_480),
            ("2026-11-22T15:58:00+01:00", 1_795_359_480),
            ("2026-11-22t10:28:00-04:30", 1_795_359_480),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ];
        for (text, secs) in table {
            assert_eq!(moment(text), Some(Timestamp::from_secs(secs)), "{text}");
        }
        for bad in [
            "",
            "2026-11-22",
            "2026-11-22T14:58:00",
            "2026-11-22 14:58:00Z",
            "2026-13-22T14:58:00Z",
            "2026-02-29T14:58:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T14:58:00.5Z",
            "2026-11-22T14:58:00+1:00",
            "2026-11-22T14:58:00+24:00",
            "+026-11-22T14:58:00Z",
            "2026-11-22T14:58:00Zx",
            "한국어한국어한국어",
        ] {
            assert_eq!(moment(bad), None, "{bad:?}");
        }
        for secs in [0, 951_782_399, 951_782_400, 1_795_359_480, 4_107_542_400] {
            let at = Timestamp::from_secs(secs);
            assert_eq!(moment(&date_time(at)), Some(at));
        }
    }

    #[test]
    fn mail_is_held_no_longer_than_announced() {
        let day = Duration::from_secs(86_400);
        assert_eq!(announce(day, NOW), "FUTURERELEASE 86400 2026-11-23T14:58:00Z");
        let read = |keyword, value| parse(Parameter { keyword, value: Some(value) }, day, NOW);
        assert_eq!(read(FOR, "60"), Ok(NOW.plus(Duration::from_secs(60))));
        assert_eq!(read(UNTIL, "2026-11-23T14:58:00Z"), Ok(NOW.plus(day)));
        // What is over is sent now.
        assert_eq!(read(UNTIL, "2020-01-01T00:00:00Z").map(|at| at < NOW), Ok(true));
        for (keyword, bad) in [
            (FOR, "86401"),
            (FOR, "-1"),
            (FOR, "1234567890"),
            (FOR, "x"),
            (UNTIL, "60"),
            (UNTIL, "2026-11-23T14:58:01Z"),
        ] {
            assert!(read(keyword, bad).is_err(), "{keyword}={bad}");
        }
    }
}
