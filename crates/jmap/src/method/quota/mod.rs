//! Methods of `Quota` (RFC 9425): what an account may hold, and what it does.
//!
//! The limits stand in the directory, and `mail` has them written down as clients were told them: whoever looks finds what has
//! become of them, and the change log tells of it, as it tells of emails that come and go and so change what is used.

pub(super) mod changes;
pub(super) mod get;
pub(super) mod query;
pub(super) mod query_changes;

use mail::QuotaKind;
use serde_json::{Value, json};
use types::{AccountId, ModSeq};

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

/// A limit, and how much of it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level {
    kind: QuotaKind,
    used: u64,
    limit: u64,
}

/// All quotas of an account: without a limit there is none.
struct Quotas {
    /// The modseq at which they are so.
    at: ModSeq,
    levels: Vec<Level>,
}

impl Quotas {
    /// Those of an account at this moment.
    async fn read(context: &Context<'_>, account: AccountId) -> Result<Self, MethodError> {
        context.standing(account).await?;
        let mail = context.mail();
        mail.note_limits(account, context.quota(account).await?).await?;
        let (at, usage, limits) = mail.quotas(account).await?;
        let level = |kind| {
            let used = match kind {
                QuotaKind::Octets => usage.bytes,
                QuotaKind::Emails => usage.emails,
            };
            Some(Level { kind, used, limit: limits.of(kind)? })
        };
        Ok(Self { at, levels: QuotaKind::ALL.into_iter().filter_map(level).collect() })
    }

    /// Those that a request may see: they are about types of mail, which it must know of (RFC 9425 §4.1).
    fn seen(&self, context: &Context<'_>) -> Vec<Level> {
        if context.using.contains(Capability::Mail) { self.levels.clone() } else { Vec::new() }
    }
}

/// The id of a quota, which is also its resource type (RFC 9425 §3.2).
const fn id_of(kind: QuotaKind) -> &'static str {
    match kind {
        QuotaKind::Octets => "octets",
        QuotaKind::Emails => "count",
    }
}

/// What people call it.
const fn name_of(kind: QuotaKind) -> &'static str {
    match kind {
        QuotaKind::Octets => "Storage for emails",
        QuotaKind::Emails => "Number of emails",
    }
}

/// A quota's property.
fn property(level: &Level, name: &str) -> Value {
    match name {
        "id" | "resourceType" => id_of(level.kind).into(),
        "used" => level.used.into(),
        // Larger numbers do not come over exactly (RFC 8620 §1.3), nor are they reached.
        "hardLimit" => level.limit.min((1 << 53) - 1).into(),
        "scope" => "account".into(),
        "name" => name_of(level.kind).into(),
        "types" => json!(TYPES),
        // Nothing happens before the limit is reached.
        _ => Value::Null,
    }
}

/// What the quotas are about: a name among JMAP's types.
const TYPES: [&str; 1] = ["Email"];
