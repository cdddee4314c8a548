//! THREAD (RFC 5256), from rows and metadata: no message is opened.

mod forest;

use mail::ingest::message_ids;
use mail::ingest::subject::is_reply;
use mail::search::{Hit, Kept, TextKey, collated};

use self::forest::{Forest, Letter};
use super::super::error::Error;
use super::super::user::User;
use super::search::matching::{Matching, Program};
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
    /// The matches with their numbers, once all have been found.
    found: Option<Vec<(u32, Hit)>>,
    letters: Vec<Letter>,
    /// How many of the matches have been looked at.
    read: usize,
}

pub(super) fn run(command: Thread, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let Thread { unit, algorithm, charset, key } = command;
    let program =
        Program { key: &key, charset: Some(&charset), unit, sort: Vec::new(), returns: None, unseen: false };
    let matching = Matching::new(program, user, out)?;
    let threading = Threading { unit, algorithm, matching, found: None, letters: Vec::new(), read: 0 };
    Ok(Outcome::Task(Task::Thread(Box::new(threading))))
}

impl Threading {
    /// How many messages are left to look at.
    pub(super) fn left(&self) -> usize {
        self.matching.left() + self.found.as_ref().map_or(0, |found| found.len().saturating_sub(self.read))
    }

    /// Looks at a page of messages, or answers.
    pub(super) async fn step(&mut self, user: &mut User, out: &mut Output) -> Result<Finished, Error> {
        if self.found.is_none() {
            if !self.matching.step().await? {
                return Ok(None);
            }
            self.found = Some(self.matching.hits(user.view()?));
        }
        let found = self.found.as_deref().unwrap_or_default();
        let page: Vec<(u32, Hit)> = found.iter().skip(self.read).take(PAGE).copied().collect();
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

    async fn look_at(&mut self, page: &[(u32, Hit)], user: &User) -> Result<(), Error> {
        let emails: Vec<_> = page.iter().map(|(_, hit)| hit.email).collect();
        let records = user.mail.records(user.account, &emails).await?;
        for ((number, hit), record) in page.iter().zip(records) {
            let name = match self.unit {
                Unit::Uid => hit.uid.map_or(*number, |uid| uid.0),
                Unit::Sequence => *number,
            };
            // Gone since it was found.
            let Some(record) = record else { continue };
            let letter = self.letter(name, hit, &Kept::of(&record)?);
            self.letters.push(letter);
        }
        Ok(())
    }

    fn letter(&self, name: u32, hit: &Hit, kept: &Kept<'_>) -> Letter {
        let Kept { header, .. } = kept;
        let received = i64::try_from(hit.received.secs()).unwrap_or(i64::MAX);
        let ids = |field| -> Vec<Box<[u8]>> {
            header
                .last(field)
                .map(|value| message_ids(value).map(|id| id.into()).collect())
                .unwrap_or_default()
        };
        let mut letter = Letter {
            name,
            // The Date field in UTC, or else INTERNALDATE (RFC 5256 §2.2).
            sent: kept.sent.map_or(received, |sent| sent.secs),
            subject: collated(&TextKey::Subject.of(kept)),
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
