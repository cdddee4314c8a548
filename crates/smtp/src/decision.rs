//! The one place that says 250 to a message.

use crate::config::Protocol;
use crate::reply::Reply;
use crate::verdict::{DeliveryVerdict, Receipt};

/// The replies to a message that was received whole: one in SMTP, one per recipient in LMTP (RFC 2033 §4.2).
///
/// A verdict that the driver did not give counts as a temporary failure: silence is no receipt.
pub(crate) fn replies(protocol: Protocol, recipients: usize, verdicts: Vec<DeliveryVerdict>) -> Vec<Reply> {
    let mut judged: Vec<_> = verdicts.into_iter().take(recipients).map(judge).collect();
    judged.resize_with(recipients, || Err(unknown_fate()));
    match protocol {
        Protocol::Lmtp => {
            judged.into_iter().map(|one| one.map_or_else(|refusal| refusal, accepted)).collect()
        }
        Protocol::Smtp | Protocol::Submission => vec![whole(judged)],
    }
}

/// SMTP has one reply for all recipients, and after a 250 the client forgets the message. So:
/// - 250 only if the message is durable for every recipient;
/// - else a temporary refusal if there is one: the client tries again, and delivery recognises the recipients
///   that already have the message;
/// - else the first permanent one: the sender gets a bounce that may name too many recipients, which is
///   better than silence. A driver that can owe the sender an exact notification queues it, and presents
///   its receipt instead.
fn whole(judged: Vec<Result<Receipt, Reply>>) -> Reply {
    let mut receipt = None;
    let mut refusal: Option<Reply> = None;
    for one in judged {
        match one {
            Ok(proof) => receipt = Some(receipt.unwrap_or(proof)),
            Err(reply) if !reply.is_permanent() => return reply,
            Err(reply) => refusal = Some(refusal.unwrap_or(reply)),
        }
    }
    match (refusal, receipt) {
        (None, Some(receipt)) => accepted(receipt),
        (Some(refusal), _) => refusal,
        (None, None) => unknown_fate(),
    }
}

fn judge(verdict: DeliveryVerdict) -> Result<Receipt, Reply> {
    match verdict {
        DeliveryVerdict::Durable(receipt) => Ok(receipt),
        DeliveryVerdict::Refuse(refusal) => Err(refusal.into_reply()),
    }
}

fn accepted(receipt: Receipt) -> Reply {
    Reply::new(250, (0, 0), format!("Message stored, id {}", receipt.id().replace('\n', " ")))
}

fn unknown_fate() -> Reply {
    Reply::new(451, (3, 0), "The message could not be stored; try again later")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::{Refusal, RefusalCode};

    fn durable(id: &str) -> DeliveryVerdict {
        DeliveryVerdict::Durable(Receipt::durable(id))
    }

    fn full() -> Refusal {
        Refusal::new(RefusalCode::InsufficientStorage, 2, 2, "full")
    }

    fn spam() -> Refusal {
        Refusal::new(RefusalCode::MailboxUnavailable, 7, 1, "spam")
    }

    fn smtp(verdicts: Vec<DeliveryVerdict>, recipients: usize) -> Reply {
        replies(Protocol::Smtp, recipients, verdicts).remove(0)
    }

    #[test]
    fn only_durable_for_all_is_250() {
        assert_eq!(smtp(vec![durable("a"), durable("b")], 2), accepted(Receipt::durable("a")));
        assert_eq!(smtp(vec![durable("a")], 2), unknown_fate());
        assert_eq!(smtp(vec![], 1), unknown_fate());
        assert_eq!(smtp(vec![], 0), unknown_fate());
    }

    #[test]
    fn temporary_beats_permanent_beats_durable() {
        let (full, spam) = (DeliveryVerdict::Refuse(full()), DeliveryVerdict::Refuse(spam()));
        assert_eq!(smtp(vec![durable("a"), spam.clone(), full], 3), self::full().into_reply());
        assert_eq!(smtp(vec![durable("a"), spam], 2), self::spam().into_reply());
    }

    #[test]
    fn lmtp_answers_for_each() {
        let answer = replies(Protocol::Lmtp, 3, vec![durable("a"), DeliveryVerdict::Refuse(full())]);
        assert_eq!(answer, vec![accepted(Receipt::durable("a")), full().into_reply(), unknown_fate()]);
    }
}
