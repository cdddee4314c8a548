//! Which part of a list of results is wanted (RFC 8620 §5.5).

use crate::error::MethodError;
use crate::wire::Arguments;
use crate::wire::arguments::Id;

/// The arguments of a `/query` that choose a part of the results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    start: Start,
    limit: Option<usize>,
    most: usize,
    /// Whether the number of all results is wanted.
    pub(crate) total: bool,
}

/// Where the part begins.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Start {
    /// From the beginning, or with a negative number from the end.
    Position(i64),
    /// So many results behind a certain one, or before it.
    Anchor(String, i64),
}

/// What has to be known of the results before the window can be placed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Needs<'w> {
    /// So many of the first results.
    First(usize),
    /// All results.
    All,
    /// The results up to this one.
    UpTo(&'w str),
}

impl Window {
    /// Takes them.
    pub(crate) fn read(arguments: &mut Arguments, most: usize) -> Result<Self, MethodError> {
        let position = arguments.or("position", 0_i64)?;
        let anchor: Option<Id> = arguments.optional("anchor")?;
        let offset = arguments.or("anchorOffset", 0_i64)?;
        let start = match anchor {
            Some(Id(anchor)) => Start::Anchor(anchor, offset),
            None => Start::Position(position),
        };
        let limit = arguments.optional::<u64>("limit")?;
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self { start, limit, most, total: arguments.or("calculateTotal", false)? })
    }

    /// How many results are returned at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX).min(self.most)
    }

    /// The limit to tell the client, if it is not the client's own.
    pub(crate) fn told_limit(&self) -> Option<usize> {
        (self.limit != Some(self.limit())).then_some(self.most)
    }

    /// What has to be known first.
    pub(crate) fn needs(&self) -> Needs<'_> {
        match &self.start {
            Start::Position(position) => match usize::try_from(*position) {
                Ok(position) => Needs::First(position.saturating_add(self.limit())),
                Err(_) => Needs::All,
            },
            Start::Anchor(anchor, _) => Needs::UpTo(anchor),
        }
    }

    /// The index of the first result: of `count` that are known, or with the anchor at `anchor`.
    pub(crate) fn first(&self, count: usize, anchor: Option<usize>) -> Result<usize, MethodError> {
        let moved = |from: usize, by: i64| {
            let by_how_much = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
            if by < 0 { from.saturating_sub(by_how_much) } else { from.saturating_add(by_how_much) }
        };
        match &self.start {
            Start::Position(position) if *position < 0 => Ok(moved(count, *position)),
            Start::Position(position) => Ok(moved(0, *position)),
            Start::Anchor(_, offset) => {
                anchor.map(|at| moved(at, *offset)).ok_or(MethodError::AnchorNotFound)
            }
        }
    }

    /// The window into a list that is known whole: where it begins, and what is in it.
    pub(crate) fn of<'l, T>(
        &self,
        list: &'l [T],
        is: impl Fn(&T, &str) -> bool,
    ) -> Result<(usize, &'l [T]), MethodError> {
        let anchor = match &self.start {
            Start::Anchor(anchor, _) => list.iter().position(|item| is(item, anchor)),
            Start::Position(_) => None,
        };
        let first = self.first(list.len(), anchor)?;
        let end = first.saturating_add(self.limit()).min(list.len());
        Ok((first, list.get(first..end).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn window(arguments: serde_json::Value) -> Result<Window, MethodError> {
        Window::read(&mut Arguments::new(arguments.as_object().unwrap().clone()), 5)
    }

    #[test]
    fn parts_of_a_list() {
        let list = ["a", "b", "c", "d", "e", "f"];
        let is = |item: &&str, anchor: &str| *item == anchor;
        for (arguments, position, found) in [
            (json!({}), 0, &list[..5]),
            (json!({"limit": 2}), 0, &list[..2]),
            (json!({"limit": 0}), 0, &list[..0]),
            (json!({"position": 4, "limit": 99}), 4, &list[4..]),
            (json!({"position": 99}), 99, &list[..0]),
            (json!({"position": -2}), 4, &list[4..]),
            (json!({"position": -99, "limit": 1}), 0, &list[..1]),
            (json!({"anchor": "c", "position": 5, "limit": 2}), 2, &list[2..4]),
            (json!({"anchor": "c", "anchorOffset": -1, "limit": 2}), 1, &list[1..3]),
            (json!({"anchor": "c", "anchorOffset": -9, "limit": 1}), 0, &list[..1]),
            (json!({"anchor": "c", "anchorOffset": 2, "limit": 1}), 4, &list[4..5]),
        ] {
            assert_eq!(
                window(arguments.clone()).unwrap().of(&list, is),
                Ok((position, found)),
                "{arguments}"
            );
        }
        assert_eq!(window(json!({"anchor": "z"})).unwrap().of(&list, is), Err(MethodError::AnchorNotFound));
        assert!(window(json!({"limit": -1})).is_err());
        assert_eq!(window(json!({"limit": 3})).unwrap().told_limit(), None);
        assert_eq!(window(json!({})).unwrap().told_limit(), Some(5));
        assert_eq!(window(json!({"limit": 9})).unwrap().told_limit(), Some(5));
    }
}
