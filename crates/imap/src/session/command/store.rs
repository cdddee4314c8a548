//! STORE (RFC 9051 §6.4.6).

use mail::{FlagAction, FlagChange};
use types::Keywords;

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::super::view::{Numbered, Picked};
use super::{Finished, Outcome, Task, tell_after};
use crate::wire::command::{Store, StoreAction};
use crate::wire::response::{Code, FetchLine, Output, Reply};
use crate::wire::{Flag, Unit};

/// How many messages one transaction changes.
const PAGE: usize = 500;

/// A STORE in progress.
pub(in super::super) struct Storing {
    unit: Unit,
    picked: Picked,
    change: FlagChange,
    silent: bool,
    missing: bool,
}

pub(super) fn run(command: Store, user: &mut User) -> Result<Outcome, Error> {
    let view = user.writable()?;
    let picked = view.pick(command.unit, &command.messages)?;
    let action = match command.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    let deleted = command.flags.contains(&Flag::Deleted);
    let change = FlagChange { action, keywords: keywords(command.flags), deleted };
    let Store { unit, silent, .. } = Store { flags: Vec::new(), ..command };
    Ok(Outcome::Task(Task::Store(Storing { unit, picked, change, silent, missing: false })))
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
        let view = user.view()?;
        let page: Vec<Numbered> = view.page(&mut self.picked, PAGE);
        if page.is_empty() {
            return Ok(Some(self.finish()));
        }
        let uids: Vec<_> = page.iter().map(|(_, uid)| *uid).collect();
        let stored = mail.store(view.account, view.mailbox, &uids, &self.change, None).await?;
        self.missing |= stored.members.len() < uids.len();
        for member in &stored.members {
            view.told(member);
            let Some(number) = view.number(member.uid).filter(|_| !self.silent) else { continue };
            view.learn(member, out);
            let mut line = FetchLine::begin(number, out);
            if self.unit == Unit::Uid {
                line.uid(member.uid, out);
            }
            line.flags(&member.keywords, member.deleted, out);
            line.end(out);
        }
        Ok(None)
    }

    fn finish(&self) -> (Reply, Tell) {
        let reply = if self.missing && self.unit == Unit::Sequence {
            Reply::ok("stored; some of the messages no longer exist").code(Code::ExpungeIssued)
        } else {
            Reply::ok("stored")
        };
        (reply, tell_after(self.unit))
    }
}
