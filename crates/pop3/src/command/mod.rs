//! What each command does: one file per command.

mod auth;
mod capa;
mod dele;
mod list;
mod noop;
mod pass;
mod quit;
mod retr;
mod rset;
mod stat;
mod stls;
mod top;
mod uidl;
mod user;
mod utf8;

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use directory::sasl::Exchange;

use crate::error::Error;
use crate::listing::Listing;
use crate::reply::Reply;
use crate::sending::Sending;
use crate::session::{Session, State};
use crate::user::User;

/// What a command came to.
pub(crate) enum Outcome {
    /// It is done; this is the answer.
    Done(Reply),
    /// It is done; these lines follow the answer, none of which begins with a dot.
    Lines(Reply, Vec<Cow<'static, str>>),
    /// All messages are listed after the answer.
    Listing(Reply, Listing),
    /// A message follows the answer.
    Sending(Reply, Box<Sending>),
    /// The client is asked for its credentials.
    Exchange(Exchange),
    /// TLS begins after the answer.
    StartTls(Reply),
    /// The session is over after the answer.
    Close(Reply),
}

/// The commands that are known, whether or not they are on offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Apop,
    Auth,
    Capa,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
}

impl Verb {
    pub(crate) const NAMES: [(&'static str, Self); 17] = [
        ("APOP", Self::Apop),
        ("AUTH", Self::Auth),
        ("CAPA", Self::Capa),
        ("DELE", Self::Dele),
        ("LANG", Self::Lang),
        ("LIST", Self::List),
        ("NOOP", Self::Noop),
        ("PASS", Self::Pass),
        ("QUIT", Self::Quit),
        ("RETR", Self::Retr),
        ("RSET", Self::Rset),
        ("STAT", Self::Stat),
        ("STLS", Self::Stls),
        ("TOP", Self::Top),
        ("UIDL", Self::Uidl),
        ("USER", Self::User),
        ("UTF8", Self::Utf8),
    ];

    fn parse(word: &[u8]) -> Option<Self> {
        let same = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
        Self::NAMES.iter().find(|(name, _)| same(name)).map(|(_, verb)| *verb)
    }

    /// Whether it neither fetches nor removes anything, nor names a single message as clients do one by one.
    const fn is_junk(self, arguments: &Arguments) -> bool {
        match self {
            Self::Capa | Self::Lang | Self::Noop | Self::Rset | Self::Stat | Self::User | Self::Utf8 => true,
            Self::List | Self::Uidl => arguments.0.is_empty(),
            _ => false,
        }
    }
}

impl Session {
    /// Runs one line, as far as it goes without further input.
    pub(crate) async fn run(&mut self, line: &Bytes, input: &BytesMut) -> Result<Outcome, Error> {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        self.verb = Verb::parse(line.get(..end).unwrap_or_default());
        let verb = self.verb.ok_or(Error::Unknown)?;
        let arguments = Arguments(line.slice((end + 1).min(line.len())..));
        if verb.is_junk(&arguments) {
            self.conduct.junk();
        }
        match verb {
            Verb::Capa => self.capa(&arguments),
            Verb::Quit => self.quit(&arguments).await,
            Verb::Apop => Err(Error::NotOffered("APOP is not offered, it needs readable passwords")),
            Verb::Lang => Err(Error::NotOffered("there is but one language")),
            Verb::Auth | Verb::Pass | Verb::Stls | Verb::User | Verb::Utf8 => {
                if self.logged_in() {
                    return Err(Error::NotNow("already logged in"));
                }
                self.before_login(verb, arguments, input).await
            }
            verb => self.after_login(verb, &arguments).await,
        }
    }

    async fn before_login(
        &mut self,
        verb: Verb,
        arguments: Arguments,
        input: &BytesMut,
    ) -> Result<Outcome, Error> {
        match verb {
            Verb::Auth => self.auth(&arguments).await,
            Verb::Pass => self.pass(arguments).await,
            Verb::Stls => self.stls(&arguments, input),
            Verb::User => self.user(arguments),
            Verb::Utf8 => self.utf8(&arguments),
            _ => Err(Error::Unknown),
        }
    }

    async fn after_login(&mut self, verb: Verb, arguments: &Arguments) -> Result<Outcome, Error> {
        let State::Transaction(user) = &mut self.state else { return Err(Error::NotNow("log in first")) };
        match verb {
            Verb::Dele => dele::run(arguments, user),
            Verb::List => list::run(arguments, user),
            Verb::Noop => noop::run(arguments),
            Verb::Retr => retr::run(arguments, user, self.utf8, &self.config).await,
            Verb::Rset => rset::run(arguments, user),
            Verb::Stat => stat::run(arguments, user),
            Verb::Top => top::run(arguments, user, self.utf8, &self.config).await,
            Verb::Uidl => uidl::run(arguments, user),
            _ => Err(Error::Unknown),
        }
    }
}

/// What follows a command and the space behind it.
struct Arguments(Bytes);

impl Arguments {
    /// Everything, spaces too: names and passwords may hold them (RFC 1939 §7 PASS).
    fn whole(self) -> Result<Bytes, Error> {
        if self.0.is_empty() { Err(Error::Arguments("this command needs an argument")) } else { Ok(self.0) }
    }

    fn none(&self) -> Result<(), Error> {
        match self.words().next() {
            None => Ok(()),
            Some(_) => Err(Error::Arguments("this command takes no argument")),
        }
    }

    /// The words. Clients differ in how many spaces they put between and behind them.
    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b' ').filter(|word| !word.is_empty())
    }

    /// A message number, if there is one.
    fn message(&self) -> Result<Option<usize>, Error> {
        let mut words = self.words();
        let Some(number) = words.next() else { return Ok(None) };
        match words.next() {
            None => message_number(number).map(Some),
            Some(_) => Err(Error::Arguments("expected nothing but a message number")),
        }
    }

    fn required_message(&self) -> Result<usize, Error> {
        self.message()?.ok_or(Error::Arguments("expected a message number"))
    }

    /// A message number and a number of lines.
    fn message_and_lines(&self) -> Result<(usize, u64), Error> {
        let mut words = self.words();
        let (Some(number), Some(lines), None) = (words.next(), words.next(), words.next()) else {
            return Err(Error::Arguments("expected a message number and a number of lines"));
        };
        let lines = decimal(lines).ok_or(Error::Arguments("the number of lines is none"))?;
        Ok((message_number(number)?, lines))
    }
}

/// A message number. One that is larger than any is as good as any that no message has.
fn message_number(word: &[u8]) -> Result<usize, Error> {
    let number = decimal(word).ok_or(Error::Arguments("the message number is none"))?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

/// Digits as a number, the largest one if it is larger than that.
fn decimal(word: &[u8]) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    word.iter().try_fold(0_u64, |number, b| Some(number.saturating_mul(10).saturating_add(digit(b)?)))
}

/// The outcome of a command on messages: LIST and UIDL name one message or all.
fn one_or_all(
    arguments: &Arguments,
    user: &User,
    one: impl FnOnce(crate::maildrop::Entry) -> Reply,
    all: impl FnOnce() -> Outcome,
) -> Result<Outcome, Error> {
    match arguments.message()? {
        Some(number) => Ok(Outcome::Done(one(user.maildrop.get(number)?))),
        None => Ok(all()),
    }
}
