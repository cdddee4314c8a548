//! What is known of an email's content without opening it.

pub mod metadata;
pub mod metadata_header;
pub mod metadata_parts;

pub use metadata::{Cuts, Metadata, Raw, SentAt, ThreadKey};
pub use metadata_header::HeaderIndex;
pub use metadata_parts::{Disposition, Param, Part, PartFlags, Structure};
