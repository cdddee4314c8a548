//! AUTH (RFC 5034), and the one place where a user is made. What the mechanisms mean is in [`directory::sasl`].

use directory::sasl::{Exchange, Mechanism, Progress, Response};
use directory::{Authenticated, Protocol};

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
        let Some(mechanism) = mechanism else { return Ok(self.list_mechanisms()) };
        if more.is_some() {
            return Err(Error::Arguments("expected a mechanism and an initial response"));
        }
        let mechanism = Mechanism::named(mechanism).ok_or(Error::NotOffered(NOT_OFFERED))?;
        self.may_send_password()?;
        if !self.mechanisms().contains(&mechanism) {
            return Err(Error::NotOffered(NOT_OFFERED));
        }
        let exchange = Exchange::new(mechanism, &self.peer.tls.unwrap_or_default());
        match initial {
            Some(initial) => self.answer(exchange, Response::from_command(initial)?).await,
            None => Ok(Outcome::Exchange(exchange)),
        }
    }

    /// The client's line in answer to a challenge.
    pub(crate) async fn respond(&mut self, exchange: Exchange, line: &[u8]) -> Result<Outcome, Error> {
        self.answer(exchange, Response::from_line(line)?).await
    }

    async fn answer(&mut self, exchange: Exchange, response: Response) -> Result<Outcome, Error> {
        let directory = &self.services.directory;
        match directory.respond(exchange, response, self.peer.address, Protocol::Pop3).await? {
            Progress::Challenge(exchange) => Ok(Outcome::Exchange(exchange)),
            Progress::Admitted(authenticated) => self.admit(&authenticated).await,
        }
    }

    /// AUTH alone lists the mechanisms: older clients ask in this way.
    fn list_mechanisms(&mut self) -> Outcome {
        self.conduct.junk();
        let mechanisms = self.mechanisms().into_iter().map(|mechanism| mechanism.name().into());
        Outcome::Lines(Reply::ok("mechanisms follow"), mechanisms.collect())
    }

    /// The mechanisms that may be used on this connection.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        match self.may_send_password() {
            Ok(()) => self.services.directory.mechanisms(&self.peer.tls.unwrap_or_default()),
            Err(_) => Vec::new(),
        }
    }

    /// Refuses to hear a password that others could hear too. SCRAM sends none, but who overhears it can try passwords
    /// at leisure, and could go on with the connection.
    pub(super) fn may_send_password(&self) -> Result<(), Error> {
        if self.peer.tls.is_some() || self.config.plaintext_login { Ok(()) } else { Err(Error::Privacy) }
    }

    /// Checks a password.
    pub(super) async fn enter(&mut self, name: &[u8], password: &[u8]) -> Result<Outcome, Error> {
        // What is no text cannot be right; the directory is asked all the same, so that it takes as long.
        let (name, password) = (String::from_utf8_lossy(name), String::from_utf8_lossy(password));
        let asked = self.services.directory.authenticate(&name, &password, self.peer.address, Protocol::Pop3);
        let authenticated = asked.await?;
        self.admit(&authenticated).await
    }

    /// Opens the maildrop; the only way to become a [`User`].
    async fn admit(&mut self, authenticated: &Authenticated) -> Result<Outcome, Error> {
        let (account, mail) = (authenticated.account(), self.services.mail.clone());
        let maildrop = Maildrop::open(&mail, account).await?;
        let reply = Reply::ok(format!("logged in, {}", maildrop.totals()));
        self.state = State::Transaction(Box::new(User::new(account, mail, maildrop)));
        self.conduct.progress();
        Ok(Outcome::Done(reply))
    }
}

const NOT_OFFERED: &str = "this mechanism is not offered";
