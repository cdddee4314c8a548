//! FETCH (RFC 9051 §6.4.5), as a stream: no more of a message is in memory than a few chunks.

mod body;
mod rows;

use std::collections::VecDeque;

use mail::{FlagAction, FlagChange, Member};
use types::{AccountId, Keyword, Keywords, ModSeq};

use self::body::{Body, is_whole};
pub(super) use self::rows::FetchingRows;
use super::super::announce::Tell;
use super::super::content::{Message, envelope, structure};
use super::super::error::Error;
use super::super::user::{Syncs, User};
use super::super::view::{Picked, View};
use super::{Finished, Outcome, Task, tell_after};
use crate::wire::command::{Fetch, FetchItem};
use crate::wire::response::{self, Code, FetchLine, Output, Reply};
use crate::wire::{Dialect, SectionText, Unit};

/// How many when metadata is read too.
const RECORDS: usize = 100;
/// How many when bodies are shown: these are marked as seen in one transaction before they are sent.
const BODIES: usize = 32;

/// A FETCH in progress.
pub(in super::super) struct Fetching {
    unit: Unit,
    items: Vec<FetchItem>,
    depth: Depth,
    /// Whether nothing is shown of the messages besides their rows but all of them.
    whole: bool,
    marks_seen: bool,
    /// Whether a row that is told unasked carries its modseq.
    condstore: bool,
    changed_since: Option<ModSeq>,
    picked: Picked,
    rows: VecDeque<Row>,
    open: Option<Open>,
    missing: bool,
    unknown_encoding: bool,
}

impl Fetching {
    /// What a client wants to hear of new messages without asking each time.
    pub(in super::super) fn unasked(items: &[FetchItem], picked: Picked, user: &User) -> Self {
        let condstore = user.condstore();
        let mut all = items.to_vec();
        for item in [FetchItem::Uid, FetchItem::ModSeq] {
            if condstore && !all.contains(&item) {
                all.push(item);
            }
        }
        let read_only = user.view.as_ref().is_none_or(|view| view.read_only);
        Self::new(Unit::Uid, all, condstore, None, picked, !read_only)
    }

    fn new(
        unit: Unit,
        items: Vec<FetchItem>,
        condstore: bool,
        changed_since: Option<ModSeq>,
        picked: Picked,
        writable: bool,
    ) -> Self {
        let marks_seen = writable && items.iter().any(FetchItem::marks_seen);
        let depth = items.iter().map(depth).max().unwrap_or(Depth::Row);
        let whole = items.iter().all(|item| self::depth(item) == Depth::Row || is_whole(item));
        Self {
            unit,
            items,
            depth,
            whole,
            marks_seen,
            condstore,
            changed_since,
            picked,
            rows: VecDeque::new(),
            open: None,
            missing: false,
            unknown_encoding: false,
        }
    }
}

/// What has to be read of each message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Row,
    Record,
    /// Header fields, of which the record has those that are asked for as a rule.
    Fields,
    Body,
}

/// A message whose turn has not come.
struct Row {
    number: u32,
    member: Member,
    message: Option<Message>,
    newly_seen: bool,
}

/// A message whose answer is being written.
struct Open {
    row: Row,
    line: FetchLine,
    /// Which item is next.
    next: usize,
    body: Option<Body>,
}

