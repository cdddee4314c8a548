//! Decides which messages match by looking at them, and at no more of each than it takes: first its number, then
//! its row, its metadata, its header, its text.

use std::borrow::Cow;

use bytes::Bytes;
use mail::ingest::fields::{Field, Fields};
use mail::search::{Folded, Html, Needle, body_contains, field_contains};
use mail::{Mail, Member, Opened, Record};
use types::{AccountId, ModSeq, Uid};

use super::super::super::content::Kept;
use super::super::super::error::Error;
use super::super::super::resync::within;
use super::super::super::user::User;
use super::super::super::view::Picked;
use super::query::Query;
use crate::wire::{Date, Unit};

/// How many messages one step looks at.
const PAGE: usize = 1000;
/// How many records are read at once.
const RECORDS: usize = 100;
/// How many messages' bytes are read at once.
const SOURCES: usize = 32;
/// How many bytes of text are looked at before other sessions get their turn.
const TURN: usize = 512 * 1024;

/// What is known of a message so far.
#[derive(Clone, Copy, Default)]
struct Evidence<'a> {
    number: u32,
    member: Option<&'a Member>,
    kept: Option<&'a Kept<'a>>,
    header: Option<Header<'a>>,
    body: Option<Body<'a>>,
}

/// The whole header: as it stands, and folded.
#[derive(Clone, Copy)]
struct Header<'a> {
    block: &'a Bytes,
    folded: &'a Folded,
    hint: Option<&'a str>,
}

/// Which texts the body contains.
#[derive(Clone, Copy)]
struct Body<'a> {
    needles: &'a [&'a Needle],
    contained: &'a [bool],
}

/// A message that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Match {
    pub(in super::super) number: u32,
    pub(in super::super) uid: Uid,
    /// Zero unless the search asks for modseqs, or had to look at the row anyway.
    pub(in super::super) modseq: ModSeq,
}

impl Match {
    const fn new(number: u32, member: &Member) -> Self {
        Self { number, uid: member.uid, modseq: member.modseq }
    }

    /// What the client calls it.
    pub(in super::super) const fn name(&self, unit: Unit) -> u32 {
        match unit {
            Unit::Sequence => self.number,
            Unit::Uid => self.uid.0,
        }
    }
}

/// The matches among the next candidates.
pub(super) async fn page(
    query: &Query,
    candidates: &mut Picked,
    user: &mut User,
) -> Result<Vec<Match>, Error> {
    let mail = user.mail.clone();
    let view = user.view()?;
    let page = view.page(candidates, PAGE);
    let mut found = Vec::new();
    let mut undecided = Vec::new();
    for (number, uid) in page {
        match query.holds(&Evidence { number, ..Evidence::default() }) {
            Some(true) if !query.names_modseq() => {
                found.push(Match { number, uid, modseq: ModSeq(0) });
            }
            Some(false) => {}
            _ => undecided.push((number, uid)),
        }
    }
    let mut deeper = Vec::new();
    for (number, member) in view.members(&mail, &undecided).await? {
        match query.holds(&Evidence::of(number, &member)) {
            Some(true) => found.push(Match::new(number, &member)),
            Some(false) => {}
            None => deeper.push((number, member)),
        }
    }
    let search = Search::new(query, user.account, mail);
    for chunk in deeper.chunks(RECORDS) {
        search.by_records(chunk, &mut found).await?;
    }
    found.sort_unstable();
    Ok(found)
}

/// The part of a search that looks inside messages.
struct Search<'q> {
    query: &'q Query,
    account: AccountId,
    mail: Mail,
    /// What is looked for in bodies, each once.
    needles: Vec<&'q Needle>,
    /// Whether the whole header may tell more than the fields that records have.
    reads_headers: bool,
}

/// Memory that serves one message after the other, and how much was done with it since others had their turn.
#[derive(Default)]
struct Bench {
    header: Folded,
    text: Folded,
    looked_at: usize,
}

