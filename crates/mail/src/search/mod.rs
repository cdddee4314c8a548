//! Searching, whoever asks: IMAP's SEARCH, SORT and THREAD, JMAP's `Email/query`, `Email/queryChanges` and snippets.
//!
//! ```text
//!   Filter, Order  what is asked, in words that are no protocol's
//!        |
//!      Plan        which rows are read: a list by date, the members of a mailbox, all emails
//!        |
//!    Results       candidates, page by page  ──> Judge: list, row, thread, record, message, each only if needed
//!                  matches in their order, threads collapsed, no further than somebody asks
//! ```
//!
//! What is particular to a protocol stays there: how it is written, sequence numbers, charsets, modseqs in answers, windows
//! and states. Where both mean different things by one word, that is said in the query: [`Html`] is what of HTML is
//! searched, [`TextKey`] which text of a header is compared, the last [`Order`] what comes first of what is equal.
//! The plan is the seam at which an index will come in. `docs/search.md` tells what each plan costs.

mod candidates;
mod collation;
mod evidence;
mod filter;
mod judge;
mod kept;
mod order;
mod plan;
mod results;
mod text;

use filter::Depth;
use text::{body_contains, field_contains};

pub use collation::{Collation, LONGEST_COLLATED, collated};
pub use filter::{Filter, Leaf, Span, all, any};
pub use kept::Kept;
pub use order::{Order, SortKey, TextKey};
pub use plan::{Query, Scope};
pub use results::{Hit, Results};
pub use text::{Folded, Html, Needle, occurrences};
