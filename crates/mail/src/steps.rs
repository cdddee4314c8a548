//! Cutting a long list into steps that each fit into one transaction.

use types::Uid;

use crate::Error;

/// UIDs in ascending order, each once, whatever order they were asked in.
pub(crate) fn ascending(uids: &[Uid]) -> Vec<Uid> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    uids
}

/// What is left of a list, and how much of it to do at once. How much fits depends on what a change drags along, so
/// a step that turns out too large is tried again at half its size.
pub(crate) struct Steps<'l, T> {
    rest: &'l [T],
    size: usize,
    most: usize,
}

impl<'l, T> Steps<'l, T> {
    pub(crate) const fn new(list: &'l [T], most: usize) -> Self {
        Self { rest: list, size: most, most }
    }

    /// What to do next; `None` at the end.
    pub(crate) fn next(&self) -> Option<&'l [T]> {
        let step = self.rest.get(..self.size.min(self.rest.len()))?;
        (!step.is_empty()).then_some(step)
    }

    /// The step was done.
    pub(crate) fn done(&mut self) {
        self.rest = self.rest.get(self.size.min(self.rest.len())..).unwrap_or_default();
        self.size = self.size.saturating_mul(2).min(self.most);
    }

    /// The step failed; whether a smaller one may succeed.
    pub(crate) fn shrink(&mut self, error: &Error) -> bool {
        let step = self.size.min(self.rest.len());
        if !error.is_too_much() || step < 2 {
            return false;
        }
        self.size = step / 2;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_too_large_is_halved() {
        let list: Vec<u32> = (0..10).collect();
        let too_much = Error::TooMuch("a value of 2 bytes".into());
        let mut steps = Steps::new(&list, 8);
        let mut done = Vec::new();
        while let Some(step) = steps.next() {
            if step.len() > 3 {
                assert!(steps.shrink(&too_much));
                continue;
            }
            done.push(step.to_vec());
            steps.done();
        }
        assert_eq!(done.concat(), list);
        assert_eq!(done[0].len(), 2);
        let mut one = Steps::new(&list[..1], 8);
        assert!(!one.shrink(&too_much) && !one.shrink(&Error::Exists));
    }
}
