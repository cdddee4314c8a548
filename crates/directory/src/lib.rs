//! Who is here, and who may come in: domains, accounts, aliases, groups, passwords and logins.
//!
//! ```text
//!   address ──> Directory::resolve ──────> Resolution: recipients and forwards, unknown user, not local, refused
//!                   domain? name? plus part? catch-all? then aliases and groups, level by level
//!
//!   login, secret, peer, protocol ──> Directory::authenticate ──> Authenticated, a token only made here
//!                   rate limits ─> one read ─> app password? known proof? ─> argon2id
//!
//!   sasl::Exchange, response, peer, protocol ──> Directory::respond ──> the next challenge, or the same token
//!
//!   consent, code or device ──> access token, peer, protocol ──> Directory::authenticate_bearer ──> the same token
//! ```
//!
//! - **Names** ([`DomainName`], [`LocalPart`], [`Address`]) have one normal form for look-ups; new names are held
//!   to stricter rules, so that none looks like another. One table row is one name, whatever has it.
//! - **References** (an alias's targets, a group's members, a catch-all) hold the number of what they mean. A
//!   name that is freed and given to somebody else does not inherit another's mail.
//! - **Forwards** (targets and members at other servers) are looked up anew each time: once their domain is ours, what
//!   has the name here gets the mail. Senders of forwarded mail are rewritten, and found again from there, by `srs`.
//! - **Logins** take as long for those who do not exist as for those who do. Guessing is limited by name and by
//!   peer; what was proven is remembered for minutes, in this process, so that apps which log in all the time
//!   do not cost a password hash each time.
//! - **Nothing is cached** of what the store says: a changed password, a disabled account, a new alias count from
//!   the next look on, on every node.
//!
//! A store that is out of reach is always an error, never "unknown user".

mod account;
mod alias;
mod directory;
mod dkim;
mod domain;
mod error;
mod group;
mod login;
mod name;
mod oauth;
mod options;
mod page;
mod password;
mod resolve;
pub mod sasl;
mod sending;
mod srs;
mod table;

pub use account::{Account, AccountSpec, AccountState, Quota};
pub use alias::{Alias, AliasTarget};
pub use directory::Directory;
pub use dkim::{DkimAlgorithm, DkimKey, DkimSecret, DkimState, NewDkimKey, Selector};
pub use domain::{Domain, DomainSettings, Separator};
pub use error::Error;
pub use group::{Group, Member};
pub use login::{AuthError, Authenticated, Credential, Granted};
pub use name::{Address, DomainName, LocalPart, NameError};
pub use oauth::{
    BearerError, Challenge, CodeRequest, DeviceCodes, DeviceQuestion, Grant, GrantId, NewOAuthClient,
    OAuthClient, OAuthError, OAuthOptions, OFFLINE_ACCESS, Owner, RedirectError, RedirectUri,
    RegistrationError, SCOPE_MAIL, Tokens, scope_text, scopes_named,
};
pub use options::{LoginLimits, Options, Rate};
pub use page::{Cursor, Page, PageRequest};
pub use password::{
    AppPassword, AppPasswordId, Cost, NewAppPassword, NewPassword, PasswordError, Protocol, Scopes,
    ScramIterations,
};
pub use resolve::{Forward, Recipient, Refusal, Resolution};
pub use sending::{SendingLimits, SentTooMuch};
pub use srs::SrsError;
