//! What each command does: one file per command.

pub(super) mod append;
pub(super) mod authenticate;
mod capability;
mod check;
mod close;
mod compress;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
pub(super) mod fetch;
mod id;
mod idle;
mod list;
mod login;
mod logout;
mod lsub;
mod metadata;
mod r#move;
mod namespace;
mod noop;
mod notify;
mod quota;
mod rename;
mod replace;
mod search;
mod select;
mod sort;
mod starttls;
pub(super) mod status;
mod store;
mod subscribe;
mod thread;
mod unauthenticate;
mod unselect;

use bytes::BytesMut;
use directory::sasl::Exchange;

pub(super) use self::list::special_use;
use super::Session;
pub(super) use super::announce::Tell;
use super::error::Error;
use super::user::User;
use crate::wire::Unit;
use crate::wire::command::{Command, Tag};
use crate::wire::response::{Output, Reply};

/// What a command came to.
pub(super) enum Outcome {
    /// It is done; this is the answer, after the news that it allows.
    Done(Reply, Tell),
    /// It goes on in steps.
    Task(Task),
    /// The client idles.
    Idle,
    /// The client is asked for its credentials.
    Exchange(Exchange),
    /// TLS begins.
    StartTls,
    /// Compression begins.
    Compress,
    /// The session is over.
    Logout,
}

/// A command that produces its answer in steps.
pub(super) enum Task {
    /// FETCH
    Fetch(Box<fetch::Fetching>),
    /// FETCH of what rows tell
    FetchRows(Box<fetch::FetchingRows>),
    /// SEARCH
    Search(Box<search::Searching>),
    /// SORT
    Sort(Box<sort::Sorting>),
    /// STORE
    Store(store::Storing),
    /// THREAD
    Thread(Box<thread::Threading>),
    /// SELECT of a client that was away
    CatchUp(Box<select::CatchingUp>),
}

/// A task's answer when it is over.
pub(super) type Finished = Option<(Reply, Tell)>;

impl Task {
    /// Does a bounded part of the work.
    pub(super) async fn step(
        &mut self,
        user: &mut User,
        tag: &Tag,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        match self {
            Self::Fetch(fetching) => fetching.step(user, out).await,
            Self::FetchRows(fetching) => fetching.step(user, out).await,
            Self::Search(searching) => searching.step(user, tag, out).await,
            Self::Sort(sorting) => sorting.step(user, tag, out).await,
            Self::Thread(threading) => threading.step(user, out).await,
            Self::Store(storing) => storing.step(user, out).await,
            Self::CatchUp(catching_up) => catching_up.step(user, out).await,
        }
    }

    /// How many messages are left to look at, where the client hears nothing until that is done.
    pub(super) fn left(&self) -> Option<usize> {
        match self {
            Self::Fetch(_) | Self::FetchRows(_) | Self::CatchUp(_) => None,
            Self::Search(searching) => Some(searching.left()),
            Self::Sort(sorting) => Some(sorting.left()),
            Self::Thread(threading) => Some(threading.left()),
            Self::Store(storing) => Some(storing.left()),
        }
    }
}

impl Outcome {
    /// OK, after all news.
    fn ok(text: &'static str) -> Self {
        Self::Done(Reply::ok(text), Tell::All)
    }
}

/// What may be told before the answer of FETCH, STORE and SEARCH (RFC 9051 §7.5.1). Their UID forms name
/// messages in a way that EXPUNGE does not disturb.
const fn tell_after(unit: Unit) -> Tell {
    match unit {
        Unit::Sequence => Tell::KeepNumbers,
        Unit::Uid => Tell::All,
    }
}

impl Session {
    /// Runs one command as far as it goes without further input.
    pub(super) async fn run(&mut self, command: Command, input: &BytesMut) -> Result<Outcome, Error> {
        match command {
            Command::Capability => Ok(self.capability()),
            Command::Noop => Ok(noop::run()),
            Command::Logout => Ok(self.logout()),
            Command::StartTls => self.starttls(input),
            Command::Authenticate(command) => self.authenticate(command).await,
            Command::Login(command) => self.login(command).await,
            Command::Id(command) => Ok(self.id(&command)),
            Command::Unauthenticate => self.unauthenticate(),
            Command::Compress(algorithm) => self.compress(&algorithm, input),
            command => {
                let user = self.user.as_mut().ok_or(Error::NotNow("log in first"))?;
                if let Some(view) = user.view.as_mut() {
                    view.forget();
                }
                with_user(command, user, &mut self.out).await
            }
        }
    }
}

async fn with_user(command: Command, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    if let Some(watching) = user.watching.as_mut() {
        watching.due |= matches!(command, Command::Expunge(_) | Command::Move(_));
    }
    match command {
        Command::Check => check::run(user),
        Command::Close => close::run(user).await,
        Command::Copy(command) => copy::run(command, user).await,
        Command::Create(command) => create::run(command, user).await,
        Command::Delete(command) => delete::run(command, user, out).await,
        Command::Enable(command) => enable::run(command, user, out),
        Command::Examine(command) => select::run(&command.mailbox, true, &command.options, user, out).await,
        Command::Expunge(command) => expunge::run(command, user).await,
        Command::Fetch(command) => fetch::run(command, user, out).await,
        Command::GetMetadata(command) => metadata::get(command, user, out).await,
        Command::GetQuota(command) => quota::get(&command, user, out).await,
        Command::GetQuotaRoot(command) => quota::root(&command, user, out).await,
        Command::Idle => Ok(idle::run()),
        Command::List(command) => list::run(command, user, out).await,
        Command::Lsub(command) => lsub::run(command, user, out).await,
        Command::Move(command) => r#move::run(command, user, out).await,
        Command::Notify(command) => notify::run(command, user, out).await,
        Command::Namespace => Ok(namespace::run(out)),
        Command::Rename(command) => rename::run(command, user).await,
        Command::Search(command) => search::run(command, user, out),
        Command::Select(command) => select::run(&command.mailbox, false, &command.options, user, out).await,
        Command::Sort(command) => sort::run(command, user, out),
        Command::Thread(command) => thread::run(command, user, out),
        Command::SetMetadata(command) => metadata::set(command, user).await,
        Command::Status(command) => status::run(command, user, out).await,
        Command::Store(command) => store::run(command, user, out),
        Command::Subscribe(command) => subscribe::run(&command.mailbox, true, user).await,
        Command::Unselect => unselect::run(user),
        Command::Unsubscribe(command) => subscribe::run(&command.mailbox, false, user).await,
        // APPEND comes by way of its message; the others were dealt with before login.
        Command::Append(_) | Command::Replace(_) => Err(Error::Bad("a message comes as a literal")),
        Command::Capability
        | Command::Noop
        | Command::Logout
        | Command::StartTls
        | Command::Id(_)
        | Command::Unauthenticate
        | Command::Compress(_)
        | Command::Authenticate(_)
        | Command::Login(_) => Err(Error::NotNow("already logged in")),
    }
}
