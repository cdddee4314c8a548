//! NOOP (RFC 5321 §4.1.1.9): whatever its argument says, nothing happens.

use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(rest: Rest, core: &mut Core) -> Phase {
    core.done(&Reply::new(250, (0, 0), "Nothing done"), rest)
}
