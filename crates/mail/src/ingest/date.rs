//! The Date field (RFC 5322 §3.3 and §4.3).

use mail_parser::DateTime;

use super::fields::unfold;
use crate::record::metadata::SentAt;

/// The longest value that can be a date, comments included.
const MAX_LEN: usize = 256;

/// The moment that a Date field names, or nothing if it names none.
pub fn sent_at(value: &[u8]) -> Option<SentAt> {
    let value = unfold(value.get(..MAX_LEN).unwrap_or(value));
    let date = DateTime::parse_rfc822(&String::from_utf8_lossy(&value))?;
    // A leap second is the last thing the parser's own check refuses.
    let date = DateTime { second: date.second.min(59), ..date };
    if !date.is_valid() {
        return None;
    }
    let east = i16::from(date.tz_hour) * 60 + i16::from(date.tz_minute);
    Some(SentAt { secs: date.to_timestamp(), zone: if date.tz_before_gmt { -east } else { east } })
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
            ("Fri, 21 Nov 1997 09:55:06 EST", Some((880124106, -300))),
            ("31 Dec 2016 23:59:60 +0000", Some((1483228799, 0))),
            ("Mon Jul  4 2022", None),
            ("99 Foo 2003 10:52:37 +0200", None),
            ("no date", None),
            ("", None),
        ];
        for (value, date) in cases {
            assert_eq!(sent_at(value.as_bytes()).map(|d| (d.secs, d.zone)), date, "{value:?}");
        }
    }
}
