//! The octets of a message on their way in: what frames them, and what is noticed while they pass.

mod dot;
mod header;
mod line_end;

pub(crate) use dot::{Decoded, DotDecoder};
pub(crate) use header::{HeaderFault, HeaderLimits, HeaderScan};
pub(crate) use line_end::LineEnds;
