//! Methods of `VacationResponse` (RFC 8621 §8): one object per account, which is always there.

pub(super) mod get;
pub(super) mod set;

/// The id of the one object.
const ID: &str = "singleton";

/// Its properties.
const PROPERTIES: [&str; 7] = ["id", "isEnabled", "fromDate", "toDate", "subject", "textBody", "htmlBody"];
