//! How TLS went on the way to a domain (RFC 8460 §4): sessions that were as the domain's policy wants them, and those
//! that were not, by reason.

use minicbor::{Decode, Encode};
use relay::{Announced, PolicyKind, TlsProblem, TlsReason, Try};

use super::cut;

/// The most policies that are told apart for one domain and day: it changes its policy once, at most.
const POLICIES: usize = 4;
/// The most failures that are told apart for one domain and day; what follows is counted by its reason alone.
const FAILURES: usize = 100;
/// The longest text, in octets.
const TEXT: usize = 255;
/// The longest detail, in octets.
const DETAIL: usize = 200;
/// The most lines of a policy, and hosts that it names.
const LINES: usize = 8;

/// Whose policy sessions were measured by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum TlsKind {
    /// There is none.
    #[n(0)]
    NotFound,
    /// The domain's, by MTA-STS.
    #[n(1)]
    Sts,
    /// The host's, by DANE.
    #[n(2)]
    Tlsa,
}

impl TlsKind {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "no-policy-found",
            Self::Sts => "sts",
            Self::Tlsa => "tlsa",
        }
    }

    /// What the configuration wants on a route is nobody else's business.
    const fn of(kind: PolicyKind) -> Option<Self> {
        match kind {
            PolicyKind::None => Some(Self::NotFound),
            PolicyKind::Sts => Some(Self::Sts),
            PolicyKind::Dane => Some(Self::Tlsa),
            PolicyKind::Route => None,
        }
    }
}

/// A policy as it was found.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(map)]
pub struct TlsPolicy {
    /// By which way.
    #[n(0)]
    pub kind: TlsKind,
    /// Its lines or records.
    #[n(1)]
    #[cbor(default)]
    pub text: Vec<String>,
    /// The hosts or patterns that it names.
    #[n(2)]
    #[cbor(default)]
    pub hosts: Vec<String>,
}

/// Sessions that failed in the same way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct TlsFailure {
    /// The word of RFC 8460 §4.3.
    #[n(0)]
    pub reason: String,
    /// The host; empty where several are counted together.
    #[n(1)]
    #[cbor(default)]
    pub host: String,
    /// The address that was called.
    #[n(2)]
    pub address: Option<String>,
    /// The address of ours, if one was chosen.
    #[n(3)]
    pub source: Option<String>,
    /// In detail.
    #[n(4)]
    #[cbor(default)]
    pub detail: String,
}

/// What came of sessions under one policy.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct TlsTally {
    /// The policy.
    #[n(0)]
    pub policy: TlsPolicy,
    /// Sessions that were as it wants them.
    #[n(1)]
    #[cbor(default)]
    pub successes: u64,
    /// Sessions that were not, each with how often.
    #[n(2)]
    #[cbor(default)]
    pub failures: Vec<(TlsFailure, u64)>,
}

impl TlsTally {
    /// How many sessions failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// What came of sessions on the way to one domain, on one day.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct TlsDay {
    /// By policy.
    #[n(0)]
    #[cbor(default)]
    pub policies: Vec<TlsTally>,
}

impl TlsDay {
    fn under(&mut self, policy: &TlsPolicy) -> &mut TlsTally {
        let found = self.policies.iter().position(|tally| tally.policy == *policy);
        let place = found.unwrap_or_else(|| {
            if self.policies.len() < POLICIES {
                self.policies.push(TlsTally { policy: policy.clone(), successes: 0, failures: Vec::new() });
                return self.policies.len() - 1;
            }
            let alike = self.policies.iter().rposition(|tally| tally.policy.kind == policy.kind);
            alike.unwrap_or(POLICIES - 1)
        });
        // There is one at any place that was found.
        &mut self.policies[place]
    }

    pub(crate) fn success(&mut self, policy: &TlsPolicy, count: u64) {
        let tally = self.under(policy);
        tally.successes = tally.successes.saturating_add(count);
    }

    pub(crate) fn failure(&mut self, policy: &TlsPolicy, failure: &TlsFailure, count: u64) {
        let full = self.policies.iter().map(|tally| tally.failures.len()).sum::<usize>() >= FAILURES;
        let tally = self.under(policy);
        let plain = TlsFailure { reason: failure.reason.clone(), ..TlsFailure::default() };
        let failure =
            if full && !tally.failures.iter().any(|(other, _)| other == failure) { &plain } else { failure };
        match tally.failures.iter_mut().find(|(other, _)| other == failure) {
            Some((_, before)) => *before = before.saturating_add(count),
            None => tally.failures.push((failure.clone(), count)),
        }
    }

    /// Adds what was seen elsewhere or later.
    pub(crate) fn merge(&mut self, other: &Self) {
        for tally in &other.policies {
            self.success(&tally.policy, tally.successes);
            for (failure, count) in &tally.failures {
                self.failure(&tally.policy, failure, *count);
            }
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.policies.iter().all(|tally| tally.successes == 0 && tally.failures.is_empty())
    }
}

/// What an attempt to deliver has shown of a destination's TLS.
#[derive(Clone, Copy, Debug)]
pub struct Sessions<'a> {
    /// The connections that were tried, with the policy that held for each and what protected it.
    pub tries: &'a [Try],
    /// What went wrong.
    pub problems: &'a [TlsProblem],
    /// The policies that were found.
    pub announced: &'a [Announced],
}

