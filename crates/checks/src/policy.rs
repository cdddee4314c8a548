//! What an operator decides, and what follows from it for a message.

use std::time::Duration;

use dns::Name;

use crate::arc::ArcCheck;
use crate::dmarc::{DmarcCheck, DmarcResult, Policy};
use crate::network::Network;

/// How the checks are done and what follows from them. The defaults are those of a server that takes mail for others
/// from anybody.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name under which results are written, and removed where others have written them: that of this server, or
    /// one that all servers of the operator share.
    pub authserv_id: String,
    /// Other names under which nobody outside may write results, such as those of servers behind this one.
    pub also_ours: Vec<String>,
    /// Clients whose mail is not checked. Default: loopback.
    pub exempt: Vec<Network>,
    /// What becomes of messages that fail DMARC. Default: what the author's domain asks for.
    pub dmarc: Enforcement,
    /// What becomes of those of certain authors' domains, and of all domains below them.
    pub dmarc_overrides: Vec<(Name, Enforcement)>,
    /// Whose seals are believed: a message that fails DMARC here, but passed it where one of these took it, and was
    /// handled by none but these since, is accepted (RFC 8617). Default: nobody's.
    pub trusted_sealers: Vec<Name>,
    /// What becomes of a message whose author's domain cannot be asked. Default: it is accepted, and says so.
    /// A message that fails the policy of its domain except that DNS did not answer for a signature is deferred
    /// whatever is said here.
    pub unavailable: WhenUnavailable,
    /// How long the checks may take, twice: what can be done before the message comes, and what cannot. Default 20 s,
    /// as RFC 7208 §4.6.4 recommends.
    pub time: Duration,
    /// Questions to DNS for each of iprev, SPF by HELO, SPF by sender, all signatures, and each author's domain.
    /// Default 60; the largest senders need about 20.
    pub questions: usize,
    /// Signatures that are verified. Default 10.
    pub signatures: usize,
    /// Authors' domains that are asked about; the others count as failing. Default 5.
    pub authors: usize,
}

impl Options {
    /// The defaults, for a server of this name.
    pub fn new(authserv_id: impl Into<String>) -> Self {
        Self {
            authserv_id: authserv_id.into(),
            also_ours: Vec::new(),
            exempt: Network::LOOPBACK.to_vec(),
            dmarc: Enforcement::Full,
            dmarc_overrides: Vec::new(),
            trusted_sealers: Vec::new(),
            unavailable: WhenUnavailable::Accept,
            time: Duration::from_secs(20),
            questions: 60,
            signatures: 10,
            authors: 5,
        }
    }

    /// All names under which results are ours.
    pub(crate) fn our_names(&self) -> Vec<String> {
        std::iter::once(&self.authserv_id).chain(&self.also_ours).cloned().collect()
    }

    fn enforcement(&self, domain: &Name) -> Enforcement {
        let overrides = self.dmarc_overrides.iter().filter(|(name, _)| domain.is_within(name));
        let nearest = overrides.max_by_key(|(name, _)| name.as_str().len());
        nearest.map_or(self.dmarc, |(_, enforcement)| *enforcement)
    }
}

/// How far the policies of authors' domains are followed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Enforcement {
    /// Not at all; results are written.
    Observe,
    /// What they want rejected is quarantined.
    Quarantine,
    /// As they ask.
    Full,
}

/// What happens where DNS does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenUnavailable {
    /// The message is accepted, and its results say `temperror`.
    Accept,
    /// The client is told to come back.
    Defer,
}

/// What is to become of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It goes where it should.
    Accept,
    /// It goes to where suspicious mail is kept.
    Quarantine,
    /// It is refused for good.
    Reject(Refused),
    /// It is refused for now.
    Defer(Refused),
}

/// A refusal in SMTP's terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The reply's code (RFC 5321 §4.2).
    pub code: u16,
    /// Subject and detail of the enhanced status code (RFC 3463); its class is the code's.
    pub status: (u16, u16),
    /// What happened, and what to do.
    pub text: String,
}

/// What follows from what the authors' domains say. Of several, the strictest counts.
pub(crate) fn decide(options: &Options, dmarc: &[DmarcCheck], authors: usize, arc: &ArcCheck) -> Action {
    let vouched = arc.vouches(|sealer| options.trusted_sealers.contains(sealer));
    let mut action = Action::Accept;
    for check in dmarc {
        let next = decide_one(options, check, vouched);
        if severity(&next) > severity(&action) {
            action = next;
        }
    }
    // Who names so many authors means to be asked about none of them.
    if authors > options.authors && options.dmarc != Enforcement::Observe && severity(&action) < 1 {
        action = Action::Quarantine;
    }
    action
}

