//! VRFY (RFC 5321 §4.1.1.6): who has a mailbox here is nobody's business before there is mail for it (§7.3).

use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    match arguments {
        "" => core.fail(&Reply::new(501, (5, 4), "Wanted: VRFY and a user or address"), rest),
        _ => core.done(&Reply::new(252, (1, 5), "Not told here; send mail, and RCPT will tell"), rest),
    }
}
