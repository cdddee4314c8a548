//! NOOP (RFC 9051 §6.1.2): a chance to hear news.

use super::Outcome;

pub(super) fn run() -> Outcome {
    Outcome::ok("nothing done")
}
