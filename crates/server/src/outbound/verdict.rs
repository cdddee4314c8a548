//! What an attempt of the relay means to the queue.

use queue::{Answer, Cause, Facts, Lease, Outcome, Passage};
use relay::{Barrier, Delivery, Envelope, Protection, Recipient, Report, Return, Standing};
use types::Timestamp;

/// What follows from an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The destination as a whole could not be reached: whatever is for it waits.
    Blocked(Cause, Answer),
    /// What became of each recipient.
    Judged(Vec<(usize, Outcome)>),
}

/// Judges an attempt for the recipients of these numbers, which it was made for in this order.
///
/// Where its sender demands more safety than the destination does, what stood in the way is a matter of this message alone
/// if it is that safety, or if a host was reached that others may use.
pub(super) fn judge(numbers: &[usize], report: &Report, protection: Protection, at: Timestamp) -> Verdict {
    let own = protection == Protection::Required
        && (report.barrier == Some(Barrier::Security) || is_answered(report));
    if let (Some(barrier), Some(delivery)) = (report.barrier.filter(|_| !own), report.deliveries.first()) {
        return Verdict::Blocked(cause(barrier), answer(delivery, at));
    }
    let outcomes = numbers.iter().zip(&report.deliveries);
    Verdict::Judged(outcomes.map(|(number, delivery)| (*number, outcome(delivery, at))).collect())
}

/// Whether what became of a probe says that the destination takes the mail of others too, which failed for this cause.
pub(super) fn is_reached(report: &Report, protection: Protection, failed_for: Option<Cause>) -> bool {
    match protection {
        Protection::Usual => true,
        // It may have failed by its own demand, before anybody was called.
        Protection::Required => is_answered(report),
        // It went without the safety that the others lack.
        Protection::Dispensable => failed_for != Some(Cause::Security),
    }
}

/// Whether a host was called, and could have been used.
fn is_answered(report: &Report) -> bool {
    report.tries.iter().any(|one| one.address.is_some() && one.failure.is_none())
}

const fn cause(barrier: Barrier) -> Cause {
    match barrier {
        Barrier::Name => Cause::Name,
        Barrier::Connection => Cause::Connection,
        Barrier::Security => Cause::Security,
        Barrier::Refusal => Cause::Refusal,
        Barrier::Local => Cause::Local,
    }
}

fn outcome(delivery: &Delivery, at: Timestamp) -> Outcome {
    let answer = answer(delivery, at);
    match delivery.outcome.standing {
        Standing::Delivered { notifies: true } => Outcome::Done,
        Standing::Delivered { notifies: false } => Outcome::Passed(Passage::Relayed, answer),
        Standing::Temporary | Standing::NextTransaction | Standing::Unknown => Outcome::Later(answer),
        Standing::Permanent => Outcome::Never(answer),
    }
}

/// What was said: the server's own words where it said any, for they are what helps.
fn answer(delivery: &Delivery, at: Timestamp) -> Answer {
    let Delivery { outcome, host } = delivery;
    let reply = outcome.reply.as_deref();
    let code = reply.and_then(|reply| reply.get(..3)).and_then(|code| code.parse().ok());
    let facts =
        Facts { status: Some(outcome.status.to_string()), reply: code, host: host.clone(), at: Some(at) };
    Answer { text: reply.unwrap_or(&outcome.text).to_owned(), facts }
}

