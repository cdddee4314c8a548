//! Handing out work where destinations matter: what is due goes to a worker, or into its destination's line; lines give
//! back a probe, or as many as there is room for.
//!
//! One step is one transaction of bounded size. Whoever is handed nothing but has moved something looks again, so that
//! nobody sleeps while something is due.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use futures::try_join;
use store::kv::{KeyRange, Range, Table, Transaction, after_key, decode};

use super::{
    LINE_SHARDS, LineOrder, LineOrderKey, LineRecord, Lines, PlaceKey, PlaceRecord, Places, Standstill,
    behind,
};
use crate::claim::{Lease, Terms, is_due};
use crate::clock::Moment;
use crate::record::{EntryRecord, LegRecord, LegState};
use crate::table::{DueKey, Dues, Entries, LegKey, Legs};
use crate::{EntryId, Errand, Error, Queue};

/// Legs and lines of a shard that one step looks at.
const LEGS_OF_A_SHARD: usize = 32;
const LINES_OF_A_SHARD: usize = 16;
/// The most leases that one step hands out.
const LEASES: usize = 256;
/// Steps in a row that may hand out nothing. A worker has more to do than to claim: neither a long backlog nor what is due
/// for ever by a mistake may keep it from that.
const EMPTY_STEPS: usize = 256;
/// Bytes written after which a step ends: far below what a transaction may hold.
const BYTES: usize = 4_000_000;

impl Queue {
    /// Takes up to `most` legs whose time has come, for one lease. `capacity` says of a destination how many more legs
    /// this node can take for it now; it may be asked again for the same one. What is due for a destination that has no
    /// room, fails or is held goes into its line. `holder` is a name for the history.
    ///
    /// Returns nothing only if nothing is due any more that this node could do something with, or after many steps that
    /// had nothing to hand out; then [`Queue::wait`] resolves at once.
    ///
    /// One commit for up to 512 legs that are looked at; none if nothing is due.
    pub async fn claim_for(
        &self,
        holder: &str,
        most: usize,
        capacity: &(impl Fn(&str) -> usize + Sync),
    ) -> Result<Vec<Lease>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let most = most.min(LEASES);
        for _ in 0..EMPTY_STEPS {
            let step = self.kv().run(|tx| self.step(tx, holder, most, capacity)).await?;
            if !step.leases.is_empty() || !step.moved {
                return Ok(step.leases);
            }
        }
        tracing::warn!(steps = EMPTY_STEPS, "much is due in the queue that nobody can be given yet");
        Ok(Vec::new())
    }

    /// Takes up to `most` more legs from a destination's line, the oldest first: for a worker that has a connection to
    /// it, or room. Nothing if the destination has no line, fails, or is held. One range read.
    pub async fn next_in_line(
        &self,
        holder: &str,
        destination: &str,
        most: usize,
    ) -> Result<Vec<Lease>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let most = most.min(LEASES);
        self.kv()
            .run(|tx| async move {
                let Some(line) = self.line(&tx, destination).await? else { return Ok(Vec::new()) };
                if line.why != Standstill::Busy {
                    return Ok(Vec::new());
                }
                let now = self.clock().now(&tx).await?;
                let mut step = Step::new(self, &tx, holder, now, most);
                step.hand_out(destination, &line, most, None).await?;
                let after = (!step.emptied).then(|| {
                    let mut after = line.clone();
                    // Not at each call: whoever puts something into the line would have to do it again.
                    if after.next.is_none_or(|next| next.since(now) < self.options().busy / 2) {
                        after.next = Some(now.plus(self.options().busy));
                    }
                    after
                });
                if after.as_ref() != Some(&line) {
                    self.save_line(&tx, destination, Some(&line), after.as_ref())?;
                }
                Ok(step.leases)
            })
            .await
    }

    async fn step(
        &self,
        tx: Transaction,
        holder: &str,
        most: usize,
        capacity: &(impl Fn(&str) -> usize + Sync),
    ) -> Result<Stepped, Error> {
        let time = tx.snapshot_get(self.clock().key()).await?;
        // Nothing was ever enqueued.
        if time.is_none() {
            return Ok(Stepped::default());
        }
        let now = self.clock().peek(&tx).await?;
        let (mut legs, lines) = try_join!(self.due(&tx, now, LEGS_OF_A_SHARD), self.due_lines(&tx, now))?;
        if legs.is_empty() && lines.is_empty() {
            return Ok(Stepped::default());
        }
        let now = self.clock().now_from(&tx, time)?;
        legs.sort_unstable();
        // Neither what comes anew nor what stands in line waits for all of the other.
        let for_lines = if legs.is_empty() { most } else { most.div_ceil(2) };
        let mut step = Step::new(self, &tx, holder, now, for_lines);
        let mut places = Destinations { found: BTreeMap::new(), capacity };
        step.lines(lines, &mut places).await?;
        step.most = most;
        step.legs(legs, &mut places).await?;
        for (destination, place) in places.found {
            if place.before != place.after {
                tx.conflict_on(KeyRange::key(&self.line_key(&destination)))?;
                self.save_line(&tx, &destination, place.before.as_ref(), place.after.as_ref())?;
            }
        }
        Ok(Stepped { leases: step.leases, moved: step.moved })
    }

    /// The lines whose time has come.
    async fn due_lines(&self, tx: &Transaction, now: Moment) -> Result<Vec<LineOrderKey>, Error> {
        let found = (0..LINE_SHARDS).map(|shard| {
            let range = LineOrder::until(self.kind(), shard, now);
            tx.rows::<LineOrder>(Range::new(range).limit(LINES_OF_A_SHARD).snapshot().drained()).all()
        });
        let found = try_join_all(found).await?;
        let mut lines: Vec<LineOrderKey> = found.into_iter().flatten().map(|(key, _)| key).collect();
        lines.sort_unstable();
        Ok(lines)
    }
}

