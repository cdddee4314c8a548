//! Decides which candidates match by looking at them, and at no more of each than it takes: what the list says, its row,
//! its thread, its record, its message.

use std::borrow::Cow;

use types::{AccountId, EmailId, ThreadId};

use super::candidates::{Page, Rows};
use super::evidence::{BodySeen, Evidence, HeaderSeen, Listed, Row, ThreadKeywords};
use super::order::SortValue;
use super::plan::{Plan, Query, Sorted};
use super::results::Hit;
use super::{Depth, Folded, Kept, Leaf, Needle, body_contains};
use crate::{Error, Mail, Opened, Record};

/// Emails whose records are read at once.
const RECORDS: usize = 100;
/// Emails whose messages are read at once.
const SOURCES: usize = 32;
/// Octets of text that are looked at before others get their turn.
const TURN: usize = 512 * 1024;

/// Memory that serves one message after the other, and how much was done with it since others had their turn.
#[derive(Default)]
pub(super) struct Bench {
    header: Folded,
    text: Folded,
    looked_at: usize,
}

/// A match, and what is compared of it.
pub(super) struct Found {
    /// Which of the page's candidates it was.
    at: usize,
    pub(super) values: Vec<SortValue>,
    pub(super) hit: Hit,
}

/// Looks at one page of candidates.
pub(super) struct Judge<'q> {
    mail: &'q Mail,
    account: AccountId,
    query: &'q Query,
    plan: &'q Plan,
    bench: &'q mut Bench,
    /// What is looked for in bodies, each once.
    needles: Vec<&'q Needle>,
    /// How much of a match has to be known to put it in its place.
    depth: Depth,
    found: Vec<Found>,
    /// Candidates of which more than the list was looked at.
    pub(super) rows_read: usize,
}

/// A candidate of which the row is known.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    at: usize,
    listed: Listed,
    row: Row<'a>,
    /// Whether it is known to match.
    matches: bool,
}

impl<'q> Judge<'q> {
    pub(super) fn new(
        mail: &'q Mail,
        account: AccountId,
        query: &'q Query,
        plan: &'q Plan,
        bench: &'q mut Bench,
    ) -> Self {
        let mut needles: Vec<&Needle> = Vec::new();
        for leaf in query.filter.leaves() {
            if let Leaf::Body(needle) = leaf
                && !needles.iter().any(|known| known.is(needle))
            {
                needles.push(needle);
            }
        }
        let depth = query.sort_depth(plan.sorted);
        Self { mail, account, query, plan, bench, needles, depth, found: Vec::new(), rows_read: 0 }
    }

    /// The matches among them, in the order in which they came.
    pub(super) async fn page(&mut self, page: Page) -> Result<Vec<Found>, Error> {
        let mut undecided = Vec::new();
        for (at, listed) in page.listed.into_iter().enumerate() {
            match Evidence::listed(listed).decides(&self.query.filter) {
                Some(true) if self.depth == Depth::Listed => self.take(at, &listed, None, None, None),
                Some(false) => {}
                decided => undecided.push((at, listed, decided.is_some())),
            }
        }
        if !undecided.is_empty() {
            self.rows_read = undecided.len();
            let listed: Vec<Listed> = undecided.iter().map(|(_, listed, _)| *listed).collect();
            let rows = match page.rows.filter(|_| !self.plan.asks_for_places(&self.query.filter)) {
                Some(rows) => rows,
                None => self.rows(&listed).await?,
            };
            self.by_rows(&undecided, &rows).await?;
        }
        let mut found = std::mem::take(&mut self.found);
        found.sort_unstable_by_key(|found| found.at);
        Ok(found)
    }

    /// Reads the rows of candidates that only a list has told of.
    async fn rows(&self, listed: &[Listed]) -> Result<Rows, Error> {
        Ok(match self.plan.home().filter(|_| !self.plan.asks_for_places(&self.query.filter)) {
            Some(mailbox) => {
                let mut uids: Vec<_> = listed.iter().filter_map(Listed::uid).collect();
                uids.sort_unstable();
                Rows::of_members(self.mail.members_at(self.account, mailbox, &uids).await?)
            }
            None => {
                let ids: Vec<EmailId> = listed.iter().map(|listed| listed.email).collect();
                Rows::of_emails(self.mail.email(self.account, &ids).await?.into_iter().flatten())
            }
        })
    }

    async fn by_rows(&mut self, undecided: &[(usize, Listed, bool)], rows: &Rows) -> Result<(), Error> {
        let mut finder = rows.finder();
        let mut candidates: Vec<Candidate<'_>> = Vec::with_capacity(undecided.len());
        for (at, listed, matches) in undecided {
            // What is not found is gone since the list was read.
            let Some((listed, row)) = finder.find(listed) else { continue };
            let evidence = Evidence { row: Some(row), ..Evidence::listed(listed) };
            let decided = if *matches { Some(true) } else { evidence.decides(&self.query.filter) };
            match decided {
                Some(true) if self.depth <= Depth::Row => self.take(*at, &listed, Some(&row), None, None),
                Some(false) => {}
                decided => {
                    candidates.push(Candidate { at: *at, listed, row, matches: decided.is_some() });
                }
            }
        }
        let threads = match self.query.reads_threads() {
            true => {
                let threads: Vec<ThreadId> = candidates.iter().map(|c| c.listed.thread).collect();
                ThreadKeywords::read(self.mail, self.account, threads).await?
            }
            false => ThreadKeywords::default(),
        };
        let mut deeper = Vec::new();
        for candidate in candidates {
            match self.decides(&candidate, &candidate.evidence(&threads)) {
                Some(true) if self.depth <= Depth::Thread => {
                    self.take(candidate.at, &candidate.listed, Some(&candidate.row), Some(&threads), None);
                }
                Some(false) => {}
                decided => deeper.push(Candidate { matches: decided.is_some(), ..candidate }),
            }
        }
        for candidates in deeper.chunks(RECORDS) {
            if candidates.len() >= RECORDS {
                // Looking inside messages costs processor time: others get their turn now and then.
                tokio::task::yield_now().await;
            }
            self.by_records(candidates, &threads).await?;
        }
        Ok(())
    }

