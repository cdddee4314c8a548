//! LHLO (RFC 2033 §4.1): LMTP's EHLO.

use crate::command::ehlo;
use crate::config::Protocol;
use crate::core::Core;
use crate::hello::Greeting;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match core.config.protocol {
        Protocol::Lmtp => ehlo::greet(Greeting::Lhlo, arguments, rest, core),
        Protocol::Smtp | Protocol::Submission => {
            core.fail(&Reply::new(500, (5, 1), "This is SMTP; begin with EHLO"), rest)
        }
    }
}
