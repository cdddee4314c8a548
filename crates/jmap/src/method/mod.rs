//! What each method does: one file per method, in a folder per type. [`METHODS`] lists them all.

pub(crate) mod blob;
pub(crate) mod changes;
pub(crate) mod collation;
pub(crate) mod core;
pub(crate) mod email;
pub(crate) mod email_submission;
pub(crate) mod filter;
pub(crate) mod get;
pub(crate) mod identity;
pub(crate) mod listing;
pub(crate) mod mailbox;
pub(crate) mod mdn;
pub(crate) mod parse;
pub(crate) mod push_subscription;
pub(crate) mod query_changes;
pub(crate) mod quota;
pub(crate) mod search_snippet;
pub(crate) mod set;
pub(crate) mod thread;
pub(crate) mod vacation_response;
pub(crate) mod window;

use futures::future::BoxFuture;

use crate::context::Context;
use crate::error::MethodError;
use crate::wire::{Arguments, Capability, Object};

/// What a call is answered with: as a rule one response, with its name.
pub(crate) type Outcome = Result<Vec<(&'static str, Object)>, MethodError>;

/// A method.
pub(crate) struct Method {
    /// Its name.
    pub(crate) name: &'static str,
    /// What a request must use to call it.
    pub(crate) capability: Capability,
    /// Runs a call.
    pub(crate) run: for<'c> fn(&'c mut Context<'_>, Arguments) -> BoxFuture<'c, Outcome>,
}

macro_rules! method {
    ($name:literal, $capability:ident, $($path:ident)::+) => {
        Method {
            name: $name,
            capability: Capability::$capability,
            run: |context, arguments| {
                Box::pin(async move { Ok(vec![($name, $($path)::+::run(context, arguments).await?)]) })
            },
        }
    };
}

/// All methods.
pub(crate) const METHODS: &[Method] = &[
    method!("Core/echo", Core, core::echo),
    method!("Blob/copy", Core, blob::copy),
    method!("Blob/upload", Blob, blob::upload),
    method!("Blob/get", Blob, blob::get),
    method!("Blob/lookup", Blob, blob::lookup),
    method!("PushSubscription/get", Core, push_subscription::get),
    method!("PushSubscription/set", Core, push_subscription::set),
    method!("Mailbox/get", Mail, mailbox::get),
    method!("Mailbox/changes", Mail, mailbox::changes),
    method!("Mailbox/query", Mail, mailbox::query),
    method!("Mailbox/queryChanges", Mail, mailbox::query_changes),
    method!("Mailbox/set", Mail, mailbox::set),
    method!("Thread/get", Mail, thread::get),
    method!("Thread/changes", Mail, thread::changes),
    method!("Email/get", Mail, email::get),
    method!("Email/changes", Mail, email::changes),
    method!("Email/query", Mail, email::query),
    method!("Email/queryChanges", Mail, email::query_changes),
    method!("Email/set", Mail, email::set),
    method!("Email/copy", Mail, email::copy),
    method!("Email/import", Mail, email::import),
    method!("Email/parse", Mail, email::parse),
    method!("SearchSnippet/get", Mail, search_snippet::get),
    method!("Identity/get", Submission, identity::get),
    method!("Identity/changes", Submission, identity::changes),
    method!("Identity/set", Submission, identity::set),
    method!("EmailSubmission/get", Submission, email_submission::get),
    method!("EmailSubmission/changes", Submission, email_submission::changes),
    method!("EmailSubmission/query", Submission, email_submission::query),
    method!("EmailSubmission/queryChanges", Submission, email_submission::query_changes),
    Method {
        name: "EmailSubmission/set",
        capability: Capability::Submission,
        run: |context, arguments| Box::pin(email_submission::set::run(context, arguments)),
    },
    method!("VacationResponse/get", VacationResponse, vacation_response::get),
    method!("VacationResponse/set", VacationResponse, vacation_response::set),
    Method {
        name: "MDN/send",
        capability: Capability::Mdn,
        run: |context, arguments| Box::pin(mdn::send::run(context, arguments)),
    },
    method!("MDN/parse", Mdn, mdn::parse),
    method!("Quota/get", Quota, quota::get),
    method!("Quota/changes", Quota, quota::changes),
    method!("Quota/query", Quota, quota::query),
    method!("Quota/queryChanges", Quota, quota::query_changes),
];

impl Method {
    /// The method of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_one_line() {
        for (at, method) in METHODS.iter().enumerate() {
            assert!(!METHODS[..at].iter().any(|other| other.name == method.name), "{}", method.name);
        }
    }
}
