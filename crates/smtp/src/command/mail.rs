//! MAIL (RFC 5321 §4.1.1.2): opens a mail transaction.

use std::sync::Arc;

use crate::address::{Mailbox, ReversePath};
use crate::command::strip_word;
use crate::config::Config;
use crate::core::Core;
use crate::envelope::{BodyType, Envelope, Origin, Return};
use crate::message::too_large;
use crate::parameter::{Parameter, xtext};
use crate::peer::Client;
use crate::phase::{Phase, Rest};
use crate::reply::Reply;
use crate::verdict::SenderVerdict;

/// The longest ENVID, in characters (RFC 3461 §4.4).
const ENVID: usize = 100;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    let Rest::Idle = rest else {
        let text = "A mail transaction is open already; finish it or send RSET";
        return core.fail(&Reply::new(503, (5, 1), text), rest);
    };
    let Some(client) = core.client() else {
        return core.fail(&Reply::new(503, (5, 1), "Introduce yourself with EHLO first"), rest);
    };
    match parse(arguments, client, &core.config) {
        Ok(origin) => Phase::Sender(Arc::new(origin)),
        Err(reply) => core.fail(&reply, rest),
    }
}

/// The driver has judged the sender.
pub(crate) fn answered(origin: Arc<Origin>, verdict: SenderVerdict, core: &mut Core) -> Phase {
    match verdict {
        SenderVerdict::Accept => {
            let rest = Rest::Mail(Envelope { origin, recipients: Vec::new() });
            core.done(&Reply::new(250, (1, 0), "Sender accepted"), rest)
        }
        SenderVerdict::Refuse(refusal) => {
            let reply = refusal.into_reply();
            let rest = core.reset(None);
            if reply.is_permanent() { core.fail(&reply, rest) } else { core.done(&reply, rest) }
        }
    }
}

fn parse(arguments: &str, client: Client, config: &Config) -> Result<Origin, Reply> {
    let text = strip_word(arguments, "FROM:")
        .ok_or_else(|| Reply::new(501, (5, 2), "Wanted: MAIL FROM:<address> and parameters"))?;
    let (sender, rest) =
        ReversePath::parse(text).map_err(|error| Reply::new(501, (1, 7), error.to_string()))?;
    let mut origin = Origin {
        client,
        sender,
        size: None,
        body: BodyType::default(),
        smtputf8: false,
        ret: None,
        envid: None,
    };
    for parameter in Parameter::list(rest)? {
        if !origin.client.hello.extended() {
            return Err(Reply::new(555, (5, 4), "Parameters need EHLO instead of HELO"));
        }
        apply(parameter, &mut origin, config)?;
    }
    // Only now: the parameter that allows it may stand anywhere.
    if !origin.smtputf8 && origin.sender.mailbox().is_some_and(Mailbox::is_international) {
        return Err(Reply::new(553, (6, 7), "An address beyond ASCII needs the parameter SMTPUTF8"));
    }
    Ok(origin)
}

fn apply(parameter: Parameter<'_>, origin: &mut Origin, config: &Config) -> Result<(), Reply> {
    if parameter.is("SIZE") {
        origin.size = Some(size(parameter, config.limits.message)?);
    } else if parameter.is("BODY") {
        origin.body = body(parameter, config.binarymime)?;
    } else if parameter.is("SMTPUTF8") && config.smtputf8 {
        if parameter.value.is_some() {
            return Err(parameter.invalid("none at all"));
        }
        origin.smtputf8 = true;
    } else if parameter.is("RET") && config.dsn {
        origin.ret = Some(ret(parameter)?);
    } else if parameter.is("ENVID") && config.dsn {
        let envid = parameter.value.and_then(xtext).filter(|id| id.len() <= ENVID);
        origin.envid = Some(envid.ok_or_else(|| parameter.invalid("up to 100 characters of xtext"))?);
    } else {
        return Err(parameter.unsupported());
    }
    Ok(())
}

/// RFC 1870 §4: up to 20 digits. A number that does not fit is larger than any limit.
fn size(parameter: Parameter<'_>, limit: u64) -> Result<u64, Reply> {
    let digits = parameter
        .value
        .filter(|value| value.len() <= 20 && value.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| parameter.invalid("a number of octets"))?;
    digits.parse::<u64>().ok().filter(|size| *size <= limit).ok_or_else(|| too_large(limit))
}

fn body(parameter: Parameter<'_>, binarymime: bool) -> Result<BodyType, Reply> {
    let is = |value: &str| parameter.value.is_some_and(|given| given.eq_ignore_ascii_case(value));
    if is("7BIT") {
        Ok(BodyType::SevenBit)
    } else if is("8BITMIME") {
        Ok(BodyType::EightBitMime)
    } else if is("BINARYMIME") && binarymime {
        Ok(BodyType::BinaryMime)
    } else {
        Err(parameter.invalid(if binarymime { "7BIT, 8BITMIME or BINARYMIME" } else { "7BIT or 8BITMIME" }))
    }
}

fn ret(parameter: Parameter<'_>) -> Result<Return, Reply> {
    match parameter.value {
        Some(value) if value.eq_ignore_ascii_case("FULL") => Ok(Return::Full),
        Some(value) if value.eq_ignore_ascii_case("HDRS") => Ok(Return::Headers),
        _ => Err(parameter.invalid("FULL or HDRS")),
    }
}
