//! DELIVERBY (RFC 2852): mail that is worth nothing, or of interest to its sender, when it is late.

use std::time::Duration;

use crate::parameter::Parameter;
use crate::reply::Reply;

/// The keyword in EHLO.
pub(crate) const KEYWORD: &str = "DELIVERBY";
/// The parameter of MAIL.
pub(crate) const PARAMETER: &str = "BY";

/// In which time a message is to be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliverBy {
    /// Seconds from when the message was taken; less than zero if the time was over before.
    pub seconds: i64,
    /// What becomes of it then.
    pub late: Lateness,
    /// Whether the sender wants to be told of servers on the way that know nothing of this (`T`).
    pub trace: bool,
}

/// What becomes of a message that is late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lateness {
    /// `N`: it is delivered, and the sender is told of the delay.
    Notify,
    /// `R`: it is given back.
    Return,
}

/// What EHLO says (§3): the shortest time that may be asked for.
pub(crate) fn announce(shortest: Duration) -> String {
    format!("{KEYWORD} {}", shortest.as_secs())
}

/// §4: `by-time ; by-mode by-trace`.
pub(crate) fn parse(parameter: Parameter<'_>, shortest: Duration) -> Result<DeliverBy, Reply> {
    let wanted = || parameter.invalid("seconds, then ;R or ;N, then perhaps T");
    let (time, mode) = parameter.value.and_then(|value| value.split_once(';')).ok_or_else(wanted)?;
    let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
    if !(1..=9).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wanted());
    }
    let seconds: i64 = time.parse().map_err(|_| wanted())?;
    let (late, trace) = match mode.to_ascii_uppercase().as_str() {
        "R" => (Lateness::Return, false),
        "RT" => (Lateness::Return, true),
        "N" => (Lateness::Notify, false),
        "NT" => (Lateness::Notify, true),
        _ => return Err(wanted()),
    };
    // §4.1.3: what is to be given back cannot be late already; and what cannot be kept is not promised.
    let least = i64::try_from(shortest.as_secs()).unwrap_or(i64::MAX).max(1);
    if late == Lateness::Return && seconds < least {
        return Err(parameter.invalid("more time, for mail that is to be given back"));
    }
    Ok(DeliverBy { seconds, late, trace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_modes() {
        let read =
            |value| parse(Parameter { keyword: PARAMETER, value: Some(value) }, Duration::from_secs(60));
        let by = |seconds, late, trace| DeliverBy { seconds, late, trace };
        assert_eq!(read("120;R"), Ok(by(120, Lateness::Return, false)));
        assert_eq!(read("60;rt"), Ok(by(60, Lateness::Return, true)));
        assert_eq!(read("-5;N"), Ok(by(-5, Lateness::Notify, false)));
        assert_eq!(read("+5;NT"), Ok(by(5, Lateness::Notify, true)));
        for bad in [
            "",
            ";R",
            "120",
            "120;",
            "120;X",
            "59;R",
            "0;R",
            "-1;R",
            "1234567890;N",
            "1.5;N",
            "--1;N",
            "120;R T",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let none = Duration::ZERO;
        assert!(parse(Parameter { keyword: PARAMETER, value: Some("0;R") }, none).is_err());
    }
}
