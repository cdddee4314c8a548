//! MAIL (RFC 5321 §4.1.1.2): opens a mail transaction.

use std::sync::Arc;

use types::Timestamp;

use crate::address::{Mailbox, ReversePath};
use crate::command::strip_word;
use crate::config::{Config, Protocol};
use crate::core::Core;
use crate::envelope::{BodyType, Envelope, Origin, Return};
use crate::extension::{Submission, deliver_by, future_release, priority, require_tls};
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
    if let Err(reply) = may_submit(core) {
        return core.fail(&reply, rest);
    }
    match parse(arguments, client, core) {
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

/// On a listener for submission, nobody sends without having logged in (RFC 6409 §4.3).
fn may_submit(core: &Core) -> Result<(), Reply> {
    if core.config.protocol != Protocol::Submission || core.submitter.is_some() {
        return Ok(());
    }
    let text = match core.may_send_password() {
        true => "Log in first; to send mail to this server, use port 25",
        false => "Begin with STARTTLS and log in; to send mail to this server, use port 25",
    };
    Err(Reply::new(530, (7, 0), text))
}

fn parse(arguments: &str, client: Client, core: &Core) -> Result<Origin, Reply> {
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
        submission: Submission { submitter: core.submitter.clone(), ..Submission::default() },
    };
    let terms = Terms { config: &core.config, now: core.now, encrypted: core.peer.tls.is_some() };
    read_parameters(&Parameter::list(rest)?, &mut origin, &terms)?;
    Ok(origin)
}

/// What is on offer to whoever sends.
pub(crate) struct Terms<'a> {
    pub(crate) config: &'a Config,
    /// What FUTURERELEASE reckons from.
    pub(crate) now: Timestamp,
    pub(crate) encrypted: bool,
}

/// What the parameters of MAIL say.
pub(crate) fn read_parameters(
    parameters: &[Parameter<'_>],
    origin: &mut Origin,
    terms: &Terms<'_>,
) -> Result<(), Reply> {
    for parameter in parameters {
        if !origin.client.hello.extended() {
            return Err(Reply::new(555, (5, 4), "Parameters need EHLO instead of HELO"));
        }
        if !wishes(*parameter, origin, terms)? {
            apply(*parameter, origin, terms.config)?;
        }
    }
    // Only now: the parameter that allows it may stand anywhere.
    if !origin.smtputf8 && origin.sender.mailbox().is_some_and(Mailbox::is_international) {
        return Err(Reply::new(553, (6, 7), "An address beyond ASCII needs the parameter SMTPUTF8"));
    }
    Ok(())
}

/// Parameters of extensions of submission; whether this is one that is on offer.
fn wishes(parameter: Parameter<'_>, origin: &mut Origin, terms: &Terms<'_>) -> Result<bool, Reply> {
    if terms.config.protocol != Protocol::Submission {
        return Ok(false);
    }
    let (offered, submission) = (&terms.config.extensions, &mut origin.submission);
    if parameter.is("AUTH") {
        submission.claimed = Some(claimed(parameter)?);
    } else if parameter.is(future_release::FOR) || parameter.is(future_release::UNTIL) {
        let Some(longest) = offered.future_release else { return Ok(false) };
        if submission.hold_until.is_some() {
            return Err(parameter.invalid("one of HOLDFOR and HOLDUNTIL"));
        }
        submission.hold_until = Some(future_release::parse(parameter, longest, terms.now)?);
    } else if parameter.is(priority::KEYWORD) && offered.priority {
        submission.priority = Some(priority::parse(parameter)?);
    } else if parameter.is(deliver_by::PARAMETER) {
        let Some(shortest) = offered.deliver_by else { return Ok(false) };
        submission.deliver_by = Some(deliver_by::parse(parameter, shortest)?);
    } else if parameter.is(require_tls::KEYWORD) && offered.require_tls && terms.encrypted {
        submission.require_tls = require_tls::parse(parameter)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// `AUTH=` (RFC 4954 §5): an address or `<>`, in xtext.
fn claimed(parameter: Parameter<'_>) -> Result<ReversePath, Reply> {
    let wanted = || parameter.invalid("an address or <>, in xtext");
    match parameter.value.and_then(xtext).ok_or_else(wanted)?.as_str() {
        "<>" => Ok(ReversePath::Null),
        address => address.parse().map(ReversePath::Mailbox).map_err(|_| wanted()),
    }
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
