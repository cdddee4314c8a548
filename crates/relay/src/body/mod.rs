//! The message itself: where it comes from, what is in it, and how it is put on the wire.

mod convert;
mod lines;
mod source;
mod survey;
mod transfer;
mod walk;

pub use convert::Converter;
pub use lines::LineEncoder;
pub use source::{MessageSource, Pieces};
pub use survey::{Survey, Surveyor};
