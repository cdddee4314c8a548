//! STORE (RFC 9051 §6.4.6).

use mail::{FlagAction, FlagChange, Member};
use types::{Keywords, ModSeq};

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::super::view::{Numbered, Picked, View};
use super::{Finished, Outcome, Task, tell_after};
use crate::wire::command::{Store, StoreAction};
use crate::wire::response::{Code, FetchLine, Output, Reply};
use crate::wire::{Flag, SequenceSet, Unit};

/// How many messages one transaction changes.
const PAGE: usize = 2000;

/// A STORE in progress.
pub(in super::super) struct Storing {
    unit: Unit,
    picked: Picked,
    change: FlagChange,
    unchanged_since: Option<ModSeq>,
    /// Those that had changed, ascending.
    conflicting: Vec<u32>,
    silent: bool,
    missing: bool,
}

pub(super) fn run(command: Store, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    user.writable()?;
    if command.unchanged_since.is_some() {
        user.enable_condstore(out);
    }
    let view = user.writable()?;
    let picked = view.pick(command.unit, &command.messages)?;
    let action = match command.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    let deleted = command.flags.contains(&Flag::Deleted);
    let change = FlagChange { action, keywords: keywords(command.flags), deleted };
    let Store { unit, silent, unchanged_since, .. } = Store { flags: Vec::new(), ..command };
    Ok(Outcome::Task(Task::Store(Storing {
        unit,
        picked,
        change,
        unchanged_since,
        conflicting: Vec::new(),
        silent,
        missing: false,
    })))
}

/// The flags that belong to an email.
pub(super) fn keywords(flags: Vec<Flag>) -> Keywords {
    let keyword = |flag| match flag {
        Flag::Keyword(keyword) => Some(keyword),
        Flag::Deleted => None,
    };
    flags.into_iter().filter_map(keyword).collect()
}

impl Storing {
    /// How many messages are left to change.
    pub(super) fn left(&self) -> usize {
        self.picked.len()
    }

    pub(super) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<Finished, Error> {
        let mail = user.mail.clone();
        let condstore = user.condstore();
        let view = user.view()?;
        let page: Vec<Numbered> = view.page(&mut self.picked, PAGE);
        if page.is_empty() {
            return Ok(Some(self.finish()));
        }
        let uids: Vec<_> = page.iter().map(|(_, uid)| *uid).collect();
        let stored =
            mail.store(view.account, view.mailbox, &uids, &self.change, self.unchanged_since).await?;
        self.missing |= stored.members.len() + stored.conflicting.len() < uids.len();
        for (member, before) in stored.members.iter().zip(&stored.before) {
            // What others did to it before must be told, however silent the client wants it to be.
            let flags = !self.silent || !view.has_read(*before);
            let changed = member.modseq != *before || self.unchanged_since.is_some();
            self.tell(member, flags, condstore && (flags || changed), view, out);
        }
        for member in &stored.conflicting {
            let number = view.number(member.uid).unwrap_or_default();
            self.conflicting.push(if self.unit == Unit::Uid { member.uid.0 } else { number });
            self.tell(member, true, condstore, view, out);
        }
        Ok(None)
    }

    fn tell(&self, member: &Member, flags: bool, modseq: bool, view: &mut View, out: &mut Output) {
        view.told(member);
        let Some(number) = view.number(member.uid).filter(|_| flags || modseq) else { return };
        view.learn(member, out);
        let mut line = FetchLine::begin(number, out);
        if self.unit == Unit::Uid || modseq {
            line.uid(member.uid, out);
        }
        if flags {
            line.flags(&member.keywords, member.deleted, out);
        }
        if modseq {
            line.modseq(member.modseq, out);
        }
        line.end(out);
    }

    fn finish(&self) -> (Reply, Tell) {
        let reply = if !self.conflicting.is_empty() {
            let conflicting = SequenceSet::from_ascending(self.conflicting.iter().copied());
            Reply::ok("some of the messages had changed").code(Code::Modified(conflicting))
        } else if self.missing && self.unit == Unit::Sequence {
            Reply::ok("stored; some of the messages no longer exist").code(Code::ExpungeIssued)
        } else {
            Reply::ok("stored")
        };
        (reply, tell_after(self.unit))
    }
}
