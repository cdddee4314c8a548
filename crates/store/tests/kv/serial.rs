//! A checker for strict serialisability.
//!
//! Transactions append their own number to lists and add a bit of their own to counters. A read of a list shows
//! everybody who appended before, in order; a read of a counter shows everybody who added. So each read says
//! which transactions must come before the reader, and all others that write there must come after it:
//!
//! - who appended next came after who appended before (write, write),
//! - who read came after whose writes it saw (write, read), and before those whose it did not see (read, write),
//! - who began after another had ended came after it (real time).
//!
//! The history is strictly serialisable exactly if these demands have no cycle, and nobody read what was never
//! committed.

use std::collections::{BTreeMap, BTreeSet};

pub type Number = usize;

/// What is known of a transaction's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Committed,
    Failed,
    /// Committed if anybody saw it.
    Unknown,
}

/// One transaction as its client saw it. Its number is its place in the history.
#[derive(Clone, Debug)]
pub struct Record {
    /// Ticks of one clock for all clients.
    pub began: u64,
    pub ended: u64,
    pub fate: Fate,
    /// What was in each list read, before own appends. Lists that a range read did not find are empty.
    pub lists: BTreeMap<u8, Vec<Number>>,
    pub appended: BTreeSet<u8>,
    /// Who had added to each counter read.
    pub counters: BTreeMap<u8, BTreeSet<Number>>,
    pub added: BTreeSet<u8>,
}

/// Why a history is not strictly serialisable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Anomaly {
    /// Two reads of a list do not agree on its order, or an append of a committed transaction is gone.
    TornList(u8),
    /// A transaction read what one wrote that was never committed.
    Phantom { reader: Number, writer: Number },
    /// Transactions of which each must come before the next, and the last before the first.
    Cycle(Vec<Number>),
}

pub fn check(history: &[Record]) -> Result<(), Anomaly> {
    let mut order = Order { after: vec![BTreeSet::new(); history.len()] };
    for (reader, record) in history.iter().enumerate() {
        let seen = record.lists.values().flatten().chain(record.counters.values().flatten());
        for &writer in seen {
            if history.get(writer).is_none_or(|writer| writer.fate == Fate::Failed) {
                return Err(Anomaly::Phantom { reader, writer });
            }
        }
    }
    let lists: BTreeSet<u8> =
        history.iter().flat_map(|r| r.lists.keys().chain(&r.appended).copied()).collect();
    lists.into_iter().try_for_each(|list| order.of_list(list, history))?;
    order.of_counters(history);
    order.of_time(history);
    order.cycle().map_or(Ok(()), |cycle| Err(Anomaly::Cycle(cycle)))
}

struct Order {
    /// For each transaction, who must come after it.
    after: Vec<BTreeSet<Number>>,
}

impl Order {
    fn demand(&mut self, before: Number, after: Number) {
        if before != after {
            self.after[before].insert(after);
        }
    }

    fn of_list(&mut self, list: u8, history: &[Record]) -> Result<(), Anomaly> {
        let reads = || history.iter().filter(|r| r.fate != Fate::Failed).filter_map(|r| r.lists.get(&list));
        let longest: Vec<Number> = reads().max_by_key(|read| read.len()).cloned().unwrap_or_default();
        if reads().any(|read| !longest.starts_with(read)) {
            return Err(Anomaly::TornList(list));
        }
        for pair in longest.windows(2) {
            self.demand(pair[0], pair[1]);
        }
        let unseen: Vec<Number> = committed(history)
            .filter(|(number, record)| record.appended.contains(&list) && !longest.contains(number))
            .map(|(number, _)| number)
            .collect();
        for (reader, record) in history.iter().enumerate().filter(|(_, r)| r.fate != Fate::Failed) {
            let Some(read) = record.lists.get(&list) else { continue };
            if let Some(writer) = read.last() {
                self.demand(*writer, reader);
            }
            match longest.get(read.len()) {
                Some(next) => self.demand(reader, *next),
                None => unseen.iter().for_each(|next| self.demand(reader, *next)),
            }
        }
        // Whoever appends has read the list: two who saw the same and both appended are a cycle by now.
        for writer in &unseen {
            longest.last().into_iter().for_each(|last| self.demand(*last, *writer));
        }
        Ok(())
    }

    fn of_counters(&mut self, history: &[Record]) {
        for (reader, record) in history.iter().enumerate().filter(|(_, r)| r.fate != Fate::Failed) {
            for (counter, seen) in &record.counters {
                seen.iter().for_each(|writer| self.demand(*writer, reader));
                for (writer, _) in committed(history).filter(|(_, r)| r.added.contains(counter)) {
                    if !seen.contains(&writer) {
                        self.demand(reader, writer);
                    }
                }
            }
        }
    }

    fn of_time(&mut self, history: &[Record]) {
        for (earlier, first) in committed(history) {
            for (later, _) in committed(history).filter(|(_, second)| first.ended < second.began) {
                self.demand(earlier, later);
            }
        }
    }

