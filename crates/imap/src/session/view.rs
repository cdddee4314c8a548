//! The selected mailbox as this session has announced it: which message has which number.
//!
//! The view is a list of UIDs and a modseq. It changes only where a response has told the client: UIDs are
//! added with EXISTS and removed with EXPUNGE, so a number means the same message for both sides throughout a
//! command. What changed in the mailbox since then is asked of `mail`, which keeps the members of mailboxes in memory
//! for all sessions; a notification says when it is worth looking, never what happened, so lost and doubled ones do no
//! harm. Of a mailbox that is too large for that, changes are read from the account's change log.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use mail::{Current, Mail, MailboxChanges, Member, Roll, Subscription, UidList};
use types::{AccountId, Keywords, MailboxId, ModSeq, Uid};

use super::error::Error;
use super::user::Syncs;
use crate::wire::response::{self, Code, Condition, Output, Reply};
use crate::wire::{Flag, MessageSet, ResultRange, SequenceSet, Unit};

/// System flags, and the keywords that are announced before anybody uses them.
const FLAGS: &str = "\\Answered \\Flagged \\Deleted \\Seen \\Draft \
                     $Forwarded $Junk $NotJunk $MDNSent $Phishing $Important $SubmitPending $Submitted";

/// A selected mailbox.
pub(crate) struct View {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) read_only: bool,
    /// Tells when to look for changes.
    pub(crate) news: Subscription,
    /// What the last search saved for `$`, ascending.
    pub(crate) saved: Vec<Uid>,
    /// What the client has been told, ascending; the index is the sequence number less one.
    uids: UidList,
    /// How the mailbox is, as this command has seen it.
    current: Option<Current>,
    /// The highest UID that was ever seen in the mailbox.
    last_uid: Uid,
    /// Up to where changes have been taken in.
    modseq: ModSeq,
    /// The mailbox's highest modseq at that point.
    latest: ModSeq,
    /// The highest modseq up to which the client has been told of everything.
    highest: ModSeq,
    /// Whether VANISHED takes the place of EXPUNGE (RFC 7162 §3.2.10).
    vanishes: bool,
    /// Whether the client was not told of all changed flags, because it does not want to hear of them.
    passed_over: bool,
    /// Whether the client cannot work out the highest modseq from what it was told.
    owes_modseq: bool,
    /// Gone, but not yet announced.
    removed: BTreeSet<Uid>,
    /// Flags to be announced, ascending.
    changed: Vec<Uid>,
    /// What this session has told about its own changes, until the change log is read.
    told: HashMap<Uid, ModSeq>,
    /// Keywords beyond [`FLAGS`] that FLAGS has announced.
    keywords: BTreeSet<String>,
}

/// Messages that a command names: index ranges into the view, ascending.
#[derive(Debug)]
pub(crate) struct Picked {
    ranges: VecDeque<Range<usize>>,
}

/// A sequence number and the UID that it stands for.
pub(crate) type Numbered = (u32, Uid);

impl View {
    /// The view that SELECT announces, and how the mailbox is.
    pub(crate) async fn open(
        mail: &Mail,
        (account, mailbox): (AccountId, MailboxId),
        read_only: bool,
        syncs: Syncs,
        news: Subscription,
    ) -> Result<(Self, Current), Error> {
        let mut current = mail.current(account, mailbox).await?;
        let (uids, modseq) = match &current.roll {
            Some(roll) => (roll.uids().clone(), roll.modseq()),
            None => {
                let mail::Selected { info, modseq, uids } = mail.select(account, mailbox).await?;
                let (uidvalidity, uidnext) = (info.uidvalidity, info.uidnext);
                current = Current { uidvalidity, uidnext, modseq: info.modseq, roll: None };
                (UidList::new(&uids), modseq)
            }
        };
        let last = Uid(current.uidnext.0.saturating_sub(1));
        let view = Self {
            account,
            mailbox,
            read_only,
            news,
            saved: Vec::new(),
            last_uid: uids.last().unwrap_or_default().max(last),
            latest: current.modseq,
            highest: current.modseq,
            vanishes: syncs == Syncs::QResync,
            passed_over: false,
            owes_modseq: false,
            uids,
            current: Some(current.clone()),
            modseq,
            removed: BTreeSet::new(),
            changed: Vec::new(),
            told: HashMap::new(),
            keywords: BTreeSet::new(),
        };
        Ok((view, current))
    }

