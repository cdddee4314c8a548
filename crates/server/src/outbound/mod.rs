//! The outbound queue: mail for other servers, and what brings it there.

mod leaving;

pub(crate) use self::leaving::Leaving;
pub(crate) use self::leaving::destination;
