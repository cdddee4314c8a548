//! AUTH (RFC 5034) with PLAIN (RFC 4616), and the one place where a user is made.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::{AuthError, Protocol};

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::maildrop::Maildrop;
use crate::reply::Reply;
use crate::session::{Session, State};
use crate::user::User;

impl Session {
    pub(super) async fn auth(&mut self, arguments: &Arguments) -> Result<Outcome, Error> {
        let mut words = arguments.words();
        let (mechanism, initial, more) = (words.next(), words.next(), words.next());
        let Some(mechanism) = mechanism else { return Ok(self.mechanisms()) };
        if more.is_some() {
            return Err(Error::Arguments("expected a mechanism and an initial response"));
        }
        if !mechanism.eq_ignore_ascii_case(b"PLAIN") {
            return Err(Error::NotOffered("this mechanism is not offered"));
        }
        self.may_send_password()?;
        match initial {
            // An empty response, which PLAIN does not have (RFC 5034 §4).
            Some(b"=") => self.answer(&[]).await,
            Some(initial) => self.respond(initial).await,
            None => Ok(Outcome::Exchange),
        }
    }

    /// The client's line in answer to the challenge, or what it sent with the command.
    pub(crate) async fn respond(&mut self, line: &[u8]) -> Result<Outcome, Error> {
        if line == b"*" {
            return Err(Error::Exchange("authentication cancelled"));
        }
        let response = STANDARD.decode(line).map_err(|_| Error::Exchange("the response is not base64"))?;
        self.answer(&response).await
    }

    async fn answer(&mut self, response: &[u8]) -> Result<Outcome, Error> {
        let mut fields = response.split(|b| *b == 0);
        let (Some(acting), Some(user), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(Error::Exchange("PLAIN wants: authorisation NUL user NUL password"));
        };
        if !acting.is_empty() && acting != user {
            return Err(Error::Authorization);
        }
        self.enter(user, password).await
    }

    /// AUTH alone lists the mechanisms: older clients ask in this way.
    fn mechanisms(&mut self) -> Outcome {
        self.conduct.junk();
        let mechanisms =
            if self.may_send_password().is_ok() { vec![Cow::Borrowed("PLAIN")] } else { Vec::new() };
        Outcome::Lines(Reply::ok("mechanisms follow"), mechanisms)
    }

    /// Refuses to hear a password that others could hear too.
    pub(super) fn may_send_password(&self) -> Result<(), Error> {
        if self.peer.tls || self.config.plaintext_login { Ok(()) } else { Err(Error::Privacy) }
    }

    /// Checks the password and opens the maildrop; the only way to become a [`User`].
    pub(super) async fn enter(&mut self, name: &[u8], password: &[u8]) -> Result<Outcome, Error> {
        // What is no text cannot be right; the directory is asked all the same, so that it takes as long.
        let (name, password) = (String::from_utf8_lossy(name), String::from_utf8_lossy(password));
        let asked = self.services.directory.authenticate(&name, &password, self.peer.address, Protocol::Pop3);
        let authenticated = asked.await.map_err(|error| match error {
            AuthError::Refused => Error::Credentials,
            AuthError::RateLimited { .. } => Error::TooManyLogins,
            AuthError::SendingBlocked | AuthError::Busy | AuthError::Store(_) => Error::NoDirectory,
        })?;
        let (account, mail) = (authenticated.account(), self.services.mail.clone());
        let maildrop = Maildrop::open(&mail, account).await?;
        let reply = Reply::ok(format!("logged in, {}", maildrop.totals()));
        self.state = State::Transaction(Box::new(User::new(account, mail, maildrop)));
        self.conduct.progress();
        Ok(Outcome::Done(reply))
    }
}
