//! What other sessions did, told before a command's answer or during IDLE.

use super::error::Error;
use super::user::{Syncs, User};
use crate::wire::command::Tag;
use crate::wire::response::{FetchLine, Output, Reply};

/// How many changed messages one step tells of.
const PAGE: usize = 500;

/// What may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    /// Nothing: no mailbox is selected, or the command must not be interrupted.
    Nothing,
    /// Everything but EXPUNGE: numbers must not shift while FETCH, STORE or SEARCH are being answered
    /// (RFC 9051 §7.5.1).
    KeepNumbers,
    /// Everything.
    All,
}

/// An announcement in progress, and the answer that follows it.
pub(crate) struct Announcing {
    tell: Tell,
    begun: bool,
    /// The command's answer; none during IDLE.
    pub(crate) then: Option<(Tag, Reply)>,
}

impl Announcing {
    pub(crate) const fn new(tell: Tell, then: Option<(Tag, Reply)>) -> Self {
        Self { tell, begun: false, then }
    }

    /// One step; true when everything is told.
    pub(crate) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<bool, Error> {
        let Some(view) = user.view.as_mut().filter(|_| self.tell != Tell::Nothing) else { return Ok(true) };
        if !self.begun {
            self.begun = true;
            view.refresh(&user.mail, self.tell == Tell::All, out).await?;
        }
        let members = view.changed(&user.mail, PAGE).await?;
        let condstore = user.syncs >= Syncs::CondStore;
        for (number, member) in &members {
            view.learn(member, out);
            let mut line = FetchLine::begin(*number, out);
            line.uid(member.uid, out);
            line.flags(&member.keywords, member.deleted, out);
            if condstore {
                line.modseq(member.modseq, out);
            }
            line.end(out);
        }
        if members.is_empty() {
            view.settle();
        }
        Ok(members.is_empty())
    }
}
