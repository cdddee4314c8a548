//! QUIT (RFC 5321 §4.1.1.10).

use crate::command::no_arguments;
use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    if let Err(reply) = no_arguments(arguments) {
        return core.fail(&reply, rest);
    }
    let reply = Reply::new(221, (0, 0), format!("{} is closing the connection", core.config.hostname));
    core.close(&reply, Phase::Command(rest))
}