/// The envelope for the recipients of a lease that have no outcome yet, with their numbers.
pub(super) fn envelope(lease: &Lease) -> (Vec<usize>, Envelope) {
    let origin = lease.origin();
    let (numbers, recipients) = lease
        .pending()
        .map(|(number, recipient)| {
            let address = recipient.address.clone();
            let (notify, orcpt) = (recipient.notify, recipient.orcpt.clone());
            (number, Recipient { address, notify, orcpt })
        })
        .unzip();
    let envelope = Envelope {
        sender: origin.sender.clone(),
        recipients,
        ret: origin.ret.map(|ret| match ret {
            queue::Return::Full => Return::Full,
            queue::Return::Headers => Return::Headers,
        }),
        envid: origin.envid.clone(),
        smtputf8: origin.smtputf8,
        protection: match origin.protection {
            queue::Protection::Usual => Protection::Usual,
            queue::Protection::Required => Protection::Required,
            queue::Protection::Dispensable => Protection::Dispensable,
        },
    };
    (numbers, envelope)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use relay::{PolicyKind, Status, Transcript, Try};

    use super::*;

    fn delivery(standing: Standing, reply: Option<&str>) -> Delivery {
        let outcome = relay::Outcome {
            standing,
            status: Status::temporary(2, 2),
            reply: reply.map(str::to_owned),
            text: "in words".to_owned(),
        };
        Delivery { outcome, host: Some("mx.test".to_owned()) }
    }

    fn report(deliveries: Vec<Delivery>, barrier: Option<Barrier>) -> Report {
        Report { deliveries, tries: Vec::new(), problems: Vec::new(), announced: Vec::new(), barrier }
    }

    #[test]
    fn each_recipient_has_an_outcome() {
        let all = [
            delivery(Standing::Delivered { notifies: true }, None),
            delivery(Standing::Delivered { notifies: false }, Some("250 taken")),
            delivery(Standing::Temporary, Some("450 4.2.2 full")),
            delivery(Standing::NextTransaction, None),
            delivery(Standing::Unknown, None),
            delivery(Standing::Permanent, None),
        ];
        let numbers = [1, 2, 5, 6, 7, 9];
        let Verdict::Judged(outcomes) =
            judge(&numbers, &report(all.to_vec(), None), Protection::Usual, Timestamp(7))
        else {
            panic!("nothing was in the way");
        };
        let word = |outcome: &Outcome| match outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Passed(..) => "passed".to_owned(),
            Outcome::Later(answer) => format!("later {:?} {}", answer.facts.reply, answer.text),
            Outcome::Never(answer) => format!("never {:?} {}", answer.facts.reply, answer.text),
        };
        let words: Vec<String> =
            outcomes.iter().map(|(n, outcome)| format!("{n} {}", word(outcome))).collect();
        assert_eq!(
            words,
            [
                "1 done",
                "2 passed",
                "5 later Some(450) 450 4.2.2 full",
                "6 later None in words",
                "7 later None in words",
                "9 never None in words"
            ]
        );
    }

    #[test]
    fn what_stands_before_all_of_a_destination_is_no_fault_of_a_message() {
        let report = report(vec![delivery(Standing::Temporary, None); 2], Some(Barrier::Security));
        let Verdict::Blocked(cause, answer) = judge(&[0, 1], &report, Protection::Usual, Timestamp(7)) else {
            panic!("there was a barrier");
        };
        assert_eq!((cause, answer.text.as_str()), (Cause::Security, "in words"));
        let facts = answer.facts;
        assert_eq!((facts.status.as_deref(), facts.host.as_deref()), (Some("4.2.2"), Some("mx.test")));
    }

    #[test]
    fn what_one_sender_demands_blocks_nobody_else() {
        let blocked = |barrier, protection| {
            let report = report(vec![delivery(Standing::Temporary, None)], Some(barrier));
            matches!(judge(&[0], &report, protection, Timestamp(7)), Verdict::Blocked(..))
        };
        assert!(!blocked(Barrier::Security, Protection::Required));
        assert!(blocked(Barrier::Security, Protection::Usual));
        assert!(blocked(Barrier::Security, Protection::Dispensable));
        assert!(blocked(Barrier::Connection, Protection::Required));
    }

    #[test]
    fn a_host_that_answers_is_no_barrier_because_the_next_one_is_dead() {
        let tried = |failure: Option<&str>| Try {
            host: "mx.test".to_owned(),
            address: Some(([192, 0, 2, 1], 25).into()),
            source: None,
            reused: false,
            tls: None,
            policy: PolicyKind::None,
            took: Duration::ZERO,
            failure: failure.map(str::to_owned),
            transcript: Transcript::default(),
        };
        // It does not know REQUIRETLS; the other host might.
        let blocked = |tries: &[Try], barrier, protection| {
            let mut report = report(vec![delivery(Standing::Temporary, None)], Some(barrier));
            report.tries = tries.to_vec();
            matches!(judge(&[0], &report, protection, Timestamp(7)), Verdict::Blocked(..))
        };
        let (answers, dead) = (tried(None), tried(Some("the connection was lost")));
        for barrier in [Barrier::Connection, Barrier::Refusal] {
            assert!(!blocked(&[answers.clone(), dead.clone()], barrier, Protection::Required), "{barrier:?}");
            assert!(blocked(&[dead.clone(), dead.clone()], barrier, Protection::Required), "{barrier:?}");
            assert!(blocked(std::slice::from_ref(&dead), barrier, Protection::Usual), "{barrier:?}");
        }
    }

    #[test]
    fn a_probe_speaks_for_others_only_where_they_would_fare_alike() {
        let untried = report(vec![delivery(Standing::Temporary, None)], Some(Barrier::Security));
        let reached = |protection, cause| is_reached(&untried, protection, cause);
        assert!(reached(Protection::Usual, Some(Cause::Security)));
        assert!(!reached(Protection::Dispensable, Some(Cause::Security)));
        assert!(reached(Protection::Dispensable, Some(Cause::Connection)));
        assert!(!reached(Protection::Required, Some(Cause::Connection)));
    }
}
