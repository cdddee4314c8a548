//! Commands as types, and the parser that makes them: one file per command.

mod append;
mod authenticate;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod id;
mod list;
mod login;
mod lsub;
mod metadata;
mod notify;
mod quota;
mod rename;
mod replace;
mod search;
mod select;
mod sort;
mod status;
mod store;
mod subscribe;

use bytes::Bytes;

use super::cursor::{Cursor, Syntax, is_tag_char};
use super::frame::Frame;
use super::set::Unit;

pub use append::{Append, AppendForm, AppendMessage};
pub use authenticate::{Authenticate, InitialResponse};
pub use copy::{Copy, Move};
pub use create::Create;
pub use delete::Delete;
pub use enable::Enable;
pub use expunge::Expunge;
pub use fetch::{Fetch, FetchItem, Rfc822};
pub use id::Id;
pub use list::{List, ListReturn, ListSelect};
pub use login::{Login, Secret};
pub use lsub::Lsub;
pub use metadata::{Depth, GetMetadata, SetMetadata};
pub use notify::{EventGroup, EventKinds, MailboxFilter, Notify};
pub use quota::{GetQuota, GetQuotaRoot};
pub use rename::Rename;
pub use replace::Replace;
pub use search::{Search, SearchKey, SearchReturn};
pub use select::{Examine, Known, Select, SelectOptions};
pub use sort::{Sort, SortCriterion, SortKey, Thread, Threading};
pub use status::{Status, StatusItem};
pub use store::{Store, StoreAction};
pub use subscribe::{Subscribe, Unsubscribe};

/// What the client wants. RFC 3501 and RFC 9051 in their base form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `APPEND` up to its first message.
    Append(Append),
    /// `AUTHENTICATE`
    Authenticate(Authenticate),
    /// `CAPABILITY`
    Capability,
    /// `CHECK` (IMAP4rev1)
    Check,
    /// `CLOSE`
    Close,
    /// `COMPRESS` with the algorithm in upper case
    Compress(String),
    /// `COPY`, `UID COPY`
    Copy(Copy),
    /// `CREATE`
    Create(Create),
    /// `DELETE`
    Delete(Delete),
    /// `ENABLE`
    Enable(Enable),
    /// `EXAMINE`
    Examine(Examine),
    /// `EXPUNGE`, `UID EXPUNGE`
    Expunge(Expunge),
    /// `FETCH`, `UID FETCH`
    Fetch(Fetch),
    /// `GETMETADATA`
    GetMetadata(GetMetadata),
    /// `GETQUOTA`
    GetQuota(GetQuota),
    /// `GETQUOTAROOT`
    GetQuotaRoot(GetQuotaRoot),
    /// `ID`
    Id(Id),
    /// `IDLE`
    Idle,
    /// `LIST`
    List(List),
    /// `LOGIN`
    Login(Login),
    /// `LOGOUT`
    Logout,
    /// `LSUB` (IMAP4rev1)
    Lsub(Lsub),
    /// `MOVE`, `UID MOVE`
    Move(Move),
    /// `NAMESPACE`
    Namespace,
    /// `NOOP`
    Noop,
    /// `NOTIFY`
    Notify(Notify),
    /// `RENAME`
    Rename(Rename),
    /// `REPLACE`, `UID REPLACE` up to its message.
    Replace(Replace),
    /// `SEARCH`, `UID SEARCH`
    Search(Search),
    /// `SELECT`
    Select(Select),
    /// `SETMETADATA`
    SetMetadata(SetMetadata),
    /// `SORT`, `UID SORT`
    Sort(Sort),
    /// `STARTTLS`
    StartTls,
    /// `STATUS`
    Status(Status),
    /// `STORE`, `UID STORE`
    Store(Store),
    /// `SUBSCRIBE`
    Subscribe(Subscribe),
    /// `THREAD`, `UID THREAD`
    Thread(Thread),
    /// `UNAUTHENTICATE`
    Unauthenticate,
    /// `UNSELECT`
    Unselect,
    /// `UNSUBSCRIBE`
    Unsubscribe(Unsubscribe),
}

/// The client's name for one command, repeated in its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Bytes);

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: Tag,
    /// The command.
    pub command: Command,
}

/// A command that breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The tag, if there is one to answer to.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub error: Syntax,
}

impl Tag {
    /// As it is written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From bytes that the framer found before a refused command.
    pub(crate) fn from_framer(bytes: Bytes) -> Option<Self> {
        (!bytes.is_empty() && bytes.iter().all(|b| is_tag_char(*b))).then_some(Self(bytes))
    }
}