pub(super) async fn run(command: Fetch, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    if command.vanished && user.syncs != Syncs::QResync {
        return Err(Error::NotNow("ENABLE QRESYNC comes before its use"));
    }
    let mail = user.mail.clone();
    let mut picked = user.view()?.pick(command.unit, &command.messages)?;
    if command.items.contains(&FetchItem::ModSeq) {
        user.enable_condstore(out);
    }
    let condstore = user.condstore();
    let view = user.view()?;
    if let Some(range) = command.partial {
        picked = picked.part(range);
    }
    if let Some(since) = command.changed_since {
        let missed = view.missed(&mail, since).await?;
        if command.vanished {
            let asked = view.uid_ranges(&command.messages);
            response::vanished(true, &view.vanished(&asked, missed.as_ref()), out);
        }
        if let Some(missed) = missed {
            picked = view.narrow(&picked, &missed);
        }
    }
    let read_only = view.read_only;
    let Fetch { unit, items, changed_since, .. } = command;
    if items.iter().all(|item| depth(item) == Depth::Row) {
        let fetching = FetchingRows::new(unit, items, changed_since, picked);
        return Ok(Outcome::Task(Task::FetchRows(Box::new(fetching))));
    }
    let fetching = Fetching::new(unit, items, condstore, changed_since, picked, !read_only);
    Ok(Outcome::Task(Task::Fetch(Box::new(fetching))))
}

fn depth(item: &FetchItem) -> Depth {
    match item {
        FetchItem::EmailId
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::ModSeq
        | FetchItem::SaveDate
        | FetchItem::Size
        | FetchItem::ThreadId
        | FetchItem::Uid => Depth::Row,
        FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope | FetchItem::Preview => {
            Depth::Record
        }
        FetchItem::Section { section, .. }
            if section.part.is_empty() && matches!(section.text, SectionText::Fields(_)) =>
        {
            Depth::Fields
        }
        _ => Depth::Body,
    }
}

impl Fetching {
    /// Writes some of the answer: what one round of reading brings, or as much as goes out at once.
    pub(in super::super) async fn step(
        &mut self,
        user: &mut User,
        out: &mut Output,
    ) -> Result<Finished, Error> {
        if self.open.is_none() && self.rows.is_empty() {
            if self.picked.is_empty() {
                return Ok(Some(self.finish()));
            }
            self.read_rows(user).await?;
        }
        while !out.is_full() {
            if self.open.is_none() {
                let Some(row) = self.rows.pop_front() else { break };
                user.view()?.learn(&row.member, out);
                let line = FetchLine::begin(row.number, out);
                self.open = Some(Open { row, line, next: 0, body: None });
            }
            self.go_on(user, out).await?;
        }
        Ok(None)
    }

    fn finish(&self) -> (Reply, Tell) {
        let reply = if self.unknown_encoding {
            Reply::no("a part has a transfer encoding that this server does not know").code(Code::UnknownCte)
        } else if self.missing && self.unit == Unit::Sequence {
            Reply::ok("fetched; some of the messages no longer exist").code(Code::ExpungeIssued)
        } else {
            Reply::ok("fetched")
        };
        (reply, tell_after(self.unit))
    }

    async fn read_rows(&mut self, user: &mut User) -> Result<(), Error> {
        let mail = user.mail.clone();
        let account = user.account;
        let view = user.view()?;
        let limit = match self.depth {
            Depth::Row | Depth::Record | Depth::Fields => RECORDS,
            Depth::Body => BODIES,
        };
        let page = view.page(&mut self.picked, limit);
        if page.len() >= limit {
            // What is in memory comes without waiting; one client's long answer must not hold up the others.
            tokio::task::yield_now().await;
        }
        let members = view.members(&mail, &page).await?;
        self.missing |= members.len() < page.len();
        let mut rows: Vec<Row> = members
            .into_iter()
            .map(|(number, member)| Row { number, member, message: None, newly_seen: false })
            .collect();
        if let Some(since) = self.changed_since {
            rows.retain(|row| row.member.modseq > since);
        }
        if self.marks_seen {
            mark_seen(&mut rows, view, &mail).await?;
        }
        if self.depth > Depth::Row {
            self.read_content(&mut rows, account, &mail).await?;
        }
        self.rows = rows.into();
        Ok(())
    }