#[derive(Default)]
struct Stepped {
    leases: Vec<Lease>,
    moved: bool,
}

/// What a step knows of a destination.
struct Destination {
    before: Option<LineRecord>,
    after: Option<LineRecord>,
    /// How many more legs it can take.
    room: usize,
}

/// The destinations that a step has met.
struct Destinations<'c, C> {
    found: BTreeMap<String, Destination>,
    capacity: &'c C,
}

impl<C: Fn(&str) -> usize> Destinations<'_, C> {
    fn meet(&mut self, name: &str, line: Option<LineRecord>) -> &mut Destination {
        let capacity = self.capacity;
        self.found.entry(name.to_owned()).or_insert_with(|| Destination {
            before: line.clone(),
            after: line,
            room: capacity(name),
        })
    }
}

/// What becomes of a leg that is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// A worker gets it.
    Take(Errand),
    /// It goes into its destination's line.
    Stand,
    /// It is looked at again at this moment, and stands where it stood.
    Postpone(Moment),
    /// It waits by itself for there to be room.
    Wait(Moment),
}

/// A step of a claim: one transaction.
struct Step<'s> {
    queue: &'s Queue,
    tx: &'s Transaction,
    holder: &'s str,
    now: Moment,
    most: usize,
    leases: Vec<Lease>,
    /// Whether anything was written that another look may build on.
    moved: bool,
    /// Whether the line that was taken from last has nobody left.
    emptied: bool,
}

impl<'s> Step<'s> {
    const fn new(queue: &'s Queue, tx: &'s Transaction, holder: &'s str, now: Moment, most: usize) -> Self {
        Self { queue, tx, holder, now, most, leases: Vec::new(), moved: false, emptied: false }
    }

    const fn wanted(&self) -> usize {
        self.most.saturating_sub(self.leases.len())
    }