    /// A command begins, or waits for a client: what was seen of the mailbox is of yesterday.
    pub(crate) fn forget(&mut self) {
        self.current = None;
    }

    /// The mailbox's members as they are since this command began, in memory; `None` if they are too many.
    pub(crate) async fn roll(&mut self, mail: &Mail) -> Result<Option<Arc<Roll>>, Error> {
        if self.current.is_none() {
            self.current = Some(self.look(mail).await?);
        }
        Ok(self.current.as_ref().and_then(|current| current.roll.clone()))
    }

    async fn look(&self, mail: &Mail) -> Result<Current, Error> {
        match mail.current(self.account, self.mailbox).await {
            Err(mail::Error::NoSuchMailbox) => Err(Error::Deleted),
            current => Ok(current?),
        }
    }

    /// How many messages the client knows of.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The UIDs of the messages that the client knows of.
    pub(crate) const fn known(&self) -> &UidList {
        &self.uids
    }

    /// The messages that a set names.
    pub(crate) fn pick(&self, unit: Unit, set: &MessageSet) -> Result<Picked, Error> {
        let ranges = match (set, unit) {
            (MessageSet::Saved, _) => runs(self.saved.iter().filter_map(|uid| self.index(*uid))),
            (MessageSet::Numbers(set), Unit::Sequence) => {
                let beyond = set.largest().is_some_and(|n| n > self.len());
                if beyond || (set.has_star() && self.uids.is_empty()) {
                    return Err(Error::BeyondEnd(self.len()));
                }
                self.by_number(set)
            }
            (MessageSet::Numbers(set), Unit::Uid) => self.by_uid(set),
        };
        Ok(Picked { ranges })
    }

    /// The messages that a set names; numbers beyond the end name none.
    pub(crate) fn pick_leniently(&self, unit: Unit, set: &MessageSet) -> Picked {
        match (set, unit) {
            (MessageSet::Numbers(set), Unit::Sequence) => Picked { ranges: self.by_number(set) },
            _ => self.pick(unit, set).unwrap_or(Picked { ranges: VecDeque::new() }),
        }
    }

    /// All messages.
    pub(crate) fn all(&self) -> Picked {
        Picked { ranges: std::iter::once(0..self.uids.len()).collect() }
    }

    fn by_number(&self, set: &SequenceSet) -> VecDeque<Range<usize>> {
        let end = |n: u32| (n as usize).min(self.uids.len());
        let ranges = set.resolve(self.len()).into_iter();
        ranges
            .map(|(first, last)| end(first.saturating_sub(1))..end(last))
            .filter(|r| !r.is_empty())
            .collect()
    }

    fn by_uid(&self, set: &SequenceSet) -> VecDeque<Range<usize>> {
        let largest = self.uids.last().map_or(0, |uid| uid.0);
        let ranges = set.resolve(largest).into_iter();
        let end = |last: u32| last.checked_add(1).map_or(self.uids.len(), |next| self.uids.below(Uid(next)));
        ranges.map(|(first, last)| self.uids.below(Uid(first))..end(last)).filter(|r| !r.is_empty()).collect()
    }

    fn index(&self, uid: Uid) -> Option<usize> {
        self.uids.index(uid)
    }

    /// The sequence number of a message that the client knows of.
    pub(crate) fn number(&self, uid: Uid) -> Option<u32> {
        self.index(uid).and_then(|i| u32::try_from(i + 1).ok())
    }

    /// The UID of the message with a sequence number.
    pub(crate) fn uid_at(&self, number: u32) -> Option<Uid> {
        self.uids.get(number.checked_sub(1)? as usize)
    }

    /// The UIDs of messages from one UID to another, both included.
    pub(crate) fn between(&self, first: Uid, last: Uid) -> impl Iterator<Item = Uid> {
        let from = self.uids.below(first);
        self.uids.range(from..self.uids.len()).take_while(move |uid| *uid <= last)
    }

    /// Those of `uids`, which ascend, that the client knows of and that are among `picked`.
    pub(crate) fn picked_of(&self, uids: impl Iterator<Item = Uid>, picked: &Picked) -> Picked {
        let is_picked = |index: &usize| {
            let at = picked.ranges.partition_point(|range| range.end <= *index);
            picked.ranges.get(at).is_some_and(|range| range.contains(index))
        };
        Picked { ranges: runs(uids.filter_map(|uid| self.index(uid)).filter(is_picked)) }
    }

