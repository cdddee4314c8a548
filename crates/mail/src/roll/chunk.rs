//! Some hundred members in a row, as compact as they are kept in memory: 42 octets each.

use std::sync::Arc;

use types::{EmailId, Keyword, Keywords, ModSeq, ThreadId, Timestamp, Uid};

use super::CHUNK;
use crate::view::Member;

/// Members in ascending UIDs. Immutable: a change makes a new one.
pub(super) struct Chunk {
    pub(super) uids: Arc<[Uid]>,
    rows: Box<[Row]>,
    /// The sets of keywords that rows name by their place here.
    sets: Box<[Keywords]>,
    /// Members of which [`Row`] cannot say all, by their place: copies, and those whose thread has changed.
    whole: Box<[(usize, Member)]>,
    /// The highest modseq.
    pub(super) newest: ModSeq,
    /// How many are not `\Seen`.
    pub(super) unseen: usize,
}

/// What almost every member is.
#[derive(Clone, Copy, Default)]
struct Row {
    email: Short,
    thread: Short,
    modseq: Short,
    size: Short,
    received: Short,
    saved: Short,
    /// The set of keywords, and [`DELETED`] and [`WHOLE`].
    flags: u16,
}

const DELETED: u16 = 1 << 15;
/// The member is kept whole elsewhere.
const WHOLE: u16 = 1 << 14;
const SET: u16 = WHOLE - 1;

/// A number below 2^48: enough for the milliseconds of 8,900 years.
#[derive(Clone, Copy, Default)]
struct Short([u8; 6]);

/// A member in a roll.
#[derive(Clone, Copy)]
pub struct Entry<'r> {
    uid: Uid,
    row: &'r Row,
    keywords: &'r Keywords,
    whole: Option<&'r Member>,
}

/// Puts chunks together from members in ascending UIDs.
#[derive(Default)]
pub(super) struct Builder {
    done: Vec<Arc<Chunk>>,
    uids: Vec<Uid>,
    rows: Vec<Row>,
    sets: Vec<Keywords>,
    whole: Vec<(usize, Member)>,
    newest: ModSeq,
    unseen: usize,
    /// The UIDs of the chunk whose place this takes.
    before: Option<Arc<[Uid]>>,
}

impl Chunk {
    pub(super) fn entry(&self, at: usize) -> Option<Entry<'_>> {
        let (uid, row) = (*self.uids.get(at)?, self.rows.get(at)?);
        let keywords = self.sets.get(usize::from(row.flags & SET))?;
        let whole = match row.flags & WHOLE {
            0 => None,
            _ => self.whole.binary_search_by_key(&at, |(place, _)| *place).ok(),
        };
        let whole = whole.and_then(|i| self.whole.get(i)).map(|(_, member)| member);
        Some(Entry { uid, row, keywords, whole })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.uids.len()).filter_map(|at| self.entry(at))
    }

    /// Octets of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let words = |keywords: &Keywords| keywords.iter().map(|k| k.len() + 32).sum::<usize>();
        let sets = self.sets.iter().map(|set| size_of::<Keywords>() + words(set));
        let whole =
            self.whole.iter().map(|(_, member)| size_of::<(usize, Member)>() + words(&member.keywords));
        size_of::<Self>()
            + 64
            + size_of_val(&*self.uids)
            + size_of_val(&*self.rows)
            + sets.sum::<usize>()
            + whole.sum::<usize>()
    }
}

impl<'r> Entry<'r> {
    /// Its UID.
    pub const fn uid(&self) -> Uid {
        self.uid
    }

    /// The email.
    pub fn email(&self) -> EmailId {
        self.whole.map_or(EmailId(self.row.email.get()), |member| member.email)
    }

    /// Names its content: that of a copy is the same (RFC 8474 §5.1).
    pub fn content(&self) -> EmailId {
        self.whole.map_or(EmailId(self.row.email.get()), |member| member.content)
    }

    /// Its thread.
    pub fn thread(&self) -> ThreadId {
        self.whole.map_or(ThreadId(self.row.thread.get()), |member| member.thread)
    }

    /// The thread that its content began in (RFC 8474 §5.2).
    pub fn first_thread(&self) -> ThreadId {
        self.whole.map_or(ThreadId(self.row.thread.get()), |member| member.first_thread)
    }

    /// The modseq of its last change.
    pub fn modseq(&self) -> ModSeq {
        self.whole.map_or(ModSeq(self.row.modseq.get()), |member| member.modseq)
    }

