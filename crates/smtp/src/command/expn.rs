//! EXPN (RFC 5321 §4.1.1.7): not offered, since who is on a list is for its members to know (§7.3).

use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(rest: Rest, core: &mut Core) -> Phase {
    core.fail(&Reply::new(502, (5, 1), "Lists are not expanded here"), rest)
}
