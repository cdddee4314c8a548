//! HELP (RFC 5321 §4.1.1.8).

use crate::config::Protocol;
use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(rest: Rest, core: &mut Core) -> Phase {
    let hello = match core.config.protocol {
        Protocol::Smtp => "EHLO HELO",
        Protocol::Submission => "EHLO HELO AUTH",
        Protocol::Lmtp => "LHLO",
    };
    let starttls = if core.config.starttls { " STARTTLS" } else { "" };
    let text =
        format!("{hello}{starttls} MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\nRFC 5321 explains them");
    core.done(&Reply::new(214, (0, 0), text), rest)
}
