//! LIST and UIDL of all messages, written part by part: a client that does not read is not buffered for.

use crate::maildrop::Maildrop;
use crate::output::Output;

/// A listing in progress.
pub(crate) struct Listing {
    what: Listed,
    /// The index of the next message.
    next: usize,
}

/// What is told of each message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Its size.
    Sizes,
    /// Its unique id.
    UniqueIds,
}

impl Listing {
    pub(crate) const fn new(what: Listed) -> Self {
        Self { what, next: 0 }
    }

    /// Writes until there is as much as `enough`, or the end; true at the end.
    pub(crate) fn step(&mut self, maildrop: &Maildrop, enough: usize, out: &mut Output) -> bool {
        for entry in maildrop.from(self.next) {
            match self.what {
                Listed::Sizes => out.print(format_args!("{} {}\r\n", entry.number, entry.size)),
                Listed::UniqueIds => {
                    out.print(format_args!("{} {}\r\n", entry.number, maildrop.unique_id(entry)))
                }
            }
            self.next = entry.number;
            if out.len() >= enough {
                return false;
            }
        }
        out.put(b".\r\n");
        true
    }
}