    /// Takes away who has nobody before it, until nobody is left, or a cycle is.
    fn cycle(&self) -> Option<Vec<Number>> {
        let mut before = vec![0_usize; self.after.len()];
        self.after.iter().flatten().for_each(|after| before[*after] += 1);
        let mut free: Vec<Number> = (0..before.len()).filter(|number| before[*number] == 0).collect();
        let mut left: BTreeSet<Number> = (0..before.len()).collect();
        while let Some(number) = free.pop() {
            left.remove(&number);
            for after in &self.after[number] {
                before[*after] -= 1;
                if before[*after] == 0 {
                    free.push(*after);
                }
            }
        }
        let mut path = vec![*left.first()?];
        // Everybody left has somebody left before it: going back must come round.
        loop {
            let here = *path.last()?;
            let back = *left.iter().find(|number| self.after[**number].contains(&here))?;
            if let Some(begin) = path.iter().position(|number| *number == back) {
                let mut cycle = path.split_off(begin);
                cycle.reverse();
                return Some(cycle);
            }
            path.push(back);
        }
    }
}

fn committed(history: &[Record]) -> impl Iterator<Item = (Number, &Record)> {
    history.iter().enumerate().filter(|(_, record)| record.fate == Fate::Committed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A committed transaction that ran from `began` to `ended`.
    fn record(began: u64, ended: u64) -> Record {
        Record {
            began,
            ended,
            fate: Fate::Committed,
            lists: BTreeMap::new(),
            appended: BTreeSet::new(),
            counters: BTreeMap::new(),
            added: BTreeSet::new(),
        }
    }

    impl Record {
        fn read(mut self, list: u8, seen: &[Number]) -> Self {
            self.lists.insert(list, seen.to_vec());
            self
        }

        fn append(mut self, list: u8, seen: &[Number]) -> Self {
            self.appended.insert(list);
            self.read(list, seen)
        }

        fn count(mut self, counter: u8, seen: &[Number]) -> Self {
            self.counters.insert(counter, seen.iter().copied().collect());
            self
        }

        fn add(mut self, counter: u8) -> Self {
            self.added.insert(counter);
            self
        }

        fn fate(mut self, fate: Fate) -> Self {
            self.fate = fate;
            self
        }
    }

    fn is_cycle(history: &[Record], members: &[Number]) -> bool {
        match check(history) {
            Err(Anomaly::Cycle(mut cycle)) => {
                cycle.sort_unstable();
                cycle == members
            }
            _ => false,
        }
    }

    #[test]
    fn accepts_what_is_serial() {
        let history = [
            record(0, 9).append(1, &[]),
            record(0, 9).append(1, &[0]).add(5),
            record(0, 9).read(1, &[0, 1]).count(5, &[1]),
            record(10, 11).read(1, &[0, 1]).append(2, &[]),
        ];
        assert_eq!(check(&history), Ok(()));
    }

    #[test]
    fn finds_a_lost_update() {
        let history =
            [record(0, 9).append(1, &[]), record(0, 9).append(1, &[]), record(10, 11).read(1, &[1])];
        assert!(check(&history).is_err());
        assert!(is_cycle(&history[..2], &[0, 1]), "even if nobody looks afterwards");
    }

    #[test]
    fn finds_write_skew() {
        let history = [record(0, 9).read(1, &[]).append(2, &[]), record(0, 9).read(2, &[]).append(1, &[])];
        assert!(is_cycle(&history, &[0, 1]));
    }

    #[test]
    fn finds_write_skew_through_counters() {
        let history = [record(0, 9).count(1, &[]).add(2), record(0, 9).count(2, &[]).add(1)];
        assert!(is_cycle(&history, &[0, 1]));
    }

    #[test]
    fn finds_a_fractured_read() {
        let history = [record(0, 9).append(1, &[]).append(2, &[]), record(0, 9).read(1, &[0]).read(2, &[])];
        assert!(is_cycle(&history, &[0, 1]));
    }

    #[test]
    fn finds_a_long_fork() {
        let history = [
            record(0, 9).append(1, &[]),
            record(0, 9).append(2, &[]),
            record(0, 9).read(1, &[0]).read(2, &[]),
            record(0, 9).read(1, &[]).read(2, &[1]),
        ];
        assert!(is_cycle(&history, &[0, 1, 2, 3]));
    }

    #[test]
    fn finds_a_stale_read() {
        let history = [record(0, 1).append(1, &[]), record(2, 3).read(1, &[])];
        assert!(is_cycle(&history, &[0, 1]));
        let overlapping = [record(0, 2).append(1, &[]), record(2, 3).read(1, &[])];
        assert_eq!(check(&overlapping), Ok(()));
    }

    #[test]
    fn finds_a_read_of_what_was_never_committed() {
        let history = [record(0, 9).append(1, &[]).fate(Fate::Failed), record(0, 9).read(1, &[0])];
        assert_eq!(check(&history), Err(Anomaly::Phantom { reader: 1, writer: 0 }));
        let unknown = [record(0, 9).append(1, &[]).fate(Fate::Unknown), record(0, 9).read(1, &[0])];
        assert_eq!(check(&unknown), Ok(()));
    }

    #[test]
    fn finds_a_list_that_lost_its_middle() {
        let history = [
            record(0, 9).append(1, &[]),
            record(0, 9).append(1, &[0]),
            record(0, 9).read(1, &[0, 1]),
            record(0, 9).read(1, &[1]),
        ];
        assert_eq!(check(&history), Err(Anomaly::TornList(1)));
    }

    #[test]
    fn finds_a_committed_append_that_vanished() {
        let history = [record(0, 1).append(1, &[]), record(2, 3).append(2, &[]).read(1, &[])];
        assert!(check(&history).is_err());
    }
}