impl<'q> Search<'q> {
    fn new(query: &'q Query, account: AccountId, mail: Mail) -> Self {
        let mut search = Self { query, account, mail, needles: Vec::new(), reads_headers: false };
        query.needs(&mut search.needles, &mut search.reads_headers);
        search
    }

    async fn by_records(&self, members: &[(u32, Member)], found: &mut Vec<Match>) -> Result<(), Error> {
        if members.len() >= RECORDS {
            // Looking inside messages costs processor time: other sessions get their turn now and then.
            tokio::task::yield_now().await;
        }
        let emails: Vec<_> = members.iter().map(|(_, member)| member.email).collect();
        let records = self.mail.records(self.account, &emails).await?;
        let mut deeper = Vec::new();
        for ((number, member), record) in members.iter().zip(records) {
            // Gone since the row was read.
            let Some(record) = record else { continue };
            let kept = Kept::of(&record)?;
            let evidence = Evidence { kept: Some(&kept), ..Evidence::of(*number, member) };
            match self.query.holds(&evidence) {
                Some(true) => found.push(Match::new(*number, member)),
                Some(false) => {}
                None => deeper.push((*number, member, record)),
            }
        }
        let mut bench = Bench::default();
        while !deeper.is_empty() {
            let rest = deeper.split_off(deeper.len().min(SOURCES));
            self.by_sources(std::mem::replace(&mut deeper, rest), &mut bench, found).await?;
        }
        Ok(())
    }

    async fn by_sources(
        &self,
        messages: Vec<(u32, &Member, Record)>,
        bench: &mut Bench,
        found: &mut Vec<Match>,
    ) -> Result<(), Error> {
        let emails: Vec<_> = messages.iter().map(|(_, member, _)| member.email).collect();
        let sources = self.mail.sources(self.account, &emails).await?;
        for ((number, member, record), sealed) in messages.into_iter().zip(sources) {
            let Some(sealed) = sealed else { continue };
            if bench.looked_at >= TURN {
                bench.looked_at = 0;
                tokio::task::yield_now().await;
            }
            let mut message = Opened::new(record);
            message.bring(sealed);
            if self.decide(number, member, &mut message, bench).await? {
                found.push(Match::new(number, member));
            }
        }
        Ok(())
    }

    /// Opens a message.
    async fn decide(
        &self,
        number: u32,
        member: &Member,
        message: &mut Opened,
        bench: &mut Bench,
    ) -> Result<bool, Error> {
        let record = message.record().clone();
        let kept = Kept::of(&record)?;
        let mut evidence = Evidence { kept: Some(&kept), ..Evidence::of(number, member) };
        let (block, hint);
        if self.reads_headers {
            block = message.header(&self.mail).await?;
            hint = match block.is_ascii() {
                true => None,
                false => message.tree(&self.mail).await?.charset_hint().map(Cow::into_owned),
            };
            bench.header.clear();
            bench.header.push_header(&block, hint.as_deref());
            bench.looked_at += block.len();
            evidence.header = Some(Header { block: &block, folded: &bench.header, hint: hint.as_deref() });
            if let Some(holds) = self.query.holds(&evidence) {
                return Ok(holds);
            }
        }
        let (contained, looked_at) =
            body_contains(message, &self.needles, Html::Source, &self.mail, &mut bench.text).await?;
        bench.looked_at += looked_at;
        evidence.body = Some(Body { needles: &self.needles, contained: &contained });
        Ok(self.query.holds(&evidence).unwrap_or(false))
    }
}

impl<'a> Evidence<'a> {
    fn of(number: u32, member: &'a Member) -> Self {
        Self { number, member: Some(member), ..Self::default() }
    }
}

