//! AUTHENTICATE (RFC 9051 §6.2.2), and the one place where a user is made. What the mechanisms mean is in
//! [`directory::sasl`].

use directory::sasl::{Exchange, Mechanism, Progress, Response};
use directory::{Authenticated, Protocol};

use super::super::Session;
use super::super::announce::Tell;
use super::super::capability;
use super::super::error::Error;
use super::super::user::{Syncs, User};
use super::Outcome;
use crate::wire::Dialect;
use crate::wire::command::Authenticate;
use crate::wire::response::{Code, Reply};

impl Session {
    pub(super) async fn authenticate(&mut self, command: Authenticate) -> Result<Outcome, Error> {
        self.may_log_in()?;
        let mut offered = self.mechanisms().into_iter();
        let mechanism = offered.find(|m| m.name() == command.mechanism).ok_or(Error::Mechanism)?;
        let exchange = Exchange::new(mechanism, &self.peer.tls.unwrap_or_default());
        match command.initial {
            Some(initial) => self.answer(exchange, Response::new(initial.0)).await,
            None => Ok(Outcome::Exchange(exchange)),
        }
    }

    /// The client's line in answer to a challenge.
    pub(in super::super) async fn respond(
        &mut self,
        exchange: Exchange,
        line: &[u8],
    ) -> Result<Outcome, Error> {
        self.answer(exchange, Response::from_line(line)?).await
    }

    async fn answer(&mut self, exchange: Exchange, response: Response) -> Result<Outcome, Error> {
        let directory = &self.services.directory;
        match directory.respond(exchange, response, self.peer.address, Protocol::Imap).await? {
            Progress::Challenge(exchange) => Ok(Outcome::Exchange(exchange)),
            Progress::Admitted(authenticated) => Ok(self.admit(&authenticated)),
        }
    }

    /// What is said of this server to who has not logged in.
    pub(in super::super) fn capability_before_login(&self) -> String {
        capability::before_login(&self.config, self.peer.tls.is_some(), &self.mechanisms())
    }

    /// The mechanisms that may be used on this connection.
    fn mechanisms(&self) -> Vec<Mechanism> {
        match self.may_log_in() {
            Ok(()) => self.services.directory.mechanisms(&self.peer.tls.unwrap_or_default()),
            Err(_) => Vec::new(),
        }
    }

    /// Refuses to hear a password that others could hear too, and to hear a second one. SCRAM sends none, but who
    /// overhears it can try passwords at leisure, and could go on with the connection.
    fn may_log_in(&self) -> Result<(), Error> {
        if self.user.is_some() {
            Err(Error::NotNow("already logged in"))
        } else if self.peer.tls.is_none() && !self.config.plaintext_login {
            Err(Error::Privacy)
        } else {
            Ok(())
        }
    }

    /// Checks a password.
    pub(super) async fn enter(&mut self, name: &[u8], password: &[u8]) -> Result<Outcome, Error> {
        self.may_log_in()?;
        // What is no text cannot be right; the directory is asked all the same, so that it takes as long.
        let (name, password) = (String::from_utf8_lossy(name), String::from_utf8_lossy(password));
        let asked = self.services.directory.authenticate(&name, &password, self.peer.address, Protocol::Imap);
        let authenticated = asked.await?;
        Ok(self.admit(&authenticated))
    }

    /// The only way to become a [`User`].
    fn admit(&mut self, authenticated: &Authenticated) -> Outcome {
        let append_limit = self.config.limits.append.min(self.services.mail.message_size());
        self.user = Some(User {
            account: authenticated.account(),
            mail: self.services.mail.clone(),
            directory: self.services.directory.clone(),
            clock: self.services.clock.clone(),
            dialect: Dialect::Rev1,
            syncs: Syncs::default(),
            utf8_accept: false,
            view: None,
            watching: None,
            append_limit,
        });
        self.framer.logged_in();
        self.errors = 0;
        let code = Code::Capability(capability::after_login(append_limit, self.compressed));
        Outcome::Done(Reply::ok("logged in").code(code), Tell::Nothing)
    }
}