/// Parses a whole command, or APPEND's head.
pub fn parse(frame: &Frame) -> Result<Tagged, Malformed> {
    let mut cursor = Cursor::new(frame);
    let tag = cursor.run(is_tag_char);
    if tag.is_empty() {
        return Err(Malformed { tag: None, error: cursor.expected("a tag") });
    }
    let tag = Tag(tag);
    match command(&mut cursor) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(error) => Err(Malformed { tag: Some(tag), error }),
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, Syntax> {
    cursor.space()?;
    let verb = cursor.atom("a command")?.to_ascii_uppercase();
    let command = match verb.as_str() {
        "UID" => {
            cursor.space()?;
            let verb =
                cursor.atom("COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH or STORE")?.to_ascii_uppercase();
            with_uid(&verb, cursor)?
        }
        verb => without_uid(verb, cursor)?,
    };
    cursor.end()?;
    Ok(command)
}

fn with_uid(verb: &str, cursor: &mut Cursor<'_>) -> Result<Command, Syntax> {
    Ok(match verb {
        "COPY" => Command::Copy(Copy::parse(Unit::Uid, cursor)?),
        "EXPUNGE" => Command::Expunge(Expunge::parse_uid(cursor)?),
        "FETCH" => Command::Fetch(Fetch::parse(Unit::Uid, cursor)?),
        "MOVE" => Command::Move(Move::parse(Unit::Uid, cursor)?),
        "REPLACE" => Command::Replace(Replace::parse(Unit::Uid, cursor)?),
        "SEARCH" => Command::Search(Search::parse(Unit::Uid, cursor)?),
        "SORT" => Command::Sort(Sort::parse(Unit::Uid, cursor)?),
        "STORE" => Command::Store(Store::parse(Unit::Uid, cursor)?),
        "THREAD" => Command::Thread(Thread::parse(Unit::Uid, cursor)?),
        _ => {
            return Err(cursor.expected("COPY, EXPUNGE, FETCH, MOVE, REPLACE, SEARCH, SORT, STORE or THREAD"));
        }
    })
}

fn without_uid(verb: &str, cursor: &mut Cursor<'_>) -> Result<Command, Syntax> {
    Ok(match verb {
        "APPEND" => Command::Append(Append::parse(cursor)?),
        "AUTHENTICATE" => Command::Authenticate(Authenticate::parse(cursor)?),
        "CAPABILITY" => Command::Capability,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "COMPRESS" => {
            cursor.space()?;
            Command::Compress(cursor.atom("a compression algorithm")?.to_ascii_uppercase())
        }
        "COPY" => Command::Copy(Copy::parse(Unit::Sequence, cursor)?),
        "CREATE" => Command::Create(Create::parse(cursor)?),
        "DELETE" => Command::Delete(Delete::parse(cursor)?),
        "ENABLE" => Command::Enable(Enable::parse(cursor)?),
        "EXAMINE" => Command::Examine(Examine::parse(cursor)?),
        "EXPUNGE" => Command::Expunge(Expunge::default()),
        "FETCH" => Command::Fetch(Fetch::parse(Unit::Sequence, cursor)?),
        "GETMETADATA" => Command::GetMetadata(GetMetadata::parse(cursor)?),
        "GETQUOTA" => Command::GetQuota(GetQuota::parse(cursor)?),
        "GETQUOTAROOT" => Command::GetQuotaRoot(GetQuotaRoot::parse(cursor)?),
        "ID" => Command::Id(Id::parse(cursor)?),
        "IDLE" => Command::Idle,
        "LIST" => Command::List(List::parse(cursor)?),
        "LOGIN" => Command::Login(Login::parse(cursor)?),
        "LOGOUT" => Command::Logout,
        "LSUB" => Command::Lsub(Lsub::parse(cursor)?),
        "MOVE" => Command::Move(Move::parse(Unit::Sequence, cursor)?),
        "NAMESPACE" => Command::Namespace,
        "NOOP" => Command::Noop,
        "NOTIFY" => Command::Notify(Notify::parse(cursor)?),
        "RENAME" => Command::Rename(Rename::parse(cursor)?),
        "REPLACE" => Command::Replace(Replace::parse(Unit::Sequence, cursor)?),
        "SEARCH" => Command::Search(Search::parse(Unit::Sequence, cursor)?),
        "SELECT" => Command::Select(Select::parse(cursor)?),
        "SETMETADATA" => Command::SetMetadata(SetMetadata::parse(cursor)?),
        "SORT" => Command::Sort(Sort::parse(Unit::Sequence, cursor)?),
        "STARTTLS" => Command::StartTls,
        "STATUS" => Command::Status(Status::parse(cursor)?),
        "STORE" => Command::Store(Store::parse(Unit::Sequence, cursor)?),
        "SUBSCRIBE" => Command::Subscribe(Subscribe::parse(cursor)?),
        "THREAD" => Command::Thread(Thread::parse(Unit::Sequence, cursor)?),
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "UNSELECT" => Command::Unselect,
        "UNSUBSCRIBE" => Command::Unsubscribe(Unsubscribe::parse(cursor)?),
        _ => return Err(cursor.expected("a command that this server knows")),
    })
}

#[cfg(test)]
mod tests;
