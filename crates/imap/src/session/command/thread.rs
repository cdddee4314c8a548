//! THREAD (RFC 5256), from rows and metadata: no message is opened.

mod forest;

use mail::Member;
use mail::ingest::message_ids;
use mail::ingest::subject::is_reply;
use mail::search::collated;

use self::forest::{Forest, Letter};
use super::super::content::Kept;
use super::super::error::Error;
use super::super::user::User;
use super::search::matching::Matching;
use super::search::scan::Match;
use super::sort::{sent, subject};
use super::{Finished, Outcome, Task};
use crate::wire::Unit;
use crate::wire::command::{Thread, Threading as Algorithm};
use crate::wire::response::{Output, Reply};

/// How many messages one step reads.
const PAGE: usize = 200;

/// A THREAD in progress.
pub(in super::super) struct Threading {
    unit: Unit,
    algorithm: Algorithm,
    matching: Matching,
    letters: Vec<Letter>,
    /// How many of the matches have been looked at.
    read: usize,
}

pub(super) fn run(command: Thread, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Thread { unit, algorithm, charset, key } = command;
    let matching = Matching::new(&key, Some(&charset), unit, user, out)?;
    let threading = Threading { unit, algorithm, matching, letters: Vec::new(), read: 0 };
    Ok(Outcome::Task(Task::Thread(Box::new(threading))))
}

impl Threading {
    /// How many messages are left to look at.
    pub(super) fn left(&self) -> usize {
        self.matching.left() + self.matching.found.len().saturating_sub(self.read)
    }

    /// Looks at a page of messages, or answers.
    pub(super) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<Finished, Error> {
        if !self.matching.step(user).await? {
            return Ok(None);
        }
        let page = self.matching.found.get(self.read..).unwrap_or_default();
        let page: Vec<Match> = page.iter().take(PAGE).copied().collect();
        if !page.is_empty() {
            self.read += page.len();
            self.look_at(&page, user).await?;
            return Ok(None);
        }
        let letters = std::mem::take(&mut self.letters);
        let forest = match self.algorithm {
            Algorithm::OrderedSubject => Forest::by_subject(letters),
            Algorithm::References => Forest::by_references(letters),
        };
        out.put(b"* THREAD");
        forest.write(out);
        out.end_line();
        Ok(Some((Reply::ok("threaded"), self.matching.tell)))
    }

    async fn look_at(&mut self, page: &[Match], user: &mut User) -> Result<(), Error> {
        let mail = user.mail.clone();
        let numbered: Vec<_> = page.iter().map(|m| (m.number, m.uid)).collect();
        let members = user.view()?.members(&mail, &numbered).await?;
        let emails: Vec<_> = members.iter().map(|(_, member)| member.email).collect();
        let records = mail.records(user.account, &emails).await?;
        for ((number, member), record) in members.iter().zip(records) {
            let name = if self.unit == Unit::Uid { member.uid.0 } else { *number };
            // Gone since it was found.
            let Some(record) = record else { continue };
            let letter = self.letter(name, member, &Kept::of(&record)?);
            self.letters.push(letter);
        }
        Ok(())
    }

    fn letter(&self, name: u32, member: &Member, kept: &Kept<'_>) -> Letter {
        let Kept { header, .. } = kept;
        let ids = |field| -> Vec<Box<[u8]>> {
            header
                .last(field)
                .map(|value| message_ids(value).map(|id| id.into()).collect())
                .unwrap_or_default()
        };
        let mut letter = Letter {
            name,
            sent: sent(member, kept),
            subject: collated(&subject(kept)),
            is_reply: header.last("subject").is_some_and(|value| is_reply(value, kept.hint())),
            id: None,
            references: Vec::new(),
        };
        if self.algorithm == Algorithm::References {
            letter.id = ids("message-id").into_iter().next();
            letter.references = ids("references");
            if letter.references.is_empty() {
                letter.references = ids("in-reply-to").into_iter().take(1).collect();
            }
        }
        letter
    }
}
