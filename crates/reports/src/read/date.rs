//! Moments as JSON has them (RFC 3339).

use std::time::Duration;

use types::Timestamp;

use crate::day::Day;

/// Reads `2026-11-28T23:59:59Z`, with a fraction or an offset too; none if it is no moment since 1970.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?
    };
    let separators = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    let in_place = separators.iter().all(|(at, wanted)| text.get(*at..at + 1) == Some(*wanted));
    if !in_place || !matches!(text.get(10..11), Some("T" | "t" | " ")) {
        return None;
    }
    let day = Day::from_civil(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let at = day.begin().plus(Duration::from_secs(hour * 3_600 + minute * 60 + second));
    let rest = text.get(19..)?;
    let rest =
        rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    match rest.as_bytes() {
        [] | b"Z" | b"z" => Some(at),
        [sign @ (b'+' | b'-'), ..] => {
            let offset = rest.get(1..)?.replace(':', "");
            let (hours, minutes) =
                (offset.get(0..2)?.parse::<u64>().ok()?, offset.get(2..4)?.parse::<u64>().ok()?);
            let offset = Duration::from_secs(hours * 3_600 + minutes * 60);
            Some(if *sign == b'+' { at.minus(offset) } else { at.plus(offset) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let table = [
            ("1970-01-02T00:00:01Z", Some(86_401)),
            ("2026-11-28T23:59:59Z", Some(1_795_910_399)),
            ("2026-11-28t23:59:59.123z", Some(1_795_910_399)),
            ("2026-11-29T08:59:59+09:00", Some(1_795_910_399)),
            ("2026-11-28T15:59:59-0800", Some(1_795_910_399)),
            ("2026-11-28T23:59:59", Some(1_795_910_399)),
            ("2026-02-30T00:00:00Z", None),
            ("2026-11-28T24:00:00Z", None),
            ("2026-11-28", None),
            ("2026-11-28T00:00:00+9", None),
            ("한2026-11-28T00:00:00Z", None),
            ("", None),
        ];
        for (text, secs) in table {
            assert_eq!(parse(text).map(Timestamp::secs), secs, "{text}");
        }
    }
}
