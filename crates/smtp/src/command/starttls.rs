//! STARTTLS (RFC 3207).
//!
//! What a client sent behind STARTTLS came in plaintext, perhaps from someone in the middle; run after the
//! handshake it would count as protected. A client that follows the RFC has sent nothing, so the session ends.

use crate::command::no_arguments;
use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    if let Err(reply) = no_arguments(arguments) {
        return core.fail(&reply, rest);
    }
    let (code, text) = if core.peer.tls.is_some() {
        (503, "The connection is encrypted already")
    } else if !core.config.starttls {
        (502, "STARTTLS is not offered here")
    } else if core.hello.is_none() {
        (503, "Introduce yourself with EHLO first")
    } else {
        core.reset(rest.into_message());
        return Phase::StartTls;
    };
    core.fail(&Reply::new(code, (5, 1), text), rest)
}

/// Goes ahead with the handshake if nothing was sent behind the command.
pub(crate) fn answer(nothing_behind: bool, core: &mut Core) -> Phase {
    if nothing_behind {
        core.reply(&Reply::new(220, (0, 0), "Ready for the TLS handshake"));
        return Phase::Handshake;
    }
    let text = "Commands came behind STARTTLS without TLS; none was run; closing";
    core.close(&Reply::new(421, (7, 0), text), Phase::StartTls)
}