impl Query {
    /// Whether the message matches, if what is known of it is enough to tell.
    fn holds(&self, evidence: &Evidence<'_>) -> Option<bool> {
        let member = evidence.member;
        let day = |m: &Member| Date::of(m.received);
        match self {
            Self::All => Some(true),
            Self::Nothing => Some(false),
            Self::Numbers(ranges) => Some(within(ranges, evidence.number)),
            Self::Deleted => member.map(|m| m.deleted),
            Self::Keyword(keyword) => member.map(|m| m.keywords.contains(keyword.as_str())),
            Self::Before(date) => member.map(|m| day(m) < *date),
            Self::On(date) => member.map(|m| day(m) == *date),
            Self::Since(date) => member.map(|m| day(m) >= *date),
            Self::Older(moment) => member.map(|m| m.received.secs() <= *moment),
            Self::Younger(moment) => member.map(|m| m.received.secs() >= *moment),
            Self::SavedBefore(date) => member.map(|m| Date::of(m.saved) < *date),
            Self::SavedOn(date) => member.map(|m| Date::of(m.saved) == *date),
            Self::SavedSince(date) => member.map(|m| Date::of(m.saved) >= *date),
            Self::ModSeq(modseq) => member.map(|m| m.modseq >= *modseq),
            Self::Email(email) => member.map(|m| m.content == *email),
            Self::Thread(thread) => member.map(|m| m.first_thread == *thread),
            Self::Larger(size) => member.map(|m| m.size > *size),
            Self::Smaller(size) => member.map(|m| m.size < *size),
            Self::SentBefore(date) => sent(evidence, |sent| sent < *date),
            Self::SentOn(date) => sent(evidence, |sent| sent == *date),
            Self::SentSince(date) => sent(evidence, |sent| sent >= *date),
            Self::Header(name, text) => in_field(evidence, name, text),
            Self::Body(text) => in_body(evidence, text),
            Self::Text(text) => or(in_header(evidence, text), in_body(evidence, text)),
            Self::Not(query) => query.holds(evidence).map(|holds| !holds),
            Self::Or(one, two) => match one.holds(evidence) {
                Some(true) => Some(true),
                holds => or(holds, two.holds(evidence)),
            },
            Self::And(queries) => {
                let mut all = Some(true);
                for query in queries {
                    match query.holds(evidence) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => all = None,
                    }
                }
                all
            }
        }
    }

    /// The texts that are looked for in bodies, and whether whole headers are looked at.
    fn needs<'a>(&'a self, needles: &mut Vec<&'a Needle>, headers: &mut bool) {
        match self {
            Self::Header(..) => *headers = true,
            Self::Body(needle) | Self::Text(needle) => {
                *headers |= matches!(self, Self::Text(_));
                if !needles.iter().any(|known| known.is(needle)) {
                    needles.push(needle);
                }
            }
            Self::Not(query) => query.needs(needles, headers),
            Self::Or(one, two) => {
                one.needs(needles, headers);
                two.needs(needles, headers);
            }
            Self::And(queries) => queries.iter().for_each(|query| query.needs(needles, headers)),
            _ => {}
        }
    }
}

fn or(one: Option<bool>, two: Option<bool>) -> Option<bool> {
    match (one, two) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// The day that the Date field names, in the sender's own zone (RFC 9051 §6.4.4). A message without has none.
fn sent(evidence: &Evidence<'_>, is: impl Fn(Date) -> bool) -> Option<bool> {
    let kept = evidence.kept?;
    Some(kept.sent.is_some_and(|sent| is(Date::of_seconds(sent.secs + i64::from(sent.zone) * 60))))
}

fn in_field(evidence: &Evidence<'_>, name: &str, needle: &Needle) -> Option<bool> {
    if let Some(Header { block, hint, .. }) = evidence.header {
        let named = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        let values = Fields::new(block).filter(named).map(|field| field.value);
        return Some(field_contains(values, hint, needle));
    }
    let kept = evidence.kept?;
    kept.header.covers([name]).then(|| field_contains(kept.header.all(name), kept.hint(), needle))
}

fn in_header(evidence: &Evidence<'_>, needle: &Needle) -> Option<bool> {
    evidence.header.map(|header| needle.is_in_fields(header.folded))
}

fn in_body(evidence: &Evidence<'_>, needle: &Needle) -> Option<bool> {
    let Body { needles, contained } = evidence.body?;
    let at = needles.iter().position(|known| known.is(needle));
    Some(at.and_then(|at| contained.get(at)).copied().unwrap_or(false))
}
