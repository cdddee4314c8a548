//! What other sessions did, told before a command's answer, during IDLE, or whenever the client wants to hear of it
//! (RFC 5465).

use types::Uid;

use super::command::fetch::Fetching;
use super::error::Error;
use super::user::{Syncs, User};
use crate::wire::command::Tag;
use crate::wire::response::{FetchLine, Output, Reply};
use crate::wire::{MessageSet, SequenceSet, Unit};

/// How many changed messages one step tells of.
const PAGE: usize = 500;

/// What may be told of the selected mailbox.
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
    stage: Stage,
    /// The command's answer; none during IDLE and between commands.
    pub(crate) then: Option<(Tag, Reply)>,
}

enum Stage {
    /// Which messages there are.
    Messages,
    /// What the client wants to hear of those that are new.
    New(Box<Fetching>),
    /// Whose flags have changed.
    Flags,
    /// What happened in other mailboxes.
    Others,
}

impl Announcing {
    pub(crate) const fn new(tell: Tell, then: Option<(Tag, Reply)>) -> Self {
        Self { tell, stage: Stage::Messages, then }
    }

    /// Between commands, to a client that has asked for it.
    pub(crate) fn unasked(user: Option<&User>) -> Self {
        let watching = user.and_then(|user| user.watching.as_ref());
        let immediately = watching.is_some_and(|watching| watching.selected.immediately);
        Self::new(if immediately { Tell::All } else { Tell::KeepNumbers }, None)
    }

    /// Whether it may be in the middle of a literal.
    pub(crate) const fn is_fetching(&self) -> bool {
        matches!(self.stage, Stage::New(_))
    }

    /// One step; true when everything is told.
    pub(crate) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<bool, Error> {
        match &mut self.stage {
            Stage::Messages => self.stage = self.tell_messages(user, out).await?,
            Stage::New(fetching) => {
                if fetching.step(user, out).await?.is_some() {
                    self.stage = Stage::Flags;
                }
            }
            Stage::Flags => {
                if tell_flags(user, out).await? {
                    self.stage = Stage::Others;
                }
            }
            Stage::Others => return user.tell_watched(out).await,
        }
        Ok(false)
    }

    async fn tell_messages(&self, user: &mut User, out: &mut Output) -> Result<Stage, Error> {
        if self.tell == Tell::Nothing {
            return Ok(Stage::Others);
        }
        let Some(view) = user.view.as_mut() else { return Ok(Stage::Others) };
        if let Some(watching) = user.watching.as_mut()
            && !std::mem::take(&mut watching.due)
            && !watching.selected.messages
        {
            view.pass_over();
            return Ok(Stage::Others);
        }
        let last = view.last_uid();
        view.refresh(&user.mail, self.tell == Tell::All, out).await?;
        Ok(user.new_messages(Uid(last)).map_or(Stage::Flags, |new| Stage::New(Box::new(new))))
    }
}

impl User {
    /// What is to be told of messages above a UID, if there are any and the client wants to hear of them.
    fn new_messages(&self, last: Uid) -> Option<Fetching> {
        let items = &self.watching.as_ref()?.selected.fetch;
        if items.is_empty() {
            return None;
        }
        let view = self.view.as_ref()?;
        let new = view.between(Uid(last.0.saturating_add(1)), Uid(u32::MAX));
        let new: Vec<u32> = new.filter(|uid| !self.has_put(view.mailbox, *uid)).map(|uid| uid.0).collect();
        let set = MessageSet::Numbers(SequenceSet::from_ascending(new));
        let picked = view.pick(Unit::Uid, &set).ok().filter(|picked| !picked.is_empty())?;
        Some(Fetching::unasked(items, picked, self))
    }

    /// Whether the client wants to hear at once that messages have left, and has not.
    pub(crate) fn owes_expunges(&self) -> bool {
        let wants =
            |watching: &super::watch::Watching| watching.selected.messages && watching.selected.immediately;
        self.watching.as_deref().is_some_and(wants)
            && self.view.as_ref().is_some_and(|view| view.owes_removed())
    }
}

/// Tells some of the changed flags; true when all are told.
async fn tell_flags(user: &mut User, out: &mut Output) -> Result<bool, Error> {
    let Some(view) = user.view.as_mut() else { return Ok(true) };
    if user.watching.as_ref().is_some_and(|watching| !watching.selected.flags) {
        view.pass_over();
        view.settle();
        return Ok(true);
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
