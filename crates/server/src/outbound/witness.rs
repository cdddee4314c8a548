//! Who wants to know how connections to a destination were protected: the reports that its owner asks for (RFC 8460).

use relay::{Announced, TlsProblem, Try};

/// What an attempt has shown of a destination's TLS.
pub(crate) struct Sighting<'a> {
    /// The envelope's sender; empty for `<>`.
    pub(crate) sender: &'a str,
    /// The domain that the message was for, or an address literal.
    pub(crate) destination: &'a str,
    /// The connections that were tried, with the policy that held for each and what protected it.
    pub(crate) tries: &'a [Try],
    /// What went wrong, in the words of RFC 8460.
    pub(crate) problems: &'a [TlsProblem],
    /// The policies that the destination publishes.
    pub(crate) announced: &'a [Announced],
}

/// Hears of every attempt, before its outcome is written down. What it does must not take long.
pub(crate) trait Witness: Send + Sync {
    /// An attempt was made.
    fn saw(&self, sighting: &Sighting<'_>);
}

/// Writes into the log what a destination's owner should hear of, which is good to know here too.
pub(crate) struct LogBook;

impl Witness for LogBook {
    fn saw(&self, sighting: &Sighting<'_>) {
        let Sighting { destination, tries, problems, .. } = sighting;
        for one in tries.iter().filter(|one| one.failure.is_none()) {
            let tls = one.tls.as_ref().map_or("none", |tls| tls.version);
            let proof = one.tls.as_ref().map(|tls| tls.proof);
            tracing::debug!(destination, host = one.host, tls, ?proof, policy = ?one.policy, "protected");
        }
        for problem in *problems {
            let (host, reason) = (&problem.host, problem.reason.as_str());
            tracing::warn!(destination, host, reason, policy = ?problem.kind, detail = problem.detail, "a problem with TLS");
        }
    }
}
