//! Finds what matches by looking at every candidate, and at no more of each than it takes: its row, its record, its
//! message.

use std::borrow::Cow;

use mail::search::{Folded, Html, Needle, body_contains};
use mail::{Mail, Opened, Record};
use types::{AccountId, EmailId, MailboxId};

use super::Query;
use super::filter::{BodySeen, Condition, Evidence, HeaderSeen, RecordSeen};
use super::results::Hit;
use super::row::{Row, ThreadKeywords};
use super::sort::{self, SortValue};
use crate::error::MethodError;
use crate::method::filter::Filter;

/// Candidates that are looked at between two reads.
const PAGE: usize = 1_000;
/// Emails whose records are read at once.
const RECORDS: usize = 100;
/// Emails whose messages are read at once.
const SOURCES: usize = 32;
/// Octets of text that are looked at before others get their turn.
const TURN: usize = 512 * 1024;

/// All results, in their order.
pub(super) async fn all(query: &Query, mail: &Mail, account: AccountId) -> Result<Vec<Hit>, MethodError> {
    let mut scan = Scan::new(query, mail, account);
    match query.home() {
        Some(mailbox) => scan.mailbox(mailbox).await?,
        None => scan.account().await?,
    }
    let mut keyed = scan.found;
    // Of what is equal the newer comes first, so that the order is the same each time.
    keyed.sort_by(|(one, a), (two, b)| sort::compare(&query.sort, one, two).then(b.email.cmp(&a.email)));
    Ok(keyed.into_iter().map(|(_, hit)| hit).collect())
}

struct Scan<'q> {
    query: &'q Query,
    mail: &'q Mail,
    account: AccountId,
    conditions: Vec<&'q Condition>,
    /// What is looked for in bodies, each once.
    needles: Vec<&'q Needle>,
    sorts_by_record: bool,
    /// Memory that serves one message after the other.
    text: Folded,
    looked_at: usize,
    found: Vec<(Vec<SortValue>, Hit)>,
}

impl<'q> Scan<'q> {
    fn new(query: &'q Query, mail: &'q Mail, account: AccountId) -> Self {
        let conditions: Vec<&Condition> = query.filter.iter().flat_map(Filter::conditions).collect();
        let mut needles: Vec<&Needle> = Vec::new();
        for needle in conditions.iter().flat_map(|condition| condition.body_needles()) {
            if !needles.iter().any(|known| known.is(needle)) {
                needles.push(needle);
            }
        }
        Self {
            query,
            mail,
            account,
            conditions,
            needles,
            sorts_by_record: query.sort.iter().any(|comparator| comparator.key.reads_record()),
            text: Folded::default(),
            looked_at: 0,
            found: Vec::new(),
        }
    }

