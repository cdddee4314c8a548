//! How much there may be, and how long things take.

use std::time::Duration;

/// What can be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How far in the future a subscription may expire, and when it does if nobody says. RFC 8620 §7.2 wants 7 days.
    pub lifetime: Duration,
    /// How long a subscription may stay unverified.
    pub unverified: Duration,
    /// Subscriptions of one user.
    pub per_user: usize,
    /// Subscriptions that one user makes in an hour: each makes us ask somebody else's server something.
    pub per_hour: u64,
    /// Requests to push services at once.
    pub at_once: usize,
    /// How many of them one user has: a push service may take its time, and other users do not wait for it.
    pub at_once_per_user: usize,
    /// The shortest time between two requests to one subscription.
    pub gap: Duration,
    /// How long one request may take.
    pub patience: Duration,
    /// The first pause after a failure, and the longest; each is twice as long as the one before, give or take a quarter.
    pub pauses: (Duration, Duration),
    /// How long a node has a shard of the accounts unless it says again that it is there.
    pub lease: Duration,
    /// Whom a push service can ask about us: a `mailto:` or `https:` URI.
    pub contact: String,
}

impl Options {
    /// The usual ones; `contact` as in [`Self::contact`].
    pub fn new(contact: String) -> Self {
        Self {
            lifetime: Duration::from_hours(7 * 24),
            unverified: Duration::from_hours(24),
            per_user: 20,
            per_hour: 60,
            at_once: 50,
            at_once_per_user: 3,
            gap: Duration::from_secs(1),
            patience: Duration::from_secs(30),
            pauses: (Duration::from_secs(10), Duration::from_hours(1)),
            lease: Duration::from_mins(2),
            contact,
        }
    }
}
