//! What mail means: mailboxes, emails, threads, changes, quota and delivery. The only writer of mail data.
//!
//! ```text
//!   raw message ──ingest──> Message ──deliver / append / import──> rows of one account
//!                 parse once   |                                     |
//!                              └── attachments: store::blob          ├─ select, members, search, thread, metadata, source
//!                                                                    ├─ store, copy, move, expunge, restore
//!                                                                    └─ changes, mailbox_changes, subscribe
//! ```
//!
//! Every change of an account is one transaction with one modseq and one row in the change log; all rows and
//! counters that follow from it are derived in one place, `edit`. An email is immutable content plus mutable
//! state: the mailboxes that it is in, with a UID in each, and its keywords. `\Deleted` belongs to the place in
//! a mailbox, all other flags to the email. `docs/keyspace.md` lists the rows.

mod annotations;
mod append;
mod changes;
mod content;
mod deliver;
mod edit;
mod emails;
mod erase;
mod error;
mod expunge;
mod flags;
mod follow;
mod identities;
mod import;
pub mod ingest;
mod mailboxes;
mod message;
mod name;
mod news;
mod objects;
mod opened;
mod pack;
mod place;
mod quotas;
pub mod record;
mod restore;
mod returned;
mod role;
mod roll;
pub mod search;
mod service;
mod source;
mod steps;
mod submissions;
mod subscriptions;
mod table;
mod transfer;
mod tree;
mod update;
mod upkeep;
mod uploads;
mod vacation;
mod verify;
mod view;

pub use annotations::{Annotate, EntryError, EntryName};
pub use append::{Appended, NewEmail};
pub use changes::{Changes, EmailChanged, MailboxChanged, ObjectsChanged};
pub use deliver::{Companion, Delivered, Delivery, DeliveryId, Quota};
pub use emails::Email;
pub use error::Error;
pub use expunge::Expunged;
pub use flags::{FlagAction, FlagChange, Stored};
pub use follow::{Followed, Standing};
pub use import::{ImportId, ImportItem, Imported};
pub use mailboxes::{DeleteScope, MailboxUpdate, NewMailbox};
pub use message::Message;
pub use name::{MailboxName, MailboxPath, NameError};
pub use news::{MailboxEvent, News, Placed, Stirred};
pub use opened::Opened;
pub use pack::Packed;
pub use record::{Metadata, Record};
pub use restore::Restorable;
pub use role::Role;
pub use roll::{Current, Entry, Finder, Roll, UidList};
pub use service::{Mail, MailOptions, Usage};
pub use source::{Sealed, Source, SourceStream};
pub use submissions::{Recorded, Submitted, Word};
pub use table::{
    Addressee, Arrival, Identity, ObjectKind, Path, Person, QueueEntry, QuotaKind, Submission, Undo, Vacation,
};
pub use transfer::Copied;
pub use tree::MailboxInfo;
pub use update::{EmailUpdate, SetChange};
pub use upkeep::UpkeepReport;
pub use uploads::{Incoming, Upload, UploadStream};
pub use vacation::Due;
pub use verify::Finding;
pub use view::{MailboxChanges, Member, Missed, Selected};

/// What [`Mail::subscribe`] gives.
pub use store::bus::{Event, Subscription};