    /// Hands out a probe of each line that fails, and what there is room for of each other one.
    async fn lines<C: Fn(&str) -> usize>(
        &mut self,
        due: Vec<LineOrderKey>,
        destinations: &mut Destinations<'_, C>,
    ) -> Result<(), Error> {
        let keys = due.iter().map(|due| self.queue.line_key(&due.destination)).collect();
        let rows = self.tx.get_many(keys).await?;
        for (due, row) in due.into_iter().zip(rows) {
            if self.wanted() == 0 {
                break;
            }
            let name = due.destination.as_str();
            let line = row.map(|row| decode::<Lines>(&self.queue.line_key(name), &row)).transpose()?;
            let Some(line) = line.filter(|line| line.next == Some(due.next)) else {
                tracing::error!(destination = name, "a time in the order of lines belongs to no line");
                self.tx.remove::<LineOrder>(&due)?;
                self.moved = true;
                continue;
            };
            let mut after = line.clone();
            let destination = destinations.meet(name, Some(line.clone()));
            let most = match line.why {
                Standstill::Failing => destination.room.min(1),
                Standstill::Busy => destination.room.min(self.wanted()),
                Standstill::Held => 0,
            };
            let (before, leases) = (self.moved, self.leases.len());
            after.next = match line.why {
                // If nobody says what came of it, somebody else is tried.
                Standstill::Failing if most > 0 => Some(self.now.plus(self.queue.options().lease)),
                Standstill::Held => None,
                _ => Some(self.now.plus(self.queue.options().busy)),
            };
            if most > 0 {
                let probed = line.probed.filter(|_| line.why == Standstill::Failing);
                self.hand_out(name, &line, most, probed).await?;
                let handed = self.leases.len() - leases;
                destination.room = destination.room.saturating_sub(handed);
                if line.why == Standstill::Failing
                    && let Some(probe) = self.leases.last_mut().filter(|_| handed > 0)
                {
                    probe.is_probe = true;
                    let (_, id, leg) = probe.key;
                    let since = probe.since();
                    after.probed = Some(PlaceRecord { since, id: id.0, leg });
                } else if self.emptied && after.is_fresh(self.queue, self.now) {
                    // Its only message is out to try it, or has left by itself: what was learnt holds for who comes next.
                    self.emptied = false;
                    after.next = Some(self.now.plus(after.pause(self.queue).max(self.queue.options().lease)));
                } else if !self.emptied && destination.room > 0 && self.wanted() == 0 {
                    // There is room for more than were wanted: next time at once.
                    after.next = line.next;
                }
            }
            destination.after = (most == 0 || !self.emptied).then_some(after);
            // That there was no room here is nothing to build on.
            self.moved = before || most > 0;
        }
        Ok(())
    }

    /// Takes legs out of a line, from behind a place on, and from its beginning if there is nobody.
    async fn hand_out(
        &mut self,
        name: &str,
        line: &LineRecord,
        most: usize,
        probed: Option<PlaceRecord>,
    ) -> Result<(), Error> {
        let kind = self.queue.kind();
        let whole = Places::of(kind, name);
        let rest = behind(probed, kind, name).map(|place| {
            let mut rest = whole.clone();
            rest.begin = after_key(&Places::key(&place));
            rest
        });
        let mut places: Vec<PlaceKey> = Vec::new();
        self.emptied = false;
        for range in rest.into_iter().chain([whole]) {
            let rows = self
                .tx
                .rows::<Places>(Range::new(range).limit(most.saturating_add(1)).drained())
                .all()
                .await?;
            // A probe leaves its line for others to come after it.
            self.emptied = rows.len() <= most && line.why == Standstill::Busy || rows.is_empty();
            places = rows.into_iter().map(|(place, _)| place).take(most).collect();
            if !places.is_empty() {
                break;
            }
        }
        let legs = self.read(places.iter().map(PlaceKey::leg_key).collect()).await?;
        for (place, (leg, entry)) in places.into_iter().zip(legs) {
            let key = place.leg_key();
            let Some(before) = leg.filter(|leg| super::place(key, leg).as_ref() == Some(&place)) else {
                tracing::error!(id = %place.id, leg = place.leg, "a place in a line belongs to no message");
                self.tx.remove::<Places>(&place)?;
                self.moved = true;
                continue;
            };
            let entry = entry.ok_or_else(|| missing(place.id))?;
            self.take(key, entry, (&before, before.clone()), Errand::Attempt, Some(line))?;
        }
        Ok(())
    }

