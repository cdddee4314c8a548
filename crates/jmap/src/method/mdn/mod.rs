//! Methods of `MDN` (RFC 9007): telling a sender what became of a message, and reading what others tell. A receipt is sent where a
//! client says so for one email, and in no other case.

mod letter;
pub(super) mod parse;
pub(super) mod send;
mod wish;

use types::AccountId;

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::Arguments;

/// The properties of an MDN.
const PROPERTIES: [&str; 12] = [
    "forEmailId",
    "subject",
    "textBody",
    "includeOriginalMessage",
    "reportingUA",
    "disposition",
    "mdnGateway",
    "originalRecipient",
    "finalRecipient",
    "originalMessageId",
    "error",
    "extensionFields",
];

/// Takes `accountId`. One that is not there is a wrong argument here (RFC 9007 §2.1, §2.2).
fn account(context: &Context<'_>, arguments: &mut Arguments) -> Result<AccountId, MethodError> {
    context.account(arguments).map_err(|error| match error {
        MethodError::AccountNotFound => MethodError::argument("accountId", "is that of no account"),
        error => error,
    })
}
