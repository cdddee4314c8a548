//! RCPT (RFC 5321 §4.1.1.3): adds a recipient to the open transaction.

use crate::address::{ForwardPath, Mailbox};
use crate::command::strip_word;
use crate::config::Config;
use crate::core::Core;
use crate::envelope::{Envelope, Notify, Origin, OriginalRecipient, Recipient};
use crate::parameter::{Parameter, xtext};
use crate::phase::{Phase, Rest};
use crate::reply::Reply;
use crate::verdict::RecipientVerdict;

/// The longest ORCPT, in octets (RFC 3461 §4.2).
const ORCPT: usize = 500;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    let envelope = match rest {
        Rest::Mail(envelope) => envelope,
        Rest::Idle => return core.fail(&Reply::new(503, (5, 1), "Name the sender with MAIL first"), rest),
        Rest::Chunks(_) => {
            let text = "The message has begun; send the rest of it with BDAT, or RSET";
            return core.fail(&Reply::new(503, (5, 1), text), rest);
        }
    };
    match parse(arguments, &envelope.origin, &core.config) {
        Err(reply) => core.fail(&reply, Rest::Mail(envelope)),
        // Not an error: the recipients so far stand, and the client sends to the others in another transaction
        // (RFC 5321 §4.5.3.1.10).
        Ok(_) if envelope.recipients.len() >= core.config.limits.recipients => {
            let text = "Too many recipients; send to these now, and to the others in another transaction";
            core.done(&Reply::new(452, (5, 3), text), Rest::Mail(envelope))
        }
        Ok(recipient) => Phase::Recipient(envelope, recipient),
    }
}

/// The driver has judged the recipient.
pub(crate) fn answered(
    mut envelope: Envelope,
    recipient: Recipient,
    verdict: RecipientVerdict,
    core: &mut Core,
) -> Phase {
    match verdict.refusal() {
        None => {
            envelope.recipients.push(recipient);
            core.done(&Reply::new(250, (1, 5), "Recipient accepted"), Rest::Mail(envelope))
        }
        Some(reply) => {
            if reply.is_permanent() {
                core.conduct.refused_recipient();
            }
            core.done(&reply, Rest::Mail(envelope))
        }
    }
}

fn parse(arguments: &str, origin: &Origin, config: &Config) -> Result<Recipient, Reply> {
    let text = strip_word(arguments, "TO:")
        .ok_or_else(|| Reply::new(501, (5, 2), "Wanted: RCPT TO:<address> and parameters"))?;
    let (path, rest) =
        ForwardPath::parse(text).map_err(|error| Reply::new(501, (1, 3), error.to_string()))?;
    read_parameters(path, &Parameter::list(rest)?, origin, config)
}

/// What the parameters of RCPT say of a recipient.
pub(crate) fn read_parameters(
    path: ForwardPath,
    parameters: &[Parameter<'_>],
    origin: &Origin,
    config: &Config,
) -> Result<Recipient, Reply> {
    if !origin.smtputf8 && path.mailbox().is_some_and(Mailbox::is_international) {
        return Err(Reply::new(553, (6, 7), "An address beyond ASCII needs SMTPUTF8 in the MAIL command"));
    }
    let mut recipient = Recipient { path, notify: None, orcpt: None };
    for parameter in parameters.iter().copied() {
        if parameter.is("NOTIFY") && config.dsn {
            recipient.notify = Some(notify(parameter)?);
        } else if parameter.is("ORCPT") && config.dsn {
            let orcpt = parameter.value.and_then(|value| orcpt(value, origin.smtputf8));
            recipient.orcpt = Some(orcpt.ok_or_else(|| parameter.invalid("type;address in xtext"))?);
        } else {
            return Err(parameter.unsupported());
        }
    }
    Ok(recipient)
}

/// RFC 3461 §4.1: `NEVER` alone, or a list of the others.
fn notify(parameter: Parameter<'_>) -> Result<Notify, Reply> {
    let value = parameter.value.unwrap_or_default();
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for word in value.split(',') {
        let flag = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return Err(parameter.invalid("NEVER, or some of SUCCESS,FAILURE,DELAY")),
        };
        *flag = true;
    }
    Ok(notify)
}

fn orcpt(value: &str, smtputf8: bool) -> Option<OriginalRecipient> {
    let (kind, address) = value.split_once(';').filter(|_| value.len() <= ORCPT)?;
    let atom = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if kind.is_empty() || address.is_empty() || !kind.chars().all(atom) {
        return None;
    }
    let kind = kind.to_ascii_lowercase();
    // RFC 6533 §3: `\x{…}` instead of xtext, and with SMTPUTF8 the characters themselves.
    let address = match kind.as_str() {
        "utf-8" => (address.is_ascii() || smtputf8).then(|| address.to_owned())?,
        _ => xtext(address)?,
    };
    Some(OriginalRecipient { kind, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(value: &str) -> Parameter<'_> {
        Parameter { keyword: "NOTIFY", value: Some(value) }
    }

    #[test]
    fn notify_is_never_or_a_list() {
        assert_eq!(notify(parameter("never")), Ok(Notify::default()));
        let two = Notify { success: true, failure: false, delay: true };
        assert_eq!(notify(parameter("SUCCESS,Delay")), Ok(two));
        for bad in ["NEVER,SUCCESS", "", "SUCCESS,", "ALWAYS"] {
            assert!(notify(parameter(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn original_recipients_by_type() {
        let read =
            |value: &str, utf8: bool| orcpt(value, utf8).map(|one| format!("{};{}", one.kind, one.address));
        assert_eq!(read("RFC822;a+2Bb@x.test", false).as_deref(), Some("rfc822;a+b@x.test"));
        assert_eq!(read("utf-8;\\x{AC00}@x.test", false).as_deref(), Some("utf-8;\\x{AC00}@x.test"));
        assert_eq!(read("utf-8;가@x.test", true).as_deref(), Some("utf-8;가@x.test"));
        for bad in ["a@x.test", "rfc822;", ";a", "rfc822;a+0D+0Ab", "rf c;a", "utf-8;가@x.test"] {
            assert_eq!(read(bad, false), None, "{bad:?}");
        }
    }
}
