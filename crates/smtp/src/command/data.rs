//! DATA (RFC 5321 §4.1.1.4): the message in lines, up to a dot on a line of its own.

use crate::body::DotDecoder;
use crate::command::no_arguments;
use crate::core::Core;
use crate::envelope::{BodyType, Envelope};
use crate::message::Message;
use crate::phase::{Phase, Rest, Transfer};
use crate::reply::Reply;
use crate::verdict::BeginVerdict;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    if let Err(reply) = no_arguments(arguments) {
        return core.fail(&reply, rest);
    }
    match ready(rest) {
        Ok(envelope) if envelope.origin.body == BodyType::BinaryMime => {
            // RFC 3030 §3
            let reply = Reply::new(503, (5, 1), "A body of BINARYMIME comes by BDAT, not by DATA");
            core.fail(&reply, Rest::Mail(envelope))
        }
        Ok(envelope) => Phase::Begin(Message::new(envelope, core.config.protocol), Transfer::Data),
        Err((reply, rest)) => core.fail(&reply, rest),
    }
}

/// The envelope, if a message may begin; else why not. RFC 2033 §4.2 wants 503 where no recipient was
/// accepted, and RFC 5321 §3.3 allows it.
#[expect(clippy::result_large_err, reason = "the refused state goes back to where it came from")]
pub(super) fn ready(rest: Rest) -> Result<Envelope, (Reply, Rest)> {
    let text = match rest {
        Rest::Mail(envelope) if !envelope.recipients.is_empty() => return Ok(envelope),
        Rest::Mail(_) => "No recipient was accepted; name one with RCPT first",
        Rest::Idle => "There is no mail transaction; begin one with MAIL",
        Rest::Chunks(_) => "The message has begun with BDAT; send the rest with BDAT, or RSET",
    };
    Err((Reply::new(503, (5, 1), text), rest))
}

/// The driver has said whether it can take the message.
pub(crate) fn answered(
    mut message: Message,
    transfer: Transfer,
    verdict: BeginVerdict,
    core: &mut Core,
) -> Phase {
    match (verdict.refusal(), transfer) {
        (None, Transfer::Data) => {
            message.begun();
            core.reply(&Reply::plain(354, "Send the message; end it with a dot on a line of its own"));
            Phase::Data(message, DotDecoder::new())
        }
        (Some(reply), Transfer::Data) => {
            core.reply(&reply);
            Phase::Command(core.reset(Some(message)))
        }
        (None, Transfer::Chunk(chunk)) => {
            message.begun();
            Phase::Chunk(message, chunk)
        }
        (Some(reply), Transfer::Chunk(chunk)) => {
            message.refuse(reply, core);
            Phase::Chunk(message, chunk)
        }
    }
}
