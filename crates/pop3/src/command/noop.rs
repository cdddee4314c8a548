//! NOOP (RFC 1939 §5).

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    arguments.none()?;
    Ok(Outcome::Done(Reply::ok("done")))
}
