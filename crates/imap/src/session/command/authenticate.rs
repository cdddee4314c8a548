//! AUTHENTICATE (RFC 9051 §6.2.2) with PLAIN (RFC 4616) and LOGIN, and the one place where a user is made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use directory::{AuthError, Protocol};

use super::super::Session;
use super::super::announce::Tell;
use super::super::capability;
use super::super::error::Error;
use super::super::user::{Syncs, User};
use super::Outcome;
use crate::wire::Dialect;
use crate::wire::command::Authenticate;
use crate::wire::response::{Code, Reply};

/// What the client is asked for next.
pub(in super::super) enum Exchange {
    /// PLAIN: everything at once.
    Plain,
    /// LOGIN: the user's name.
    LoginUser,
    /// LOGIN: the password of this user.
    LoginPassword(Vec<u8>),
}

impl Exchange {
    /// The continuation that asks for it: nothing, `Username:`, `Password:` in base64.
    pub(in super::super) const fn challenge(&self) -> &'static [u8] {
        match self {
            Self::Plain => b"+ \r\n",
            Self::LoginUser => b"+ VXNlcm5hbWU6\r\n",
            Self::LoginPassword(_) => b"+ UGFzc3dvcmQ6\r\n",
        }
    }
}

impl Session {
    pub(super) async fn authenticate(&mut self, command: Authenticate) -> Result<Outcome, Error> {
        self.may_send_password()?;
        let exchange = match command.mechanism.as_str() {
            "PLAIN" => Exchange::Plain,
            "LOGIN" => Exchange::LoginUser,
            _ => return Err(Error::Mechanism),
        };
        match command.initial {
            Some(initial) => self.answer(exchange, initial.0).await,
            None => Ok(Outcome::Exchange(exchange)),
        }
    }

    /// The client's line in answer to a challenge.
    pub(in super::super) async fn respond(
        &mut self,
        exchange: Exchange,
        line: &[u8],
    ) -> Result<Outcome, Error> {
        if line == b"*" {
            return Err(Error::Bad("authentication cancelled"));
        }
        let response = STANDARD.decode(line).map_err(|_| Error::Bad("the response is not base64"))?;
        self.answer(exchange, response).await
    }

    async fn answer(&mut self, exchange: Exchange, response: Vec<u8>) -> Result<Outcome, Error> {
        match exchange {
            Exchange::Plain => {
                let mut fields = response.split(|b| *b == 0);
                let (Some(acting), Some(user), Some(password), None) =
                    (fields.next(), fields.next(), fields.next(), fields.next())
                else {
                    return Err(Error::Bad("PLAIN wants: authorisation NUL user NUL password"));
                };
                if !acting.is_empty() && acting != user {
                    return Err(Error::Authorization);
                }
                self.enter(user, password).await
            }
            Exchange::LoginUser => Ok(Outcome::Exchange(Exchange::LoginPassword(response))),
            Exchange::LoginPassword(user) => self.enter(&user, &response).await,
        }
    }

    /// Refuses to hear a password that others could hear too, and to hear a second one.
    pub(super) fn may_send_password(&self) -> Result<(), Error> {
        if self.user.is_some() {
            Err(Error::NotNow("already logged in"))
        } else if !self.peer.tls && !self.config.plaintext_login {
            Err(Error::Privacy)
        } else {
            Ok(())
        }
    }

    /// Checks the password; the only way to become a [`User`].
    pub(super) async fn enter(&mut self, name: &[u8], password: &[u8]) -> Result<Outcome, Error> {
        // What is no text cannot be right; the directory is asked all the same, so that it takes as long.
        let (name, password) = (String::from_utf8_lossy(name), String::from_utf8_lossy(password));
        let asked = self.services.directory.authenticate(&name, &password, self.peer.address, Protocol::Imap);
        let authenticated = asked.await.map_err(|error| match error {
            AuthError::Refused => Error::Credentials,
            AuthError::RateLimited { .. } => Error::TooManyLogins,
            AuthError::SendingBlocked | AuthError::Busy | AuthError::Store(_) => Error::NoDirectory,
        })?;
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
            append_limit,
        });
        self.framer.logged_in();
        self.errors = 0;
        let code = Code::Capability(capability::after_login(append_limit));
        Ok(Outcome::Done(Reply::ok("logged in").code(code), Tell::Nothing))
    }
}
