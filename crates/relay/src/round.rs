//! What is known of the recipients of an attempt while one host after the other is tried.

use std::time::Duration;

use crate::attempt::{Announced, Barrier, Delivery, Report, Try};
use crate::body::Survey;
use crate::envelope::Envelope;
use crate::route::Host;
use crate::session::{Failure, Outcome, Standing, Transcript};
use crate::tls::{PolicyKind, TlsProblem};

/// What is known of the recipients while hosts are tried.
pub(crate) struct Round {
    pub(crate) survey: Survey,
    decided: Vec<Option<Delivery>>,
    /// What is true of those about whom nobody has said anything; temporary counts more than permanent, and what was said
    /// at a later stage more than what stood in the way at an earlier one.
    last: Option<(Delivery, Option<Barrier>)>,
    pub(crate) tries: Vec<Try>,
    pub(crate) problems: Vec<TlsProblem>,
    announced: Vec<Announced>,
}

impl Round {
    /// Nobody has been asked yet.
    pub(crate) fn new(survey: Survey, recipients: usize) -> Self {
        Self {
            survey,
            decided: vec![None; recipients],
            last: None,
            tries: Vec::new(),
            problems: Vec::new(),
            announced: Vec::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.decided.iter().all(Option::is_some)
    }

    pub(crate) fn attempted(&self) -> usize {
        self.tries.iter().filter(|one| one.address.is_some()).count()
    }

    /// The recipients about whom nobody has said anything, with their numbers, in an envelope of their own.
    pub(crate) fn open(&self, envelope: &Envelope) -> (Vec<usize>, Envelope) {
        let open = self.decided.iter().enumerate().filter(|(_, one)| one.is_none()).map(|(number, _)| number);
        let numbers: Vec<usize> = open.collect();
        let recipients =
            numbers.iter().filter_map(|number| envelope.recipients.get(*number)).cloned().collect();
        (numbers, Envelope { recipients, ..envelope.clone() })
    }

    /// Takes the outcomes of a transaction; whether another one should follow at once.
    pub(crate) fn decide(
        &mut self,
        numbers: &[usize],
        outcomes: Vec<Outcome>,
        host: &str,
        failure: Option<&Failure>,
    ) -> bool {
        let broken = failure.is_some();
        let delivered = |outcome: &Outcome| matches!(outcome.standing, Standing::Delivered { .. });
        let progress = outcomes.iter().any(delivered);
        let mut more = false;
        for (number, outcome) in numbers.iter().zip(outcomes) {
            let again = outcome.standing == Standing::NextTransaction && progress && !broken;
            more |= again;
            // Where the connection broke, whoever was not refused for good may have more luck elsewhere.
            let elsewhere =
                broken && matches!(outcome.standing, Standing::Temporary | Standing::NextTransaction);
            let delivery = Delivery { outcome, host: Some(host.to_owned()) };
            if again || elsewhere {
                self.blame(delivery, failure.and_then(Failure::barrier));
            } else if let Some(place) = self.decided.get_mut(*number) {
                *place = Some(delivery);
            }
        }
        more
    }

    /// Keeps the reason for whoever is left over in the end, unless there is a more telling one: a certificate that is not
    /// right says more than a second host that is switched off.
    pub(crate) fn blame(&mut self, delivery: Delivery, barrier: Option<Barrier>) {
        let telling = |outcome: &Outcome, barrier: Option<Barrier>| {
            // Without a barrier somebody came to speak about the message itself.
            (outcome.is_open(), barrier.is_none(), barrier)
        };
        let keeps = self.last.as_ref().is_some_and(|(last, before)| {
            telling(&last.outcome, *before) > telling(&delivery.outcome, barrier)
        });
        if !keeps {
            self.last = Some((delivery, barrier));
        }
    }

    /// Notes what the destination publishes.
    pub(crate) fn announce(&mut self, announced: Announced) {
        if !self.announced.contains(&announced) {
            self.announced.push(announced);
        }
    }

    /// A host is not even called.
    pub(crate) fn pass_over(&mut self, host: &Host, outcome: &Outcome, barrier: Option<Barrier>) {
        self.tries.push(Try {
            host: host.target.to_string(),
            address: None,
            source: None,
            reused: false,
            tls: None,
            policy: PolicyKind::None,
            took: Duration::ZERO,
            failure: Some(outcome.text.clone()),
            transcript: Transcript::default(),
        });
        self.blame(Delivery { outcome: outcome.clone(), host: None }, barrier);
    }

    pub(crate) fn report(self) -> Report {
        let nobody = || Delivery { outcome: Outcome::temporary(4, 1, "no host could be tried"), host: None };
        let (mut last, barrier) = self.last.unwrap_or_else(|| (nobody(), Some(Barrier::Name)));
        last.outcome.text.push_str(&others(&self.tries, &last));
        let untold = self.decided.iter().all(Option::is_none) && last.outcome.is_open();
        let deliveries = self.decided.into_iter().map(|one| one.unwrap_or_else(|| last.clone())).collect();
        let barrier = barrier.filter(|_| untold);
        Report { deliveries, tries: self.tries, problems: self.problems, announced: self.announced, barrier }
    }
}

/// Why the other hosts were of no use either, in words; the first three of them.
fn others(tries: &[Try], last: &Delivery) -> String {
    let mut told: Vec<String> = Vec::new();
    for one in tries {
        let Some(why) = &one.failure else { continue };
        let other = format!("{}: {why}", one.host);
        if last.host.as_ref() != Some(&one.host) && *why != last.outcome.text && !told.contains(&other) {
            told.push(other);
        }
    }
    told.truncate(3);
    if told.is_empty() { String::new() } else { format!("; nor by way of {}", told.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(failures: &[(&str, Outcome, Option<Barrier>)]) -> Round {
        let mut round = Round::new(Survey::default(), 1);
        for (host, outcome, barrier) in failures {
            round.tries.push(Try {
                host: (*host).to_owned(),
                address: None,
                source: None,
                reused: false,
                tls: None,
                policy: PolicyKind::None,
                took: Duration::ZERO,
                failure: Some(outcome.text.clone()),
                transcript: Transcript::default(),
            });
            round.blame(Delivery { outcome: outcome.clone(), host: Some((*host).to_owned()) }, *barrier);
        }
        round
    }

    #[test]
    fn the_most_telling_reason_is_told_first() {
        let report = round(&[
            (
                "mx1.test",
                Outcome::temporary(7, 5, "its certificate is for another name"),
                Some(Barrier::Security),
            ),
            ("mx2.test", Outcome::temporary(4, 1, "no connection"), Some(Barrier::Connection)),
            ("mx3.test", Outcome::temporary(4, 3, "no such name"), Some(Barrier::Name)),
        ])
        .report();
        assert_eq!(report.barrier, Some(Barrier::Security));
        assert_eq!(
            report.deliveries[0].outcome.text,
            "its certificate is for another name; nor by way of mx2.test: no connection; mx3.test: no such name"
        );
    }

    #[test]
    fn what_may_work_later_counts_more_than_what_never_will() {
        let report = round(&[
            ("mx1.test", Outcome::permanent(7, 30, "it does not promise TLS"), None),
            ("mx2.test", Outcome::temporary(4, 1, "no connection"), Some(Barrier::Connection)),
        ])
        .report();
        assert!(report.deliveries[0].outcome.is_open());
        assert_eq!(report.barrier, Some(Barrier::Connection));
    }

    #[test]
    fn of_equals_the_last_is_told() {
        let no = || Outcome::temporary(4, 1, "no connection");
        let report = round(&[
            ("mx1.test", no(), Some(Barrier::Connection)),
            ("mx2.test", no(), Some(Barrier::Connection)),
        ])
        .report();
        assert_eq!(report.deliveries[0].host.as_deref(), Some("mx2.test"));
    }
}
