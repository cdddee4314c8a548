//! AUTH (RFC 4954): only for submission, only with TLS unless the operator allows otherwise, and only once.

use crate::auth::{AuthRefusal, AuthStep, AuthVerdict, Credential};
use crate::command::text;
use crate::config::Protocol;
use crate::core::Core;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;

/// The longest line in an exchange, in octets with its CRLF (RFC 4954 §4).
pub(crate) const LINE: usize = 12_288;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    if let Err(reply) = ready(&rest, core) {
        return core.fail(&reply, rest);
    }
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let (name, initial, more) = (words.next(), words.next(), words.next());
    let Some(name) = name.filter(|_| more.is_none()) else {
        let reply = Reply::new(501, (5, 4), "Wanted: AUTH, a mechanism, and perhaps its first message");
        return core.fail(&reply, rest);
    };
    let Some(mechanism) = core.mechanisms().find(|offered| offered.eq_ignore_ascii_case(name)) else {
        return core.fail(&Reply::new(504, (5, 4), "This mechanism is not offered here"), rest);
    };
    match initial {
        Some("*") => core.fail(&cancelled(), rest),
        initial => Phase::Login(AuthStep::Begin(mechanism, initial.map(|text| Credential(text.to_owned())))),
    }
}

/// Whether a login may begin; else why not.
fn ready(rest: &Rest, core: &Core) -> Result<(), Reply> {
    if core.config.protocol != Protocol::Submission {
        return Err(Reply::new(502, (5, 1), "This command is not offered here"));
    }
    if core.submitter.is_some() {
        return Err(Reply::new(503, (5, 1), "Somebody has logged in already on this connection"));
    }
    if !matches!(rest, Rest::Idle) {
        return Err(Reply::new(503, (5, 1), "A mail transaction is open; log in before it"));
    }
    if !core.hello.as_ref().is_some_and(|hello| hello.extended()) {
        return Err(Reply::new(503, (5, 1), "Introduce yourself with EHLO first"));
    }
    if !core.may_send_password() {
        // A client that has sent its password already has been heard by whoever listens; it is told why.
        return Err(Reply::new(538, (7, 11), "Passwords are taken over TLS only; begin with STARTTLS"));
    }
    Ok(())
}

/// The client's answer to a challenge.
pub(crate) fn respond(line: &[u8], core: &mut Core) -> Phase {
    core.lines += 1;
    match text(line) {
        Some("*") => core.fail(&cancelled(), Rest::Idle),
        Some(text) if text.is_ascii() => Phase::Login(AuthStep::Respond(Credential(text.to_owned()))),
        _ => core.fail(&AuthRefusal::Malformed.reply(), Rest::Idle),
    }
}

/// The driver has looked at what the client said.
pub(crate) fn answered(verdict: AuthVerdict, core: &mut Core) -> Phase {
    match verdict {
        AuthVerdict::Challenge(challenge) => {
            core.reply(&Reply::plain(334, challenge));
            Phase::Exchange
        }
        AuthVerdict::Admitted(submitter) => {
            core.submitter = Some(submitter);
            core.conduct.message_accepted();
            core.done(&Reply::new(235, (7, 0), "Logged in"), Rest::Idle)
        }
        AuthVerdict::Refuse(refusal) => {
            let reply = core.fail(&refusal.reply(), Rest::Idle);
            match core.conduct.verdict(&core.config.limits) {
                Some(farewell) => core.close(&farewell, reply),
                None => reply,
            }
        }
    }
}

fn cancelled() -> Reply {
    Reply::new(501, (7, 0), "The login was cancelled")
}
