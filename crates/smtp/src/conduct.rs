//! A session's conduct: what a client may do wrong or for nothing before it is asked to leave.
//!
//! All counts start again when a message is accepted, so that a long-lived connection between two busy servers
//! is not closed for what adds up over hours.

use crate::config::Limits;
use crate::reply::Reply;

#[derive(Debug, Default)]
pub(crate) struct Conduct {
    errors: u32,
    junk: u32,
    refused_recipients: u32,
}

impl Conduct {
    pub(crate) fn error(&mut self) {
        self.errors = self.errors.saturating_add(1);
    }

    pub(crate) fn junk(&mut self) {
        self.junk = self.junk.saturating_add(1);
    }

    pub(crate) fn refused_recipient(&mut self) {
        self.refused_recipients = self.refused_recipients.saturating_add(1);
    }

    pub(crate) fn message_accepted(&mut self) {
        *self = Self::default();
    }

    /// The 421 that ends the session, if a limit is used up.
    pub(crate) fn verdict(&self, limits: &Limits) -> Option<Reply> {
        let text = if self.errors >= limits.errors {
            "Too many errors; check what this client sends, then connect again"
        } else if self.junk > limits.junk {
            "Too many commands that send no mail; connect again when there is some"
        } else if self.refused_recipients >= limits.refused_recipients {
            "Too many unknown recipients; check the addresses, then connect again"
        } else {
            return None;
        };
        Some(Reply::new(421, (7, 0), text))
    }
}
