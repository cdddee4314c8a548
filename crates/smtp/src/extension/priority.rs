//! MT-PRIORITY (RFC 6710): who goes first where there is a queue.

use crate::parameter::Parameter;
use crate::reply::Reply;

/// The keyword in EHLO and MAIL.
pub(crate) const KEYWORD: &str = "MT-PRIORITY";

/// §4.1: from -9 to 9, without a plus sign and leading zeros.
pub(crate) fn parse(parameter: Parameter<'_>) -> Result<i8, Reply> {
    let wanted = || parameter.invalid("a number from -9 to 9");
    let value = parameter.value.ok_or_else(wanted)?;
    match (value, value.strip_prefix('-').unwrap_or(value).as_bytes()) {
        ("-0", _) => Err(wanted()),
        (_, [b'0'..=b'9']) => value.parse().map_err(|_| wanted()),
        _ => Err(wanted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities() {
        let read = |value| parse(Parameter { keyword: KEYWORD, value });
        for (text, number) in [("0", 0), ("9", 9), ("-9", -9), ("3", 3)] {
            assert_eq!(read(Some(text)), Ok(number));
        }
        for bad in [None, Some("10"), Some("-10"), Some("+1"), Some("-0"), Some("01"), Some("-"), Some("x")] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
