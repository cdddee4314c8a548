//! How destinations stand as a whole, at a price that does not depend on how many messages wait for them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use futures::try_join;
use store::kv::{Range, Transaction, counter};

use super::{Cause, LineRecord, Lines, Places, Standstill, counted_line, line_counts};
use crate::clock::Moment;
use crate::{Error, Queue};

/// How the destinations stand that are not simply working.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Those for which the most waits, in this order.
    pub longest: Vec<LineDepth>,
    /// All others together.
    pub rest: Heap,
    /// All of them, by why they stand still, and what keeps those that fail from being reached.
    pub kinds: BTreeMap<(Standstill, Option<Cause>), Heap>,
    /// There are more lines than were looked at.
    pub more: bool,
}

/// A destination, and how much waits in its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineDepth {
    /// The destination.
    pub destination: String,
    /// Legs in its line.
    pub depth: u64,
    /// How long the oldest of them has waited for its recipients.
    pub oldest: Option<Duration>,
}

/// Several lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heap {
    /// How many.
    pub lines: u64,
    /// Legs in them.
    pub legs: u64,
    /// How long the oldest of these has waited, among the lines that were looked into.
    pub oldest: Option<Duration>,
}

/// A line, with its length.
struct Measured {
    destination: String,
    record: LineRecord,
    depth: u64,
    oldest: Option<Duration>,
}

/// Of lines that are not among the longest, so many of each kind are looked into: those that stand still for longest.
const LOOKED_INTO: usize = 5;

impl Queue {
    /// How destinations stand: the `named` longest lines by name, the rest summed. Looks at the first `most` lines.
    ///
    /// Two range reads of at most `most` short rows, and the first place of the longest lines and of five others of each
    /// kind; no other message's row is read.
    pub async fn standing(&self, named: usize, most: usize) -> Result<Standing, Error> {
        self.look(|tx| async move {
            let now = self.clock().peek(&tx).await?;
            let mut lines = self.measured(&tx, most).await?;
            let more = lines.len() == most;
            lines.sort_by(|a, b| b.depth.cmp(&a.depth).then_with(|| a.destination.cmp(&b.destination)));
            let named = lines.iter().take(named).filter(|line| line.depth > 0).count();
            let mut chosen: Vec<usize> = (0..named).collect();
            chosen.extend(longest_still(&lines, named));
            let first = chosen.iter().filter_map(|number| lines.get(*number)).map(|line| {
                let range = Range::new(Places::of(self.kind(), &line.destination)).limit(1).snapshot();
                tx.rows::<Places>(range).all()
            });
            for (number, places) in chosen.iter().zip(try_join_all(first).await?) {
                if let (Some(line), Some((place, _))) = (lines.get_mut(*number), places.first()) {
                    line.oldest = Some(now.since(place.since));
                }
            }
            Ok(sum(lines, named, more))
        })
        .await
    }

    /// Lines with their lengths. Whatever has a length is a line: as many counters reach as far as the lines do.
    async fn measured(&self, tx: &Transaction, most: usize) -> Result<Vec<Measured>, Error> {
        let lines = Range::new(Lines::all(self.kind())).limit(most).snapshot();
        let counts = Range::new(line_counts(self.kind())).limit(most).snapshot();
        let (lines, counts) = try_join!(tx.rows::<Lines>(lines).all(), tx.range(counts).all())?;
        let counts: BTreeMap<&str, u64> = counts
            .iter()
            .filter_map(|(key, value)| Some((counted_line(key)?, u64::try_from(counter(value)).unwrap_or(0))))
            .collect();
        let lines = lines.into_iter().map(|((_, destination), record)| {
            let depth = counts.get(destination.as_str()).copied().unwrap_or(0);
            Measured { destination, record, depth, oldest: None }
        });
        Ok(lines.collect())
    }
}

/// Why there is a line, and what keeps a destination that fails from being reached.
type Kind = (Standstill, Option<Cause>);

/// Of the lines behind the named ones, those of each kind that have stood still for longest.
fn longest_still(lines: &[Measured], named: usize) -> Vec<usize> {
    let mut kinds: BTreeMap<Kind, Vec<(Moment, usize)>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate().skip(named).filter(|(_, line)| line.depth > 0) {
        kinds.entry(kind(&line.record)).or_default().push((line.record.since, number));
    }
    let first = kinds.into_values().flat_map(|mut of_kind| {
        of_kind.sort_unstable();
        of_kind.into_iter().take(LOOKED_INTO)
    });
    first.map(|(_, number)| number).collect()
}

fn kind(line: &LineRecord) -> Kind {
    (line.why, line.cause.filter(|_| line.why == Standstill::Failing))
}

fn sum(lines: Vec<Measured>, named: usize, more: bool) -> Standing {
    let mut standing = Standing { more, ..Standing::default() };
    for (number, line) in lines.into_iter().enumerate() {
        let of_kind = standing.kinds.entry(kind(&line.record)).or_default();
        of_kind.take_in(line.depth, line.oldest);
        if number < named {
            let Measured { destination, depth, oldest, .. } = line;
            standing.longest.push(LineDepth { destination, depth, oldest });
        } else {
            standing.rest.take_in(line.depth, line.oldest);
        }
    }
    standing
}

impl Heap {
    fn take_in(&mut self, legs: u64, oldest: Option<Duration>) {
        self.lines += 1;
        self.legs += legs;
        self.oldest = self.oldest.max(oldest);
    }
}