    /// Its keywords.
    pub const fn keywords(&self) -> &'r Keywords {
        self.keywords
    }

    /// `\Deleted` in this mailbox.
    pub const fn deleted(&self) -> bool {
        self.row.flags & DELETED != 0
    }

    /// Octets of the message.
    pub fn size(&self) -> u64 {
        self.whole.map_or(self.row.size.get(), |member| member.size)
    }

    /// When it was received.
    pub fn received(&self) -> Timestamp {
        self.whole.map_or(Timestamp(self.row.received.get()), |member| member.received)
    }

    /// When it was put into the mailbox.
    pub fn saved(&self) -> Timestamp {
        self.whole.map_or(Timestamp(self.row.saved.get()), |member| member.saved)
    }

    /// All of it.
    pub fn member(&self) -> Member {
        if let Some(member) = self.whole {
            return member.clone();
        }
        Member {
            uid: self.uid,
            email: self.email(),
            thread: self.thread(),
            modseq: self.modseq(),
            keywords: self.keywords.clone(),
            deleted: self.deleted(),
            size: self.size(),
            received: self.received(),
            saved: self.saved(),
            content: self.content(),
            first_thread: self.first_thread(),
        }
    }
}

impl Builder {
    /// Adds a member.
    pub(super) fn push(&mut self, member: Member) {
        self.make_room();
        let row = Row::new(&member);
        let flags = self.set(&member.keywords)
            | if member.deleted { DELETED } else { 0 }
            | if row.is_none() { WHOLE } else { 0 };
        self.add(member.uid, Row { flags, ..row.unwrap_or_default() }, member.modseq, &member.keywords);
        if row.is_none() {
            self.whole.push((self.rows.len() - 1, member));
        }
    }

    /// Adds a member that was in a chunk before.
    pub(super) fn push_entry(&mut self, entry: &Entry<'_>) {
        self.make_room();
        let flags = self.set(entry.keywords) | entry.row.flags & !SET;
        self.add(entry.uid, Row { flags, ..*entry.row }, entry.modseq(), entry.keywords);
        if let Some(member) = entry.whole {
            self.whole.push((self.rows.len() - 1, member.clone()));
        }
    }

    /// Adds a chunk as it is.
    pub(super) fn keep(&mut self, chunk: Arc<Chunk>) {
        self.close();
        self.done.push(chunk);
    }

    /// What follows takes the place of a chunk: if its UIDs are the same, their list is shared.
    pub(super) fn replace(&mut self, chunk: &Chunk) {
        self.close();
        self.before = Some(chunk.uids.clone());
    }

    /// The chunks.
    pub(super) fn done(mut self) -> Vec<Arc<Chunk>> {
        self.close();
        self.done
    }

    fn make_room(&mut self) {
        if self.uids.len() >= CHUNK {
            self.close();
        }
    }

    fn close(&mut self) {
        let before = self.before.take();
        if self.uids.is_empty() {
            return;
        }
        let shared = before.filter(|before| before[..] == self.uids[..]);
        self.done.push(Arc::new(Chunk {
            uids: shared.unwrap_or_else(|| self.uids.as_slice().into()),
            rows: self.rows.as_slice().into(),
            sets: std::mem::take(&mut self.sets).into(),
            whole: std::mem::take(&mut self.whole).into(),
            newest: std::mem::take(&mut self.newest),
            unseen: std::mem::take(&mut self.unseen),
        }));
        self.uids.clear();
        self.rows.clear();
    }

    fn add(&mut self, uid: Uid, row: Row, modseq: ModSeq, keywords: &Keywords) {
        self.uids.push(uid);
        self.rows.push(row);
        self.newest = self.newest.max(modseq);
        self.unseen += usize::from(!keywords.contains(Keyword::SEEN));
    }

    /// The place of a set of keywords; that of the last one is the likeliest.
    fn set(&mut self, keywords: &Keywords) -> u16 {
        let place = self.sets.iter().rposition(|set| set == keywords).unwrap_or_else(|| {
            self.sets.push(keywords.clone());
            self.sets.len() - 1
        });
        // A chunk has far fewer members than there are numbers.
        u16::try_from(place).unwrap_or(SET) & SET
    }
}

impl Row {
    /// `None` if a row cannot say it all. The flags are not set yet.
    fn new(member: &Member) -> Option<Self> {
        if member.content != member.email || member.first_thread != member.thread {
            return None;
        }
        Some(Self {
            email: Short::new(member.email.0)?,
            thread: Short::new(member.thread.0)?,
            modseq: Short::new(member.modseq.0)?,
            size: Short::new(member.size)?,
            received: Short::new(member.received.0)?,
            saved: Short::new(member.saved.0)?,
            flags: 0,
        })
    }
}

impl Short {
    fn new(number: u64) -> Option<Self> {
        let [0, 0, rest @ ..] = number.to_be_bytes() else { return None };
        Some(Self(rest))
    }

    const fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}