    /// Reads what is shown of the messages besides their rows: one round for all of them where that is nothing but
    /// their records, or they themselves; else two.
    async fn read_content(
        &mut self,
        rows: &mut Vec<Row>,
        account: AccountId,
        mail: &mail::Mail,
    ) -> Result<(), Error> {
        let emails: Vec<_> = rows.iter().map(|row| row.member.email).collect();
        if self.whole {
            let sources = mail.sources(account, &emails).await?;
            for (row, sealed) in rows.iter_mut().zip(sources) {
                row.message = sealed.map(Message::whole);
            }
        } else {
            let records = mail.records(account, &emails).await?;
            for (row, record) in rows.iter_mut().zip(records) {
                row.message = record.map(Message::new);
            }
        }
        // Expunged between the two reads.
        let before = rows.len();
        rows.retain(|row| row.message.is_some());
        self.missing |= rows.len() < before;
        if self.depth > Depth::Record && !self.whole {
            self.bring_sources(rows, account, mail).await?;
        }
        Ok(())
    }

    async fn bring_sources(
        &self,
        rows: &mut [Row],
        account: AccountId,
        mail: &mail::Mail,
    ) -> Result<(), Error> {
        let mut wanting = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(message) = row.message.as_mut()
                && needs_source(&self.items, message)?
            {
                wanting.push((row.member.email, message));
            }
        }
        let emails: Vec<_> = wanting.iter().map(|(email, _)| *email).collect();
        for ((_, message), sealed) in wanting.into_iter().zip(mail.sources(account, &emails).await?) {
            if let Some(sealed) = sealed {
                message.bring(sealed);
            }
        }
        Ok(())
    }

    /// Writes the open message up to its next body, or a chunk of that.
    async fn go_on(&mut self, user: &mut User, out: &mut Output) -> Result<(), Error> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        if let Some(body) = open.body.as_mut() {
            if !body.send_at_once(out) && !Box::pin(body.send(out)).await? {
                return Ok(());
            }
            open.body = None;
        }
        while let Some(item) = self.items.get(open.next) {
            open.next += 1;
            let begun = match open.tell(item, user.dialect, out) {
                Ok(true) => Ok(true),
                // Much room for what is seldom needed: as a part of this it would be moved about with every message.
                Ok(false) => Box::pin(begin_content(item, open, user, out)).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(known) => self.unknown_encoding |= !known,
                // The answer has begun and cannot be taken back; what was written of it is whole, the item is left
                // out.
                Err(error) => {
                    self.close(out);
                    return Err(error);
                }
            }
            if open.body.is_some() {
                return Ok(());
            }
        }
        if let Some(mut open) = self.open.take() {
            if open.row.newly_seen {
                self.tell_seen(&open.row.member, &mut open.line, out);
            }
            open.line.end(out);
        }
        Ok(())
    }

    /// Ends the open message's answer.
    fn close(&mut self, out: &mut Output) {
        if let Some(open) = self.open.take() {
            open.line.end(out);
        }
    }
}

impl Fetching {
    /// What the client is told of a message that its FETCH has marked as seen, as of any change.
    fn tell_seen(&self, member: &Member, line: &mut FetchLine, out: &mut Output) {
        let asked = |item| self.items.contains(&item);
        if self.condstore && !asked(FetchItem::Uid) {
            line.uid(member.uid, out);
        }
        if !asked(FetchItem::Flags) {
            line.flags(&member.keywords, member.deleted, out);
        }
        if self.condstore && !asked(FetchItem::ModSeq) {
            line.modseq(member.modseq, out);
        }
    }
}

