//! What can go wrong when the directory is read or changed, but for logins: see [`crate::AuthError`].

use store::kv;
use thiserror::Error;
use types::AccountId;

use crate::dkim::Selector;
use crate::name::{Address, DomainName, NameError};
use crate::oauth::RedirectError;
use crate::password::PasswordError;

/// Why the directory did not do what was asked. Nothing was changed.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum Error {
    /// The store failed; nothing is known about what was asked. To a mail peer: try again later.
    #[error(transparent)]
    Store(#[from] kv::Error),
    /// A text is no name, or none that may be created.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A password was refused.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The domain is there already.
    #[error("the domain {0} exists already")]
    DomainExists(DomainName),
    /// Something has the name already.
    #[error("{0} is taken: delete the account, alias or group that has this name, or choose another")]
    NameTaken(Address),
    /// The service is not responsible for the domain.
    #[error("there is no domain {0} here: create it first")]
    NoSuchDomain(DomainName),
    /// No account has the name.
    #[error("there is no account {0}")]
    NoSuchAccount(String),
    /// No account has the id: it was deleted.
    #[error("there is no account with the id {0}")]
    NoSuchAccountId(AccountId),
    /// No alias has the name.
    #[error("there is no alias {0}")]
    NoSuchAlias(Address),
    /// No group has the name.
    #[error("there is no group {0}")]
    NoSuchGroup(Address),
    /// An alias, group or catch-all should lead to something that is not here.
    #[error("{0} is no account, alias or group of this service: create it first")]
    NoSuchTarget(Address),
    /// The account has no app password of this id.
    #[error("the account has no app password {0}")]
    NoSuchAppPassword(u32),
    /// A domain with names cannot be deleted.
    #[error("the domain {domain} is in use: delete its accounts, aliases and groups first, such as {name}")]
    DomainInUse {
        /// The domain.
        domain: DomainName,
        /// One of its names.
        name: String,
    },
    /// Members would lead back to the group.
    #[error("{target} leads to {name}: mail would go in a circle")]
    Circle {
        /// What should lead to `target`.
        name: String,
        /// What leads back.
        target: String,
    },
    /// The target leads to more recipients, or over more steps, than the options allow.
    #[error("{0} leads to too many recipients or over too many steps: mail to it would be refused")]
    TooLarge(Address),
    /// Too much of something.
    #[error("{what} may be at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A text for people is too long or holds control characters.
    #[error("{what} is one line of at most {limit} octets")]
    Text {
        /// Which text.
        what: &'static str,
        /// The limit in octets.
        limit: usize,
    },
    /// A plus-addressing separator that could not work.
    #[error("{0:?} cannot separate a name from its detail: use one of + - _ = ~")]
    Separator(char),
    /// A text that is no selector.
    #[error("{0:?} is no selector: use up to 63 letters, digits and inner hyphens")]
    Selector(String),
    /// The domain has a key of this selector already.
    #[error("{domain} has a DKIM key with the selector {selector} already: choose another selector")]
    DkimKeyExists {
        /// Whose key.
        domain: DomainName,
        /// Its name.
        selector: Selector,
    },
    /// The domain has no key of this selector.
    #[error(
        "{domain} has no DKIM key with the selector {selector}: `magpie dkim list {domain}` shows its keys"
    )]
    NoSuchDkimKey {
        /// Whose key.
        domain: DomainName,
        /// Its name.
        selector: Selector,
    },
    /// A retired key has no private half any more.
    #[error("the DKIM key {selector} of {domain} is retired and cannot sign again: create another")]
    DkimKeyRetired {
        /// Whose key.
        domain: DomainName,
        /// Its name.
        selector: Selector,
    },
    /// A key that signs is not removed.
    #[error("the DKIM key {selector} of {domain} signs mail: retire it first")]
    DkimKeyActive {
        /// Whose key.
        domain: DomainName,
        /// Its name.
        selector: Selector,
    },
    /// A text that is no client's id.
    #[error("{0:?} cannot be a client's id: use up to 100 letters, digits and -._~")]
    OAuthClientId(String),
    /// The id is taken.
    #[error("there is a client {0} already: remove it first, or choose another id")]
    OAuthClientExists(String),
    /// No client has the id.
    #[error("there is no client {0}: `magpie oauth client list` shows those that there are")]
    NoSuchOAuthClient(String),
    /// A client that could not ask for anything.
    #[error("a client needs a redirect URI, or to be allowed to ask from a device")]
    OAuthClientUseless,
    /// A text that is no redirect URI.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The account has no grant of this id.
    #[error("the account has granted nothing with the id {0}")]
    NoSuchGrant(String),
    /// A cursor of another list.
    #[error("the cursor does not belong to this list: start again without one")]
    Cursor,
}

/// Checks a text for people: one line, not too long.
pub(crate) fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), Error> {
    if text.len() > limit || text.chars().any(char::is_control) {
        return Err(Error::Text { what, limit });
    }
    Ok(())
}
