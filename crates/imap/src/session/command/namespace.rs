//! NAMESPACE (RFC 9051 §6.3.10).

use super::Outcome;
use crate::wire::response::{self, Output};

pub(super) fn run(out: &mut Output) -> Outcome {
    response::namespace(out);
    Outcome::ok("all mailboxes are yours")
}