    /// Hands out what is due, or puts it where it has to wait.
    async fn legs<C: Fn(&str) -> usize>(
        &mut self,
        due: Vec<DueKey>,
        destinations: &mut Destinations<'_, C>,
    ) -> Result<(), Error> {
        let legs = self.read(due.iter().map(DueKey::leg_key).collect()).await?;
        self.meet_all(legs.iter().filter_map(|(leg, _)| leg.as_ref()), destinations).await?;
        for (due, (leg, entry)) in due.into_iter().zip(legs) {
            if self.tx.size() > BYTES {
                self.moved = true;
                break;
            }
            // It was in a line that has just given it to somebody.
            if self.leases.iter().any(|lease| lease.key == due.leg_key()) {
                continue;
            }
            let Some(before) = leg.filter(|leg| is_due(leg, due.due)) else {
                // It leads nowhere, and would be found for ever.
                tracing::error!(id = %due.id, leg = due.leg, "a due time in the queue belongs to no message");
                self.tx.remove::<Dues>(&due)?;
                self.moved = true;
                continue;
            };
            let entry = entry.ok_or_else(|| missing(due.id))?;
            let destination = destinations.meet(&before.destination, None);
            self.leg(due.leg_key(), entry, before, destination)?;
        }
        Ok(())
    }

    fn leg(
        &mut self,
        key: LegKey,
        entry: EntryRecord,
        before: LegRecord,
        destination: &mut Destination,
    ) -> Result<(), Error> {
        let mut leg = before.clone();
        if self.queue.has_lost_too_many(&mut leg) {
            if self.queue.may_be_told_of_lost(&leg, &entry.origin.sender) {
                if self.wanted() == 0 {
                    return Ok(());
                }
                self.queue.say_lost(&mut leg);
                return self.take(key, entry, (&before, leg), Errand::GiveUp, None);
            }
            self.queue.fail_lost(&mut leg, self.now);
            self.moved = true;
            return Ok(self.queue.save_leg(self.tx, key, Some(&before), Some(&leg))?);
        }
        match self.turn(&leg, destination) {
            Turn::Take(errand) => {
                if self.wanted() == 0 {
                    return Ok(());
                }
                if errand == Errand::Attempt {
                    destination.room -= 1;
                }
                let line = destination.after.clone();
                return self.take(key, entry, (&before, leg), errand, line.as_ref());
            }
            Turn::Stand => {
                leg.stand();
                self.stand_behind(&leg.destination, destination)?;
            }
            Turn::Postpone(until) => (leg.state, leg.due) = (LegState::Waiting, until),
            Turn::Wait(until) => leg.wait(until),
        }
        self.moved = true;
        Ok(self.queue.save_leg(self.tx, key, Some(&before), Some(&leg))?)
    }

