//! BDAT (RFC 3030): the message in chunks of counted octets.
//!
//! The octets of a chunk are read whatever the reply is, because a client that pipelines has sent them already;
//! taken for commands they would be a message speaking for its sender.

use crate::command::data::ready;
use crate::core::Core;
use crate::message::Message;
use crate::phase::{Chunk, Phase, Rest, Transfer};
use crate::reply::Reply;

/// A chunk under this size that is not the last counts as a command that moves no mail.
const SMALL: u64 = 512;

pub(crate) fn run(arguments: &str, rest: Rest, core: &mut Core) -> Phase {
    let Some(chunk) = parse(arguments) else {
        return lost(rest, core);
    };
    if !chunk.last && chunk.size < SMALL {
        core.conduct.junk();
        if let Some(reply) = core.conduct.verdict(&core.config.limits) {
            return core.close(&reply, Phase::Command(rest));
        }
    }
    match rest {
        Rest::Chunks(mut message) => {
            message.check_size(chunk.size, core);
            within_patience(Phase::Chunk(message, chunk), chunk, core)
        }
        rest => match ready(rest) {
            Ok(envelope) => begin(Message::new(envelope, core.config.protocol), chunk, core),
            Err((reply, rest)) => within_patience(Phase::Skip { chunk, reply, rest }, chunk, core),
        },
    }
}

/// A BDAT whose size cannot be read: where its chunk ends and the next command begins is unknown, so nothing that
/// follows may be run.
pub(crate) fn lost(rest: Rest, core: &mut Core) -> Phase {
    let text = "Wanted: BDAT size, or BDAT size LAST; closing, for the chunk cannot be told from commands";
    core.close(&Reply::new(501, (5, 4), text), Phase::Command(rest))
}

fn begin(mut message: Message, chunk: Chunk, core: &mut Core) -> Phase {
    message.check_size(chunk.size, core);
    match message.is_refused() {
        true => within_patience(Phase::Chunk(message, chunk), chunk, core),
        false => Phase::Begin(message, Transfer::Chunk(chunk)),
    }
}

/// A chunk that would be dropped is not read at all if it is beyond all measure.
fn within_patience(phase: Phase, chunk: Chunk, core: &mut Core) -> Phase {
    if chunk.size <= core.config.limits.drain {
        return phase;
    }
    let text = format!("A chunk of {} octets is more than this server reads; closing", chunk.size);
    core.close(&Reply::new(552, (3, 4), text), phase)
}

fn parse(arguments: &str) -> Option<Chunk> {
    let mut words = arguments.split(' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.bytes().all(|b| b.is_ascii_digit()))?;
    let size: u64 = digits.parse().ok()?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Chunk { size, left: size, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_size_and_last() {
        let read = |text: &str| parse(text).map(|chunk| (chunk.size, chunk.last));
        assert_eq!(read("0"), Some((0, false)));
        assert_eq!(read("18446744073709551615 last"), Some((u64::MAX, true)));
        for bad in ["", "LAST", "-1", "+1", "1 2", "1 LAST x", "18446744073709551616", "0x1", "1,0"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