    /// Looks at the emails of one mailbox. Where the node has its members in memory, none of their rows is read.
    async fn mailbox(&mut self, mailbox: MailboxId) -> Result<(), MethodError> {
        let mailboxes = self.conditions.iter().filter(|condition| condition.looks_at_mailboxes()).count();
        let current = match self.mail.current(self.account, mailbox).await {
            Ok(current) => current,
            Err(mail::Error::NoSuchMailbox) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(roll) = current.roll.filter(|_| mailboxes <= 1) else { return self.members(mailbox).await };
        let mut rows = Vec::with_capacity(PAGE.min(roll.len()));
        let entries: Vec<_> = roll.iter().collect();
        for page in entries.chunks(PAGE) {
            rows.extend(page.iter().map(|entry| Row::member(entry, mailbox)));
            self.page(std::mem::take(&mut rows)).await?;
        }
        Ok(())
    }

    /// The same by their rows.
    async fn members(&mut self, mailbox: MailboxId) -> Result<(), MethodError> {
        let mut from = types::Uid(1);
        loop {
            let to = types::Uid(u32::MAX);
            let members = self.mail.members(self.account, mailbox, from, to, PAGE).await?;
            let Some(last) = members.last().map(|member| member.uid) else { return Ok(()) };
            let emails: Vec<EmailId> = members.iter().map(|member| member.email).collect();
            let emails = self.mail.email(self.account, &emails).await?;
            self.page(emails.into_iter().flatten().map(Row::of).collect()).await?;
            match last.0.checked_add(1) {
                Some(next) if members.len() == PAGE => from = types::Uid(next),
                _ => return Ok(()),
            }
        }
    }

    /// Looks at all emails.
    async fn account(&mut self) -> Result<(), MethodError> {
        let mut after = None;
        loop {
            let emails = self.mail.emails(self.account, after, PAGE).await?;
            let (count, last) = (emails.len(), emails.last().map(|email| email.id));
            self.page(emails.into_iter().map(Row::of).collect()).await?;
            if count < PAGE {
                return Ok(());
            }
            after = last;
        }
    }

    /// Decides on a page of candidates.
    async fn page(&mut self, rows: Vec<Row>) -> Result<(), MethodError> {
        let by_row = |row: &Row| self.holds(&Evidence::of(row)) != Some(false);
        let rows: Vec<Row> = rows.into_iter().filter(by_row).collect();
        let threads = match self.query.needs_thread_keywords() {
            true => ThreadKeywords::read(self.mail, self.account, &rows).await?,
            false => ThreadKeywords::default(),
        };
        let mut undecided = Vec::new();
        for row in rows {
            let evidence = Evidence { threads: Some(&threads), ..Evidence::of(&row) };
            match self.holds(&evidence) {
                Some(true) if !self.sorts_by_record => self.take(&row, &threads, None)?,
                Some(false) => {}
                decided => undecided.push((row, decided.is_some())),
            }
        }
        for rows in undecided.chunks(RECORDS) {
            self.by_records(rows, &threads).await?;
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn by_records(
        &mut self,
        rows: &[(Row, bool)],
        threads: &ThreadKeywords,
    ) -> Result<(), MethodError> {
        let ids: Vec<EmailId> = rows.iter().map(|(row, _)| row.email).collect();
        let records = self.mail.records(self.account, &ids).await?;
        let mut undecided = Vec::new();
        for ((row, matches), record) in rows.iter().zip(records) {
            // Gone since its row was read.
            let Some(record) = record else { continue };
            let hint = sort::hint(&record)?;
            let evidence = Evidence {
                threads: Some(threads),
                record: Some(RecordSeen::of(&record, hint.as_deref())?),
                ..Evidence::of(row)
            };
            match if *matches { Some(true) } else { self.holds(&evidence) } {
                Some(true) => self.take(row, threads, Some(&record))?,
                Some(false) => {}
                None => undecided.push((row, record, hint)),
            }
        }
        while !undecided.is_empty() {
            let rest = undecided.split_off(undecided.len().min(SOURCES));
            self.by_sources(std::mem::replace(&mut undecided, rest), threads).await?;
        }
        Ok(())
    }

    async fn by_sources(
        &mut self,
        emails: Vec<(&Row, Record, Option<String>)>,
        threads: &ThreadKeywords,
    ) -> Result<(), MethodError> {
        let ids: Vec<EmailId> = emails.iter().map(|(row, ..)| row.email).collect();
        let sources = self.mail.sources(self.account, &ids).await?;
        for ((row, record, hint), sealed) in emails.into_iter().zip(sources) {
            let Some(sealed) = sealed else { continue };
            if self.looked_at >= TURN {
                self.looked_at = 0;
                tokio::task::yield_now().await;
            }
            let mut opened = Opened::new(record.clone());
            opened.bring(sealed);
            let seen = Evidence {
                threads: Some(threads),
                record: Some(RecordSeen::of(&record, hint.as_deref())?),
                ..Evidence::of(row)
            };
            if self.decide(&mut opened, seen).await? {
                self.take(row, threads, Some(&record))?;
            }
        }
        Ok(())
    }

    /// Opens a message: its header, then its body.
    async fn decide(&mut self, opened: &mut Opened, seen: Evidence<'_>) -> Result<bool, MethodError> {
        let block = opened.header(self.mail).await?;
        let hint = match block.is_ascii() {
            true => None,
            false => opened.tree(self.mail).await?.charset_hint().map(Cow::into_owned),
        };
        self.looked_at += block.len();
        let seen = Evidence { header: Some(HeaderSeen { block: &block, hint: hint.as_deref() }), ..seen };
        if let Some(holds) = self.holds(&seen) {
            return Ok(holds);
        }
        let found = body_contains(opened, &self.needles, Html::Text, self.mail, &mut self.text);
        let (contained, looked_at) = found.await?;
        self.looked_at += looked_at;
        let body = BodySeen { needles: &self.needles, contained: &contained };
        Ok(self.holds(&Evidence { body: Some(body), ..seen }).unwrap_or(false))
    }

    fn holds(&self, evidence: &Evidence<'_>) -> Option<bool> {
        match &self.query.filter {
            None => Some(true),
            Some(filter) => filter.holds(&|condition| condition.holds(evidence)),
        }
    }

    fn take(
        &mut self,
        row: &Row,
        threads: &ThreadKeywords,
        record: Option<&Record>,
    ) -> Result<(), MethodError> {
        let values = self.query.sort.iter().map(|comparator| comparator.value(row, threads, record));
        let values = values.collect::<Result<_, _>>()?;
        self.found.push((values, Hit { email: row.email, thread: row.thread, received: row.received }));
        Ok(())
    }
}

impl<'a> Evidence<'a> {
    const fn of(row: &'a Row) -> Self {
        Self { row, threads: None, record: None, header: None, body: None }
    }
}

impl<'a> RecordSeen<'a> {
    fn of(record: &'a Record, hint: Option<&'a str>) -> Result<Self, MethodError> {
        Ok(Self { header: record.header()?, hint, has_attachment: record.has_attachment()? })
    }
}