/// What came of it. Connections that were there already are no new sessions, and those that ended before it came to TLS
/// say nothing.
pub(crate) fn of_delivery(report: Sessions<'_>) -> TlsDay {
    let mut day = TlsDay::default();
    for one in report.tries.iter().filter(|one| one.address.is_some() && !one.reused) {
        let Some(kind) = TlsKind::of(one.policy) else { continue };
        let problems = || report.problems.iter().filter(|problem| problem.host == one.host);
        let told = problems().next().is_some();
        // What another policy misses does not spoil the session for this one.
        let failed = problems().any(|problem| problem.kind == one.policy);
        match (&one.tls, &one.failure) {
            (Some(_), _) if !failed => day.success(&policy(report, kind, &one.host), 1),
            // Nobody wanted it to be protected, and it was not.
            (None, None) if !told => {
                let failure = TlsFailure {
                    reason: TlsReason::StartTlsNotSupported.as_str().to_owned(),
                    host: cut(&one.host, TEXT),
                    address: one.address.map(|address| address.ip().to_string()),
                    source: one.source.map(|source| source.to_string()),
                    detail: String::new(),
                };
                day.failure(&policy(report, kind, &one.host), &failure, 1);
            }
            _ => {}
        }
    }
    for problem in report.problems {
        let Some(kind) = TlsKind::of(problem.kind) else { continue };
        let called = report.tries.iter().find(|one| one.host == problem.host && one.address.is_some());
        let failure = TlsFailure {
            reason: problem.reason.as_str().to_owned(),
            host: cut(&problem.host, TEXT),
            address: called.and_then(|one| one.address).map(|address| address.ip().to_string()),
            source: called.and_then(|one| one.source).map(|source| source.to_string()),
            detail: cut(&problem.detail, DETAIL),
        };
        day.failure(&policy(report, kind, &problem.host), &failure, 1);
    }
    day
}

/// The policy that counted for a host.
fn policy(report: Sessions<'_>, kind: TlsKind, host: &str) -> TlsPolicy {
    let names = |announced: &&Announced| match kind {
        TlsKind::Tlsa => announced.hosts.iter().any(|other| other == host),
        _ => true,
    };
    let mut announced = report.announced.iter().filter(|one| TlsKind::of(one.kind) == Some(kind));
    let found = if kind == TlsKind::NotFound { None } else { announced.find(names) };
    let lines = |lines: &[String]| lines.iter().take(LINES).map(|line| cut(line, TEXT)).collect();
    TlsPolicy {
        kind,
        text: found.map(|one| lines(&one.text)).unwrap_or_default(),
        hosts: found.map(|one| lines(&one.hosts)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(host: &str) -> TlsFailure {
        TlsFailure {
            reason: "certificate-expired".to_owned(),
            host: host.to_owned(),
            ..TlsFailure::default()
        }
    }

    fn sts(line: &str) -> TlsPolicy {
        TlsPolicy { kind: TlsKind::Sts, text: vec![line.to_owned()], hosts: Vec::new() }
    }

    #[test]
    fn what_is_too_much_is_counted_together() {
        let mut day = TlsDay::default();
        for number in 0..500 {
            day.failure(&sts("x"), &failure(&format!("mx{number}.example.com")), 2);
        }
        let tally = &day.policies[0];
        assert_eq!((tally.failures.len(), tally.failed()), (FAILURES + 1, 1_000));
        assert_eq!(tally.failures.last().unwrap().0, failure(""));
        for number in 0..50 {
            day.success(&sts(&number.to_string()), 1);
        }
        assert_eq!(day.policies.len(), POLICIES);
        assert_eq!(day.policies.iter().map(|tally| tally.successes).sum::<u64>(), 50);
    }

    #[test]
    fn the_largest_day_fits_into_a_row() {
        let lines = vec!["x".repeat(TEXT); LINES];
        let mut day = TlsDay::default();
        for number in 0..2 * POLICIES {
            let mut text = lines.clone();
            text[0] = format!("{number:0255}");
            let policy = TlsPolicy { kind: TlsKind::Sts, text, hosts: lines.clone() };
            for other in 0..FAILURES {
                let failure = TlsFailure {
                    reason: format!("reason {}", other % 12),
                    host: format!("{number:0100}{other:0155}"),
                    address: Some("2001:db8:1111:2222:3333:4444:5555:6666".to_owned()),
                    source: Some("2001:db8:1111:2222:3333:4444:5555:6666".to_owned()),
                    detail: "x".repeat(DETAIL),
                };
                day.failure(&policy, &failure, u64::MAX / 2);
            }
        }
        assert!(minicbor::to_vec(&day).unwrap().len() < 90_000);
    }

    #[test]
    fn days_add_up() {
        let (mut one, mut other) = (TlsDay::default(), TlsDay::default());
        one.success(&sts("x"), 3);
        one.failure(&sts("x"), &failure("mx"), 1);
        other.success(&sts("x"), 4);
        other.success(&sts("y"), 1);
        other.failure(&sts("x"), &failure("mx"), 2);
        one.merge(&other);
        assert_eq!((one.policies.len(), one.policies[0].successes, one.policies[0].failed()), (2, 7, 3));
    }
}
