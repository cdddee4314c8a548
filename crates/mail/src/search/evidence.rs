//! What is known of an email so far, and which conditions that decides.

use std::collections::BTreeMap;

use types::{AccountId, EmailId, Keyword, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use super::filter::within;
use super::{Filter, Kept, Leaf, Needle, field_contains};
use crate::ingest::fields::{Field, Fields};
use crate::search::Folded;
use crate::{Email, Entry, Error, Mail};

/// A candidate as a list by date tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Listed {
    pub(super) email: EmailId,
    pub(super) thread: ThreadId,
    pub(super) received: Timestamp,
    /// The mailbox that it was found in, and its UID there; none if all emails were looked through.
    pub(super) place: Option<(MailboxId, Uid)>,
}

/// What its row tells.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) keywords: &'a Keywords,
    pub(super) size: u64,
    pub(super) modseq: ModSeq,
    /// All mailboxes that it is in, if anybody asks for more than the one that it was found in.
    mailboxes: Option<&'a [(MailboxId, Uid)]>,
    /// What only the row of a mailbox tells.
    member: Option<InMailbox>,
}

#[derive(Clone, Copy)]
struct InMailbox {
    deleted: bool,
    saved: Timestamp,
    content: EmailId,
    first_thread: ThreadId,
}

/// What is known of an email.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) listed: Listed,
    pub(super) row: Option<Row<'a>>,
    pub(super) threads: Option<&'a ThreadKeywords>,
    pub(super) kept: Option<&'a Kept<'a>>,
    pub(super) attachment: Option<bool>,
    pub(super) header: Option<HeaderSeen<'a>>,
    pub(super) body: Option<BodySeen<'a>>,
}

/// Its whole header: as it stands, and folded if anybody looks through all of it.
#[derive(Clone, Copy)]
pub(super) struct HeaderSeen<'a> {
    pub(super) block: &'a [u8],
    pub(super) folded: &'a Folded,
    pub(super) hint: Option<&'a str>,
}

/// Which texts its body contains.
#[derive(Clone, Copy)]
pub(super) struct BodySeen<'a> {
    pub(super) needles: &'a [&'a Needle],
    pub(super) contained: &'a [bool],
}

/// The keywords of all emails of some threads.
#[derive(Default)]
pub(super) struct ThreadKeywords(BTreeMap<ThreadId, Vec<Keywords>>);

impl<'a> Row<'a> {
    /// That of a mailbox's member.
    pub(super) fn member(entry: &Entry<'a>) -> Self {
        Self {
            keywords: entry.keywords(),
            size: entry.size(),
            modseq: entry.modseq(),
            mailboxes: None,
            member: Some(InMailbox {
                deleted: entry.deleted(),
                saved: entry.saved(),
                content: entry.content(),
                first_thread: entry.first_thread(),
            }),
        }
    }

    /// That of an email wherever it is.
    pub(super) fn email(email: &'a Email) -> Self {
        Self {
            keywords: &email.keywords,
            size: email.size,
            modseq: email.modseq,
            mailboxes: Some(&email.mailboxes),
            member: None,
        }
    }
}

impl Listed {
    pub(super) fn member(entry: &Entry<'_>, mailbox: MailboxId) -> Self {
        let (email, thread, received) = (entry.email(), entry.thread(), entry.received());
        Self { email, thread, received, place: Some((mailbox, entry.uid())) }
    }

    pub(super) const fn email(email: &Email, place: Option<(MailboxId, Uid)>) -> Self {
        Self { email: email.id, thread: email.thread, received: email.received, place }
    }

    pub(super) fn uid(&self) -> Option<Uid> {
        self.place.map(|(_, uid)| uid)
    }
}

impl ThreadKeywords {
    /// Reads them: one round for the threads, one for their emails.
    pub(super) async fn read(
        mail: &Mail,
        account: AccountId,
        mut threads: Vec<ThreadId>,
    ) -> Result<Self, Error> {
        threads.sort_unstable();
        threads.dedup();
        let emails: Vec<EmailId> =
            mail.threads(account, &threads).await?.into_iter().flatten().flatten().collect();
        let mut keywords: BTreeMap<ThreadId, Vec<Keywords>> = BTreeMap::new();
        for email in mail.email(account, &emails).await?.into_iter().flatten() {
            keywords.entry(email.thread).or_default().push(email.keywords);
        }
        Ok(Self(keywords))
    }

    /// Whether all emails of a thread have a keyword.
    pub(super) fn all(&self, thread: ThreadId, keyword: &Keyword) -> bool {
        self.of(thread).iter().all(|keywords| keywords.contains(keyword.as_str()))
    }

