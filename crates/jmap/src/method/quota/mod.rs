//! Methods of `Quota` (RFC 9425): what an account may hold, and what it does.
//!
//! Nothing is stored for this: what is used stands in the account's row, the limits stand in the directory. A state is these
//! numbers themselves, so that what has changed since can be told of any state, however old.

pub(super) mod changes;
pub(super) mod get;
pub(super) mod query;
pub(super) mod query_changes;

use std::fmt;

use serde_json::{Value, json};
use types::AccountId;

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::Capability;

/// The properties of a quota.
const PROPERTIES: [&str; 10] = [
    "id",
    "resourceType",
    "used",
    "hardLimit",
    "scope",
    "name",
    "types",
    "warnLimit",
    "softLimit",
    "description",
];

/// A kind of quota. An account has at most one of each: without a limit there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Octets,
    Count,
}

/// How much is used, and how much may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level {
    used: u64,
    limit: u64,
}

/// All quotas of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Quotas {
    octets: Option<Level>,
    count: Option<Level>,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Octets, Self::Count];

    /// Its id, which is also its resource type (RFC 9425 §3.2).
    const fn id(self) -> &'static str {
        match self {
            Self::Octets => "octets",
            Self::Count => "count",
        }
    }

    /// What people call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Octets => "Storage for emails",
            Self::Count => "Number of emails",
        }
    }
}

impl Quotas {
    /// Those of an account at this moment.
    async fn read(context: &Context<'_>, account: AccountId) -> Result<Self, MethodError> {
        let limits = context.quota(account).await?;
        let usage = context.mail().usage(account).await?;
        let level = |used, limit: Option<u64>| limit.map(|limit| Level { used, limit });
        Ok(Self { octets: level(usage.bytes, limits.bytes), count: level(usage.emails, limits.emails) })
    }

    const fn level(&self, kind: Kind) -> Option<Level> {
        match kind {
            Kind::Octets => self.octets,
            Kind::Count => self.count,
        }
    }

    fn set(&mut self, kind: Kind, level: Option<Level>) {
        match kind {
            Kind::Octets => self.octets = level,
            Kind::Count => self.count = level,
        }
    }

    /// Those that a request may see: they are about types of mail, which it must know of (RFC 9425 §4.1).
    fn seen(self, context: &Context<'_>) -> Vec<(Kind, Level)> {
        let knows_mail = context.using.contains(Capability::Mail);
        let all = Kind::ALL.into_iter().filter(|_| knows_mail);
        all.filter_map(|kind| Some((kind, self.level(kind)?))).collect()
    }

    /// Reads a state of ours.
    fn parse(state: &str) -> Option<Self> {
        let level = |text: &str| match text {
            "-" => Some(None),
            text => {
                let (used, limit) = text.split_once('/')?;
                Some(Some(Level { used: used.parse().ok()?, limit: limit.parse().ok()? }))
            }
        };
        let (octets, count) = state.strip_prefix('q')?.split_once(',')?;
        let quotas = Self { octets: level(octets)?, count: level(count)? };
        (quotas.to_string() == state).then_some(quotas)
    }
}

/// The state: all that can change.
impl fmt::Display for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |level: Option<Level>| {
            level.map_or_else(|| "-".to_owned(), |level| format!("{}/{}", level.used, level.limit))
        };
        write!(f, "q{},{}", text(self.octets), text(self.count))
    }
}

/// A quota's property.
fn property(kind: Kind, level: Level, name: &str) -> Value {
    match name {
        "id" | "resourceType" => kind.id().into(),
        "used" => level.used.into(),
        // Larger numbers do not come over exactly (RFC 8620 §1.3), nor are they reached.
        "hardLimit" => level.limit.min((1 << 53) - 1).into(),
        "scope" => "account".into(),
        "name" => kind.name().into(),
        "types" => json!(TYPES),
        // Nothing happens before the limit is reached.
        _ => Value::Null,
    }
}

/// What the quotas are about: a name among JMAP's types.
const TYPES: [&str; 1] = ["Email"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back() {
        let level = |used, limit| Some(Level { used, limit });
        for (state, octets, count) in [
            ("q-,-", None, None),
            ("q0/0,-", level(0, 0), None),
            ("q-,3/100", None, level(3, 100)),
            ("q18446744073709551615/5,3/100", level(u64::MAX, 5), level(3, 100)),
        ] {
            assert_eq!(Quotas::parse(state), Some(Quotas { octets, count }), "{state}");
        }
        for bad in ["", "s5", "q", "q-", "q-,-,-", "q01/2,-", "q1,-", "q1/2/3,-", "q+1/2,-"] {
            assert_eq!(Quotas::parse(bad), None, "{bad}");
        }
    }
}