    /// Whose turn it is.
    fn turn(&self, leg: &LegRecord, destination: &Destination) -> Turn {
        let options = self.queue.options();
        let line = destination.after.as_ref().map(|line| line.why);
        let held = line == Some(Standstill::Held);
        let stands = leg.line && leg.state == LegState::Waiting && line.is_some();
        if !stands && leg.is_tried_at(self.now) {
            let passes = leg.released || leg.past && !held;
            return match line {
                _ if passes && destination.room > 0 => Turn::Take(Errand::Attempt),
                // Waiting by itself it would be looked at for its deadline, which is over: at once, and for ever.
                _ if passes && leg.is_expired(self.now) => Turn::Postpone(self.now.plus(options.busy)),
                _ if passes => Turn::Wait(self.now.plus(options.busy)),
                None if destination.room > 0 => Turn::Take(Errand::Attempt),
                Some(Standstill::Failing) if leg.is_expired(self.now) => Turn::Take(Errand::GiveUp),
                _ => Turn::Stand,
            };
        }
        // Who holds a destination wants nothing to be lost by it, and what only waits for room has its turn.
        if stands && leg.is_expired(self.now) && line == Some(Standstill::Failing) {
            return Turn::Take(Errand::GiveUp);
        }
        if leg.is_late(self.now) {
            return Turn::Take(Errand::Warn);
        }
        if !stands {
            return Turn::Wait(leg.next.unwrap_or(self.now));
        }
        let next = leg.deadline().filter(|deadline| *deadline > self.now);
        Turn::Postpone(next.unwrap_or_else(|| self.now.plus(options.schedule.longest)))
    }

    /// Sees to it that there is a line to stand in, and that it moves if there is room.
    fn stand_behind(&self, name: &str, destination: &mut Destination) -> Result<(), Error> {
        // It must still be there when this is committed.
        self.tx.conflict_on(KeyRange::key(&self.queue.line_key(name)))?;
        let busy = self.now.plus(self.queue.options().busy);
        let line = destination.after.get_or_insert_with(|| LineRecord::busy(self.now, busy));
        if line.why == Standstill::Busy && destination.room > 0 {
            line.next = Some(line.next.map_or(self.now, |next| next.min(self.now)));
        }
        Ok(())
    }

    fn take(
        &mut self,
        key: LegKey,
        entry: EntryRecord,
        legs: (&LegRecord, LegRecord),
        errand: Errand,
        line: Option<&LineRecord>,
    ) -> Result<(), Error> {
        let terms = Terms { holder: self.holder, now: self.now, errand, line };
        self.leases.push(self.queue.lease(self.tx, key, entry, legs, &terms)?);
        self.moved = true;
        Ok(())
    }

    /// Legs, each with its entry, in the order asked.
    async fn read(&self, keys: Vec<LegKey>) -> Result<Vec<(Option<LegRecord>, Option<EntryRecord>)>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let entries = keys.iter().map(|key| Entries::key(&(key.0, key.1))).collect();
        // What is read of an entry never changes, and while a leg is there, so is its entry.
        let (legs, entries) =
            try_join!(self.tx.load_many::<Legs>(&keys), self.tx.snapshot_get_many(entries))?;
        let entries = keys.iter().zip(entries).map(|(key, row)| {
            row.map(|row| decode::<Entries>(&Entries::key(&(key.0, key.1)), &row)).transpose()
        });
        legs.into_iter().zip(entries).map(|(leg, entry)| Ok((leg, entry?))).collect()
    }

    /// Reads the lines of all destinations that are not known yet.
    async fn meet_all<C: Fn(&str) -> usize>(
        &self,
        legs: impl Iterator<Item = &LegRecord>,
        destinations: &mut Destinations<'_, C>,
    ) -> Result<(), Error> {
        let mut names: Vec<&str> = legs.map(|leg| leg.destination.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !destinations.found.contains_key(*name));
        let keys: Vec<_> = names.iter().map(|name| self.queue.line_key(name)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        // Who is handed out though a line comes up meanwhile is tried once more than need be.
        let rows = self.tx.snapshot_get_many(keys.clone()).await?;
        for ((name, key), row) in names.iter().zip(keys).zip(rows) {
            let line = row.map(|row| decode::<Lines>(&key, &row)).transpose()?;
            destinations.meet(name, line);
        }
        Ok(())
    }
}

fn missing(id: EntryId) -> Error {
    Error::Damaged { id, what: "its first row is missing" }
}
