//! What a client may do wrong or for nothing before it is asked to leave.
//!
//! All counts start again when somebody logs in or gets a message, so that a long session is not closed for what
//! adds up over hours.

use crate::config::Limits;

#[derive(Default)]
pub(crate) struct Conduct {
    errors: u32,
    junk: u32,
}

impl Conduct {
    /// A bad command, or a refused login.
    pub(crate) const fn error(&mut self) {
        self.errors = self.errors.saturating_add(1);
    }

    /// A command that fetches nothing.
    pub(crate) const fn junk(&mut self) {
        self.junk = self.junk.saturating_add(1);
    }

    /// What a client is there for was done.
    pub(crate) const fn progress(&mut self) {
        *self = Self { errors: 0, junk: 0 };
    }

    /// Why the session is over, if it is.
    pub(crate) const fn verdict(&self, limits: &Limits) -> Option<&'static str> {
        if self.errors >= limits.errors {
            Some("too many errors, closing the connection")
        } else if self.junk > limits.junk {
            Some("too many commands that fetch nothing, closing the connection")
        } else {
            None
        }
    }
}