fn decide_one(options: &Options, check: &DmarcCheck, vouched: bool) -> Action {
    let enforcement = options.enforcement(&check.domain);
    if vouched || enforcement == Enforcement::Observe {
        return Action::Accept;
    }
    let domain = &check.domain;
    match (check.result, check.policy) {
        (DmarcResult::Fail, Some(Policy::Reject)) if enforcement == Enforcement::Full => {
            Action::Reject(Refused {
                code: 550,
                status: (7, 26),
                text: format!(
                    "The message passes neither SPF nor DKIM for {domain}, which asks (DMARC) that such mail be refused"
                ),
            })
        }
        (DmarcResult::Fail, Some(Policy::Reject | Policy::Quarantine)) => Action::Quarantine,
        (DmarcResult::TempError, Some(Policy::Reject | Policy::Quarantine)) => {
            Action::Defer(unavailable(domain))
        }
        (DmarcResult::TempError, None) if options.unavailable == WhenUnavailable::Defer => {
            Action::Defer(unavailable(domain))
        }
        _ => Action::Accept,
    }
}

fn unavailable(domain: &Name) -> Refused {
    let text = format!("Cannot find out now whether {domain} stands behind this message; try again later");
    Refused { code: 451, status: (4, 3), text }
}

const fn severity(action: &Action) -> u8 {
    match action {
        Action::Accept => 0,
        Action::Quarantine => 1,
        Action::Defer(_) => 2,
        Action::Reject(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arc::ArcResult;

    fn check(domain: &str, result: DmarcResult, policy: Option<Policy>) -> DmarcCheck {
        DmarcCheck { domain: Name::parse(domain).unwrap(), result, policy, applied: None }
    }

    fn no_chain() -> ArcCheck {
        ArcCheck::absent()
    }

    fn word(action: &Action) -> &'static str {
        ["accept", "quarantine", "defer", "reject"][usize::from(severity(action))]
    }

    #[test]
    fn policies_are_followed_as_far_as_the_operator_wants() {
        use DmarcResult as R;
        let table = [
            (R::Fail, Some(Policy::Reject), ["accept", "quarantine", "reject"]),
            (R::Fail, Some(Policy::Quarantine), ["accept", "quarantine", "quarantine"]),
            (R::Fail, Some(Policy::None), ["accept"; 3]),
            (R::Pass, Some(Policy::Reject), ["accept"; 3]),
            (R::TempError, Some(Policy::Reject), ["accept", "defer", "defer"]),
            (R::TempError, Some(Policy::None), ["accept"; 3]),
            (R::TempError, None, ["accept"; 3]),
            (R::None, None, ["accept"; 3]),
            (R::PermError, None, ["accept"; 3]),
        ];
        let levels = [Enforcement::Observe, Enforcement::Quarantine, Enforcement::Full];
        for (result, policy, words) in table {
            for (dmarc, wanted) in levels.into_iter().zip(words) {
                let options = Options { dmarc, ..Options::new("mx.test") };
                let action = decide(&options, &[check("x.test", result, policy)], 1, &no_chain());
                assert_eq!(word(&action), wanted, "{result:?} {policy:?} {dmarc:?}");
            }
        }
    }

    #[test]
    fn overrides_the_nearest_first() {
        let name = |text| Name::parse(text).unwrap();
        let options = Options {
            dmarc_overrides: vec![
                (name("x.test"), Enforcement::Observe),
                (name("strict.x.test"), Enforcement::Quarantine),
            ],
            ..Options::new("mx.test")
        };
        let action = |domain| {
            let check = check(domain, DmarcResult::Fail, Some(Policy::Reject));
            word(&decide(&options, &[check], 1, &no_chain()))
        };
        assert_eq!(action("a.x.test"), "accept");
        assert_eq!(action("a.strict.x.test"), "quarantine");
        assert_eq!(action("ax.test"), "reject");
    }

    #[test]
    fn the_strictest_of_several_authors_counts() {
        let options = Options::new("mx.test");
        let pass = check("good.test", DmarcResult::Pass, Some(Policy::Reject));
        let fail = check("bank.test", DmarcResult::Fail, Some(Policy::Reject));
        assert_eq!(word(&decide(&options, &[pass.clone(), fail.clone()], 2, &no_chain())), "reject");
        assert_eq!(word(&decide(&options, &[fail, pass.clone()], 2, &no_chain())), "reject");
        assert_eq!(word(&decide(&options, &[pass], 6, &no_chain())), "quarantine");
    }

    #[test]
    fn a_broken_chain_vouches_for_nothing() {
        let sealer = Name::parse("list.test").unwrap();
        let options = Options { trusted_sealers: vec![sealer.clone()], ..Options::new("mx.test") };
        let fail = [check("x.test", DmarcResult::Fail, Some(Policy::Reject))];
        assert_eq!(word(&decide(&options, &fail, 1, &no_chain())), "reject");
        let broken = ArcCheck::new(ArcResult::Fail, Some("a seal does not fit"));
        assert_eq!(word(&decide(&options, &fail, 1, &broken)), "reject");
    }

    #[test]
    fn where_dns_does_not_answer() {
        let options = Options { unavailable: WhenUnavailable::Defer, ..Options::new("mx.test") };
        let unknown = check("x.test", DmarcResult::TempError, None);
        assert_eq!(word(&decide(&options, &[unknown], 1, &no_chain())), "defer");
    }
}