    /// The highest UID that the mailbox has given out, as far as the client can know.
    pub(crate) const fn last_uid(&self) -> u32 {
        self.last_uid.0
    }

    /// The highest modseq up to which the client has been told of everything.
    pub(crate) const fn highest(&self) -> ModSeq {
        self.highest
    }

    /// The mailbox's highest modseq as far as the change log has been read.
    pub(crate) const fn latest(&self) -> ModSeq {
        self.latest
    }

    /// Whether the change log has been read beyond a modseq.
    pub(crate) fn has_read(&self, modseq: ModSeq) -> bool {
        modseq <= self.modseq
    }

    /// All changed flags have been told.
    pub(crate) fn settle(&mut self) {
        if self.removed.is_empty() && !self.passed_over {
            self.highest = self.latest;
        }
    }

    /// Leaves changed flags untold.
    pub(crate) fn pass_over(&mut self) {
        self.passed_over |= !self.changed.is_empty();
        self.changed = Vec::new();
        self.told = HashMap::new();
    }

    /// Whether messages have left of which the client has not been told.
    pub(crate) fn owes_removed(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Messages have left: a client that follows modseqs must hear up to where it knows of everything.
    pub(crate) const fn owe_modseq(&mut self) {
        self.owes_modseq = self.vanishes;
    }

    /// Tells the client that it knows of less than the modseqs that it saw.
    pub(crate) fn hold_back(&mut self, out: &mut Output) {
        if self.vanishes {
            let code = Code::HighestModSeq(self.highest);
            Reply::ok("there is more to tell").code(code).write_untagged(out);
            self.owes_modseq = true;
        }
    }

    /// Adds HIGHESTMODSEQ to a command's answer where the client needs it (RFC 7162 §§3.2, 3.2.7).
    pub(crate) fn conclude(&mut self, reply: Reply, out: &mut Output) -> Reply {
        if self.vanishes && !self.removed.is_empty() {
            self.hold_back(out);
            return reply;
        }
        if !std::mem::take(&mut self.owes_modseq) {
            return reply;
        }
        let code = Code::HighestModSeq(self.highest);
        if reply.condition == Condition::Ok && reply.code.is_none() {
            return reply.code(code);
        }
        Reply::ok("nothing is left to tell").code(code).write_untagged(out);
        reply
    }

    /// Takes the next messages out of `picked`.
    pub(crate) fn page(&self, picked: &mut Picked, limit: usize) -> Vec<Numbered> {
        let mut page = Vec::new();
        while let Some(range) = picked.ranges.front_mut() {
            let end = range.end.min(range.start.saturating_add(limit - page.len()));
            let first = u32::try_from(range.start + 1).unwrap_or(u32::MAX);
            page.extend((first..).zip(self.uids.range(range.start..end)));
            range.start = end;
            if range.start >= range.end {
                picked.ranges.pop_front();
            }
            if page.len() >= limit {
                break;
            }
        }
        page
    }

    /// All UIDs of `picked`.
    pub(crate) fn uids(&self, mut picked: Picked) -> Vec<Uid> {
        self.page(&mut picked, usize::MAX).into_iter().map(|(_, uid)| uid).collect()
    }

    /// The rows of these messages, which ascend; those that are gone are left out.
    pub(crate) async fn members(
        &mut self,
        mail: &Mail,
        page: &[Numbered],
    ) -> Result<Vec<(u32, Member)>, Error> {
        if page.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(roll) = self.roll(mail).await? {
            let mut finder = roll.finder();
            let found = page.iter().filter_map(|(number, uid)| Some((*number, finder.find(*uid)?.member())));
            return Ok(found.collect());
        }
        let members = self.read(mail, page).await?;
        let number = |uid| page.binary_search_by_key(&uid, |(_, u)| *u).ok().and_then(|i| page.get(i));
        Ok(members.into_iter().filter_map(|m| Some((number(m.uid)?.0, m))).collect())
    }

    /// A roll that has these messages, which ascend; those that are gone are not in it.
    pub(crate) async fn rows(&mut self, mail: &Mail, page: &[Numbered]) -> Result<Arc<Roll>, Error> {
        match self.roll(mail).await? {
            Some(roll) => Ok(roll),
            None => Ok(Arc::new(Roll::of(self.read(mail, page).await?))),
        }
    }

    async fn read(&self, mail: &Mail, page: &[Numbered]) -> Result<Vec<Member>, Error> {
        let ((first, from), (last, to)) = match page {
            [one] => (*one, *one),
            [first, .., last] => (*first, *last),
            [] => return Ok(Vec::new()),
        };
        let contiguous = (last - first) as usize + 1 == page.len();
        if contiguous && page.len() > 1 {
            return Ok(mail.members(self.account, self.mailbox, from, to, page.len()).await?);
        }
        let uids: Vec<Uid> = page.iter().map(|(_, uid)| *uid).collect();
        Ok(mail.members_at(self.account, self.mailbox, &uids).await?)
    }

    /// Remembers that the client hears of this change in a command's own answer (or asked not to).
    pub(crate) fn told(&mut self, member: &Member) {
        self.told.insert(member.uid, member.modseq);
    }

    /// Takes in what has changed up to now and tells which messages there are: EXPUNGE if the command allows it,
    /// EXISTS if there are more. Changed flags follow by [`Self::changed`].
    pub(crate) async fn refresh(
        &mut self,
        mail: &Mail,
        expunge: bool,
        out: &mut Output,
    ) -> Result<(), Error> {
        let known = self.uids.len();
        let current = self.look(mail).await?;
        match &current.roll {
            Some(roll) => self.compare(roll, &current),
            None => self.follow(mail).await?,
        }
        let mut expected = known;
        if expunge && !self.removed.is_empty() {
            expected -= self.removed.len();
            self.tell_removed(out);
            self.uids = self.uids.without(&self.removed);
            self.saved.retain(|uid| !self.removed.contains(uid));
            self.removed.clear();
        }
        if let Some(roll) = current.roll.as_ref().filter(|_| self.removed.is_empty()) {
            // The same UIDs: from here on they share their memory.
            self.uids = roll.uids().clone();
        }
        if self.uids.len() != expected {
            response::exists(self.len(), out);
        }
        self.current = Some(current);
        Ok(())
    }

    /// Takes in what is different in the mailbox as it is now.
    fn compare(&mut self, roll: &Roll, current: &Current) {
        let known = self.uids.last();
        self.removed = self.uids.minus(roll.uids()).into_iter().collect();
        if roll.modseq() > self.modseq {
            let changed = roll.changed_since(self.modseq).into_iter();
            self.changed.extend(changed.take_while(|uid| Some(*uid) <= known));
        }
        let from = known.map_or(0, |last| roll.uids().below(last.next()));
        self.add(roll.uids().range(from..roll.len()).collect());
        self.last_uid = self.last_uid.max(Uid(current.uidnext.0.saturating_sub(1)));
        self.modseq = self.modseq.max(roll.modseq());
        self.latest = self.latest.max(current.modseq);
    }

    /// Reads the change log up to now.
    async fn follow(&mut self, mail: &Mail) -> Result<(), Error> {
        match mail.mailbox_changes(self.account, self.mailbox, self.modseq).await {
            Ok(changes) => self.take_in(changes),
            Err(mail::Error::CannotCalculateChanges) => self.start_over(mail).await,
            Err(mail::Error::NoSuchMailbox) => Err(Error::Deleted),
            Err(error) => Err(error.into()),
        }
    }

    fn tell_removed(&mut self, out: &mut Output) {
        if self.vanishes {
            let uids = SequenceSet::from_ascending(self.removed.iter().map(|uid| uid.0));
            response::vanished(false, &uids.resolve(0), out);
            self.owes_modseq = true;
            return;
        }
        for number in self.removed.iter().rev().filter_map(|uid| self.number(*uid)) {
            response::expunged(number, out);
        }
    }

    fn take_in(&mut self, changes: MailboxChanges) -> Result<(), Error> {
        if changes.gone {
            return Err(Error::Deleted);
        }
        self.modseq = changes.to;
        self.latest = changes.modseq.unwrap_or(self.latest);
        let known = changes.removed.into_iter().filter(|uid| self.uids.index(*uid).is_some());
        self.removed.extend(known);
        self.changed.extend(changes.changed);
        self.add(changes.added);
        Ok(())
    }

    /// The change log does not reach back: compares with the mailbox as it is.
    async fn start_over(&mut self, mail: &Mail) -> Result<(), Error> {
        let now = match mail.select(self.account, self.mailbox).await {
            Err(mail::Error::NoSuchMailbox) => return Err(Error::Deleted),
            now => now?,
        };
        self.modseq = now.modseq;
        self.latest = now.info.modseq;
        self.removed.extend(self.uids.iter().filter(|uid| now.uids.binary_search(uid).is_err()));
        self.changed = self.uids.iter().filter(|uid| !self.removed.contains(uid)).collect();
        self.told.clear();
        self.add(now.uids);
        Ok(())
    }

    /// Appends what is new. UIDs ascend, so what is not above the last one is known already.
    fn add(&mut self, mut added: Vec<Uid>) {
        added.sort_unstable();
        self.last_uid = added.last().copied().unwrap_or_default().max(self.last_uid);
        let last = self.uids.last();
        let new: Vec<Uid> = added.into_iter().filter(|uid| Some(*uid) > last).collect();
        self.uids = self.uids.followed_by(&new);
    }

    /// The next messages whose flags are to be announced; empty when that is done.
    pub(crate) async fn changed(&mut self, mail: &Mail, limit: usize) -> Result<Vec<(u32, Member)>, Error> {
        while !self.changed.is_empty() {
            let page: Vec<Uid> = self.changed.drain(..limit.min(self.changed.len())).collect();
            let mut page: Vec<Numbered> =
                page.into_iter().filter_map(|uid| Some((self.number(uid)?, uid))).collect();
            page.sort_unstable();
            page.dedup();
            let mut members = self.members(mail, &page).await?;
            members.retain(|(_, m)| self.told.get(&m.uid).is_none_or(|told| *told != m.modseq));
            if !members.is_empty() {
                return Ok(members);
            }
        }
        self.told.clear();
        self.changed.shrink_to(1024);
        Ok(Vec::new())
    }

    /// The flags that FLAGS announces.
    pub(crate) fn flags(&self) -> String {
        let mut flags = FLAGS.to_owned();
        for keyword in &self.keywords {
            flags.push(' ');
            flags.push_str(keyword);
        }
        flags
    }

    /// Announces keywords that the client has not heard of, before a response shows them.
    pub(crate) fn learn(&mut self, member: &Member, out: &mut Output) {
        self.learn_keywords(&member.keywords, out);
    }

    /// The same for a set of keywords.
    pub(crate) fn learn_keywords(&mut self, keywords: &Keywords, out: &mut Output) {
        /// Beyond this many, FLAGS is no longer kept up to date.
        const MOST: usize = 500;
        let known = |flag: &str| FLAGS.split(' ').any(|known| known == flag);
        let before = self.keywords.len();
        for keyword in keywords.iter() {
            let flag = Flag::spell(keyword);
            if !known(flag) && self.keywords.len() < MOST && !self.keywords.contains(flag) {
                self.keywords.insert(flag.to_owned());
            }
        }
        if self.keywords.len() != before {
            response::flags(&self.flags(), out);
        }
    }
}

impl Picked {
    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Some of them, counted from the first or the last (RFC 9394 §3.3).
    pub(crate) fn part(self, range: ResultRange) -> Self {
        let mut wanted = range.of(self.len());
        let mut ranges = VecDeque::new();
        for range in self.ranges {
            let part = range.start + wanted.start.min(range.len())..range.start + wanted.end.min(range.len());
            wanted = wanted.start.saturating_sub(range.len())..wanted.end.saturating_sub(range.len());
            ranges.extend(Some(part).filter(|part| !part.is_empty()));
        }
        Self { ranges }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Inclusive ranges of sequence numbers.
    pub(crate) fn numbers(&self) -> Vec<(u32, u32)> {
        let number = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
        self.ranges.iter().filter(|r| !r.is_empty()).map(|r| (number(r.start + 1), number(r.end))).collect()
    }
}

/// Ascending indexes as ranges.
fn runs(indexes: impl Iterator<Item = usize>) -> VecDeque<Range<usize>> {
    let mut runs: VecDeque<Range<usize>> = VecDeque::new();
    for index in indexes {
        match runs.back_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push_back(index..index + 1),
        }
    }
    runs
}
