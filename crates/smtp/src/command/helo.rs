//! HELO (RFC 5321 §4.1.1.1): a client without extensions.

use crate::command::ehlo;
use crate::config::Protocol;
use crate::core::Core;
use crate::hello::Greeting;
use crate::phase::{Phase, Rest};

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match core.config.protocol {
        Protocol::Smtp | Protocol::Submission => ehlo::greet(Greeting::Helo, arguments, rest, core),
        Protocol::Lmtp => ehlo::refuse_in_lmtp(rest, core),
    }
}