    /// Whether some email of a thread has a keyword.
    pub(super) fn some(&self, thread: ThreadId, keyword: &Keyword) -> bool {
        self.of(thread).iter().any(|keywords| keywords.contains(keyword.as_str()))
    }

    fn of(&self, thread: ThreadId) -> &[Keywords] {
        self.0.get(&thread).map(Vec::as_slice).unwrap_or_default()
    }
}

impl<'a> Evidence<'a> {
    pub(super) const fn listed(listed: Listed) -> Self {
        Self { listed, row: None, threads: None, kept: None, attachment: None, header: None, body: None }
    }

    /// Whether the email matches, if what is known of it is enough to tell.
    pub(super) fn decides(&self, filter: &Filter) -> Option<bool> {
        filter.holds(&|leaf| self.leaf(leaf))
    }

    fn leaf(&self, leaf: &Leaf) -> Option<bool> {
        let listed = &self.listed;
        match leaf {
            Leaf::Uids(ranges) => Some(listed.uid().is_some_and(|uid| within(ranges, uid))),
            Leaf::Received(span) => Some(span.holds(listed.received)),
            Leaf::Mailbox(mailbox) => self.is_in(|place| place == *mailbox),
            Leaf::OtherThan(others) => self.is_in(|place| !others.contains(&place)),
            Leaf::Saved(span) => self.in_mailbox(|member| span.holds(member.saved)),
            Leaf::Deleted => self.in_mailbox(|member| member.deleted),
            Leaf::Content(email) => self.in_mailbox(|member| member.content == *email),
            Leaf::FirstThread(thread) => self.in_mailbox(|member| member.first_thread == *thread),
            Leaf::Size(least, below) => {
                self.row.map(|row| row.size >= *least && below.is_none_or(|below| row.size < below))
            }
            Leaf::Keyword(keyword) => self.row.map(|row| row.keywords.contains(keyword.as_str())),
            Leaf::Since(modseq) => self.row.map(|row| row.modseq >= *modseq),
            Leaf::AllInThread(keyword) => self.threads.map(|threads| threads.all(listed.thread, keyword)),
            Leaf::SomeInThread(keyword) => self.threads.map(|threads| threads.some(listed.thread, keyword)),
            Leaf::Attachment(has) => self.attachment.map(|attachment| attachment == *has),
            Leaf::Sent(from, to) => self.kept.map(|kept| {
                let shown = kept.sent.map(|sent| sent.secs.saturating_add(i64::from(sent.zone) * 60));
                shown.is_some_and(|shown| (*from..*to).contains(&shown))
            }),
            Leaf::Field(name, needle) => self.field(name, needle.as_deref()),
            Leaf::Header(needle) => self.header.map(|header| needle.is_in_fields(header.folded)),
            Leaf::Body(needle) => self.body.map(|BodySeen { needles, contained }| {
                let at = needles.iter().position(|known| known.is(needle));
                at.and_then(|at| contained.get(at)).copied().unwrap_or(false)
            }),
        }
    }

    /// Whether one of its mailboxes is such a one. That it was found in one is enough, if that is one.
    fn is_in(&self, is: impl Fn(MailboxId) -> bool) -> Option<bool> {
        if self.listed.place.is_some_and(|(mailbox, _)| is(mailbox)) {
            return Some(true);
        }
        let mailboxes = self.row?.mailboxes?;
        Some(mailboxes.iter().any(|(mailbox, _)| is(*mailbox)))
    }

    /// What only the row of a mailbox tells is nothing for an email that was found otherwise.
    fn in_mailbox(&self, is: impl Fn(&InMailbox) -> bool) -> Option<bool> {
        self.row.map(|row| row.member.as_ref().is_some_and(is))
    }

    /// Whether there is a field of that name, with that text in it if one is given.
    fn field(&self, name: &str, needle: Option<&Needle>) -> Option<bool> {
        if let Some(kept) = self.kept.filter(|kept| kept.header.covers([name])) {
            return Some(has(kept.header.all(name), kept.hint(), needle));
        }
        let HeaderSeen { block, hint, .. } = self.header?;
        let named = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        Some(has(Fields::new(block).filter(named).map(|field| field.value), hint, needle))
    }
}

/// Whether there is a value, with that text in it if one is given.
fn has(
    mut values: impl Iterator<Item = impl AsRef<[u8]>>,
    hint: Option<&str>,
    needle: Option<&Needle>,
) -> bool {
    match needle {
        Some(needle) => field_contains(values, hint, needle),
        None => values.next().is_some(),
    }
}
