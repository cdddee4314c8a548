//! Decides which messages match by looking at them, and at no more of each than it takes: first its number, then
//! its row, its metadata, its header, its text.

use std::collections::HashMap;

use mail::{Mail, Member, Metadata};
use types::{ModSeq, Uid};

use super::super::super::content::Message;
use super::super::super::error::Error;
use super::super::super::resync::within;
use super::super::super::user::User;
use super::super::super::view::Picked;
use super::query::Query;
use super::text::{body_contains, header, kept_values};
use crate::wire::{Date, Unit};

/// How many messages one step looks at.
const PAGE: usize = 1000;
/// How many records are read at once.
const RECORDS: usize = 50;

/// What is known of a message so far.
#[derive(Default)]
struct Evidence<'a> {
    number: u32,
    member: Option<&'a Member>,
    metadata: Option<&'a Metadata>,
    /// The whole header, names and values folded.
    header: Option<Vec<(String, String)>>,
    /// Which texts the body contains.
    body: Option<HashMap<String, bool>>,
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
        match query.holds(&Evidence { number, member: Some(&member), ..Evidence::default() }) {
            Some(true) => found.push(Match::new(number, &member)),
            Some(false) => {}
            None => deeper.push((number, member)),
        }
    }
    for chunk in deeper.chunks(RECORDS) {
        look_inside(query, chunk, user, &mail, &mut found).await?;
    }
    found.sort_unstable();
    Ok(found)
}

async fn look_inside(
    query: &Query,
    members: &[(u32, Member)],
    user: &User,
    mail: &Mail,
    found: &mut Vec<Match>,
) -> Result<(), Error> {
    let emails: Vec<_> = members.iter().map(|(_, member)| member.email).collect();
    let records = mail.metadata(user.account, &emails).await?;
    for ((number, member), record) in members.iter().zip(records) {
        // Looking inside a message costs processor time: other sessions get their turn between two.
        tokio::task::yield_now().await;
        // Gone since the row was read.
        let Some(record) = record else { continue };
        let mut message = Message::new(user.account, member.email, record);
        if decide(query, *number, member, &mut message, mail).await? {
            found.push(Match::new(*number, member));
        }
    }
    Ok(())
}

async fn decide(
    query: &Query,
    number: u32,
    member: &Member,
    message: &mut Message,
    mail: &Mail,
) -> Result<bool, Error> {
    let metadata = message.metadata().clone();
    let mut evidence =
        Evidence { number, member: Some(member), metadata: Some(&metadata), header: None, body: None };
    if let Some(holds) = query.holds(&evidence) {
        return Ok(holds);
    }
    let block = message.header(mail).await?;
    evidence.header = Some(header(&block, metadata.structure.charset_hint().as_deref()));
    if let Some(holds) = query.holds(&evidence) {
        return Ok(holds);
    }
    let mut needles = Vec::new();
    query.needles(&mut needles);
    needles.sort_unstable();
    needles.dedup();
    let contains = body_contains(message, &needles, mail).await?;
    evidence.body = Some(needles.into_iter().map(str::to_owned).zip(contains).collect());
    Ok(query.holds(&evidence).unwrap_or(false))
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

    /// The texts that are looked for in bodies.
    fn needles<'a>(&'a self, needles: &mut Vec<&'a str>) {
        match self {
            Self::Body(text) | Self::Text(text) => needles.push(text),
            Self::Not(query) => query.needles(needles),
            Self::Or(one, two) => {
                one.needles(needles);
                two.needles(needles);
            }
            Self::And(queries) => queries.iter().for_each(|query| query.needles(needles)),
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
    let metadata = evidence.metadata?;
    Some(metadata.sent.is_some_and(|sent| is(Date::of_seconds(sent.secs + i64::from(sent.zone) * 60))))
}

fn in_field(evidence: &Evidence<'_>, name: &str, text: &str) -> Option<bool> {
    if let Some(header) = &evidence.header {
        return Some(header.iter().any(|(n, value)| n == name && value.contains(text)));
    }
    let values = kept_values(evidence.metadata?, name)?;
    Some(values.iter().any(|value| value.contains(text)))
}

fn in_header(evidence: &Evidence<'_>, text: &str) -> Option<bool> {
    let header = evidence.header.as_ref()?;
    Some(header.iter().any(|(name, value)| value.contains(text) || format!("{name}: {value}").contains(text)))
}

fn in_body(evidence: &Evidence<'_>, text: &str) -> Option<bool> {
    evidence.body.as_ref().map(|body| body.get(text).copied().unwrap_or(false))
}
