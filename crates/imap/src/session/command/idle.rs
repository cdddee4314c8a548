//! IDLE (RFC 9051 §6.3.13). The session tells its news until the client says DONE.

use super::Outcome;

pub(super) const fn run() -> Outcome {
    Outcome::Idle
}
