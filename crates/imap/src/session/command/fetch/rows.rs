//! FETCH of what a message's row tells: flags, UIDs, sizes, dates and ids. No message is looked at, and where the
//! mailbox is in memory nothing is read.

use mail::Entry;
use types::{Keywords, ModSeq};

use super::super::super::announce::Tell;
use super::super::super::error::Error;
use super::super::super::user::User;
use super::super::super::view::{Picked, View};
use super::super::{Finished, tell_after};
use crate::wire::command::FetchItem;
use crate::wire::response::{Code, FetchLine, Output, Reply};
use crate::wire::{Flag, Unit};

/// How many messages one step tells of.
const PAGE: usize = 1000;

/// A FETCH of rows in progress.
pub(in super::super::super) struct FetchingRows {
    unit: Unit,
    items: Vec<FetchItem>,
    changed_since: Option<ModSeq>,
    picked: Picked,
    flags: Spelled,
    missing: bool,
}

/// Flags as they were written last: the next message often has the same.
#[derive(Default)]
struct Spelled {
    of: Option<(Keywords, bool)>,
    text: Vec<u8>,
}

impl FetchingRows {
    pub(super) fn new(
        unit: Unit,
        items: Vec<FetchItem>,
        changed_since: Option<ModSeq>,
        picked: Picked,
    ) -> Self {
        Self { unit, items, changed_since, picked, flags: Spelled::default(), missing: false }
    }

    /// Writes some of the answer.
    pub(in super::super) async fn step(
        &mut self,
        user: &mut User,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        let mail = user.mail.clone();
        let view = user.view()?;
        let page = view.page(&mut self.picked, PAGE);
        if page.is_empty() {
            return Ok(Some(self.finish()));
        }
        let roll = view.rows(&mail, &page).await?;
        let mut finder = roll.finder();
        for (number, uid) in page {
            let Some(entry) = finder.find(uid) else {
                self.missing = true;
                continue;
            };
            if self.changed_since.is_none_or(|since| entry.modseq() > since) {
                self.tell(number, &entry, view, out);
            }
        }
        Ok(None)
    }

    fn tell(&mut self, number: u32, entry: &Entry<'_>, view: &mut View, out: &mut Output) {
        self.flags.spell(entry, view, out);
        let mut line = FetchLine::begin(number, out);
        for item in &self.items {
            match item {
                FetchItem::EmailId => line.email_id(entry.content(), out),
                FetchItem::Flags => line.spelled_flags(&self.flags.text, out),
                FetchItem::InternalDate => line.internal_date(entry.received(), out),
                FetchItem::ModSeq => line.modseq(entry.modseq(), out),
                FetchItem::SaveDate => line.save_date(entry.saved(), out),
                FetchItem::Size => line.size(entry.size(), out),
                FetchItem::ThreadId => line.thread_id(entry.first_thread(), out),
                FetchItem::Uid => line.uid(entry.uid(), out),
                // What is not in rows is fetched elsewhere.
                _ => {}
            }
        }
        line.end(out);
    }

    fn finish(&self) -> (Reply, Tell) {
        let reply = if self.missing && self.unit == Unit::Sequence {
            Reply::ok("fetched; some of the messages no longer exist").code(Code::ExpungeIssued)
        } else {
            Reply::ok("fetched")
        };
        (reply, tell_after(self.unit))
    }
}

impl Spelled {
    /// Spells a message's flags, after the client has heard of all its keywords.
    fn spell(&mut self, entry: &Entry<'_>, view: &mut View, out: &mut Output) {
        let same = |(keywords, deleted): &(Keywords, bool)| {
            keywords == entry.keywords() && *deleted == entry.deleted()
        };
        if self.of.as_ref().is_some_and(same) {
            return;
        }
        view.learn_keywords(entry.keywords(), out);
        self.text.clear();
        for (i, flag) in Flag::list(entry.keywords(), entry.deleted()).enumerate() {
            if i > 0 {
                self.text.push(b' ');
            }
            self.text.extend_from_slice(flag.as_bytes());
        }
        self.of = Some((entry.keywords().clone(), entry.deleted()));
    }
}