/// Whether the message's bytes are needed to show these items.
fn needs_source(items: &[FetchItem], message: &Message) -> Result<bool, Error> {
    for item in items {
        let needs = match item {
            FetchItem::Section { section, .. } => message.needs_source(section)?,
            item => depth(item) == Depth::Body,
        };
        if needs {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sets `\Seen` where it is not, before the bodies are shown.
async fn mark_seen(rows: &mut [Row], view: &mut View, mail: &mail::Mail) -> Result<(), Error> {
    let unseen: Vec<_> =
        rows.iter().filter(|r| !r.member.keywords.contains(Keyword::SEEN)).map(|r| r.member.uid).collect();
    if unseen.is_empty() {
        return Ok(());
    }
    let seen: Keywords = Keyword::new(Keyword::SEEN).into_iter().collect();
    let change = FlagChange { action: FlagAction::Add, keywords: seen, deleted: false };
    let stored = mail.store(view.account, view.mailbox, &unseen, &change, None).await?;
    for member in stored.members {
        view.told(&member);
        if let Some(row) = rows.iter_mut().find(|row| row.member.uid == member.uid) {
            row.member = member;
            row.newly_seen = true;
        }
    }
    Ok(())
}

impl Open {
    /// Writes an item, or begins its body, if all of it is at hand; false if something has to be read for it.
    fn tell(&mut self, item: &FetchItem, dialect: Dialect, out: &mut Output) -> Result<bool, Error> {
        let Self { row, line, body, .. } = self;
        let member = &row.member;
        match item {
            FetchItem::EmailId => line.email_id(member.content, out),
            FetchItem::Flags => line.flags(&member.keywords, member.deleted, out),
            FetchItem::InternalDate => line.internal_date(member.received, out),
            FetchItem::ModSeq => line.modseq(member.modseq, out),
            FetchItem::SaveDate => line.save_date(member.saved, out),
            FetchItem::Size => line.size(member.size, out),
            FetchItem::ThreadId => line.thread_id(member.first_thread, out),
            FetchItem::Uid => line.uid(member.uid, out),
            item => {
                let Some(message) = row.message.as_mut() else { return Ok(true) };
                return tell_content(item, message, line, body, dialect, out);
            }
        }
        Ok(true)
    }
}

fn tell_content(
    item: &FetchItem,
    message: &mut Message,
    line: &mut FetchLine,
    body: &mut Option<Body>,
    dialect: Dialect,
    out: &mut Output,
) -> Result<bool, Error> {
    match item {
        FetchItem::Envelope => {
            let Some(fields) = message.envelope_at_hand()? else { return Ok(false) };
            line.envelope(&envelope(&fields), dialect, out);
        }
        FetchItem::Preview => line.preview(short(message.record()?.preview()?), dialect, out),
        FetchItem::Body | FetchItem::BodyStructure => {
            let Some(tree) = message.tree_at_hand()? else { return Ok(false) };
            match item {
                FetchItem::Body => line.body(&structure(tree), dialect, out),
                _ => line.body_structure(&structure(tree), dialect, out),
            }
        }
        item => {
            let Some(opened) = Body::at_hand(item, message)? else { return Ok(false) };
            opened.announce(item, line, out);
            *body = Some(opened);
        }
    }
    Ok(true)
}

/// Writes an item, or begins its body, with what has to be read for it; false if its transfer encoding is unknown.
async fn begin_content(
    item: &FetchItem,
    open: &mut Open,
    user: &User,
    out: &mut Output,
) -> Result<bool, Error> {
    let (mail, dialect) = (&user.mail, user.dialect);
    let Open { row, line, body, .. } = open;
    let Some(message) = row.message.as_mut() else { return Ok(true) };
    match item {
        FetchItem::Envelope => line.envelope(&envelope(&message.header(mail).await?), dialect, out),
        FetchItem::Body => line.body(&structure(message.tree(mail).await?), dialect, out),
        FetchItem::BodyStructure => line.body_structure(&structure(message.tree(mail).await?), dialect, out),
        item => match Body::open(item, message, mail).await? {
            Some(opened) => {
                opened.announce(item, line, out);
                *body = Some(opened);
            }
            None => return Ok(false),
        },
    }
    Ok(true)
}

/// As much of a preview as RFC 8970 §3.3 wants to see.
fn short(preview: &str) -> &str {
    const CHARS: usize = 200;
    let end = preview.char_indices().nth(CHARS).map_or(preview.len(), |(at, _)| at);
    preview.get(..end).unwrap_or(preview)
}