    async fn by_records(
        &mut self,
        candidates: &[Candidate<'_>],
        threads: &ThreadKeywords,
    ) -> Result<(), Error> {
        let ids: Vec<EmailId> = candidates.iter().map(|candidate| candidate.listed.email).collect();
        let records = self.mail.records(self.account, &ids).await?;
        let mut undecided = Vec::new();
        for (candidate, record) in candidates.iter().zip(records) {
            // Gone since its row was read.
            let Some(record) = record else { continue };
            let kept = Kept::of(&record)?;
            let evidence = Evidence {
                kept: Some(&kept),
                attachment: self.attachment(&record)?,
                ..candidate.evidence(threads)
            };
            match self.decides(candidate, &evidence) {
                Some(true) => {
                    self.take(
                        candidate.at,
                        &candidate.listed,
                        Some(&candidate.row),
                        Some(threads),
                        Some(&kept),
                    );
                }
                Some(false) => {}
                None => undecided.push((candidate, record)),
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
        candidates: Vec<(&Candidate<'_>, Record)>,
        threads: &ThreadKeywords,
    ) -> Result<(), Error> {
        let ids: Vec<EmailId> = candidates.iter().map(|(candidate, _)| candidate.listed.email).collect();
        let sources = self.mail.sources(self.account, &ids).await?;
        for ((candidate, record), sealed) in candidates.into_iter().zip(sources) {
            let Some(sealed) = sealed else { continue };
            if self.bench.looked_at >= TURN {
                self.bench.looked_at = 0;
                tokio::task::yield_now().await;
            }
            let kept = Kept::of(&record)?;
            let evidence = Evidence {
                kept: Some(&kept),
                attachment: self.attachment(&record)?,
                ..candidate.evidence(threads)
            };
            let mut message = Opened::new(record.clone());
            message.bring(sealed);
            if self.opened(&mut message, evidence).await? {
                self.take(candidate.at, &candidate.listed, Some(&candidate.row), Some(threads), Some(&kept));
            }
        }
        Ok(())
    }

    /// Opens a message: its header if that may decide, then its body.
    async fn opened(&mut self, message: &mut Opened, evidence: Evidence<'_>) -> Result<bool, Error> {
        let Self { mail, query, bench, needles, .. } = self;
        let mut evidence = evidence;
        let (block, hint);
        let (reads, folds) = headers(query, &evidence);
        if reads {
            block = message.header(mail).await?;
            hint = match block.is_ascii() {
                true => None,
                false => message.tree(mail).await?.charset_hint().map(Cow::into_owned),
            };
            bench.header.clear();
            if folds {
                bench.header.push_header(&block, hint.as_deref());
            }
            bench.looked_at += block.len();
            let seen = HeaderSeen { block: &block, folded: &bench.header, hint: hint.as_deref() };
            evidence.header = Some(seen);
            if let Some(matches) = evidence.decides(&query.filter) {
                return Ok(matches);
            }
        }
        let (contained, looked_at) =
            body_contains(message, needles, query.html, mail, &mut bench.text).await?;
        bench.looked_at += looked_at;
        evidence.body = Some(BodySeen { needles, contained: &contained });
        Ok(evidence.decides(&query.filter).unwrap_or(false))
    }

    fn decides(&self, candidate: &Candidate<'_>, evidence: &Evidence<'_>) -> Option<bool> {
        if candidate.matches { Some(true) } else { evidence.decides(&self.query.filter) }
    }

    /// Whether it has an attachment, if anybody asks.
    fn attachment(&self, record: &Record) -> Result<Option<bool>, Error> {
        let asks = self.query.filter.leaves().into_iter().any(|leaf| matches!(leaf, Leaf::Attachment(_)));
        asks.then(|| record.has_attachment()).transpose()
    }

    fn take(
        &mut self,
        at: usize,
        listed: &Listed,
        row: Option<&Row<'_>>,
        threads: Option<&ThreadKeywords>,
        kept: Option<&Kept<'_>>,
    ) {
        let nothing = ThreadKeywords::default();
        let threads = threads.unwrap_or(&nothing);
        let values = match self.plan.sorted {
            Sorted::Exactly => Vec::new(),
            _ => self.query.sort.iter().map(|order| order.value(listed, row, threads, kept)).collect(),
        };
        let Listed { email, thread, received, .. } = *listed;
        let (uid, modseq) = (listed.uid(), row.map(|row| row.modseq));
        self.found.push(Found { at, values, hit: Hit { email, thread, received, uid, modseq } });
    }
}

impl<'a> Candidate<'a> {
    fn evidence(&self, threads: &'a ThreadKeywords) -> Evidence<'a> {
        Evidence { row: Some(self.row), threads: Some(threads), ..Evidence::listed(self.listed) }
    }
}

/// Whether the whole header may tell more than the record did, and whether all of its text is looked through.
fn headers(query: &Query, evidence: &Evidence<'_>) -> (bool, bool) {
    let (mut reads, mut folds) = (false, false);
    for leaf in query.filter.leaves() {
        match leaf {
            Leaf::Header(_) => (reads, folds) = (true, true),
            Leaf::Field(name, _) => {
                reads |= evidence.kept.is_none_or(|kept| !kept.header.covers([name.as_str()]));
            }
            _ => {}
        }
    }
    (reads, folds)
}
