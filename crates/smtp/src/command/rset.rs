//! RSET (RFC 5321 §4.1.1.5): ends the mail transaction without a message.

use crate::command::no_arguments;
use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    if let Err(reply) = no_arguments(arguments) {
        return core.fail(&reply, rest);
    }
    let rest = core.reset(rest.into_message());
    core.done(&Reply::new(250, (0, 0), "Transaction dropped"), rest)
}
