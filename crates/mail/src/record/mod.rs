//! What is known of an email's content without opening it.

pub mod metadata;
pub mod metadata_header;
pub mod metadata_parts;
mod outline;

pub use metadata::{Cuts, Metadata, Raw, SentAt, ThreadKey};
pub use metadata_header::{HeaderIndex, HeaderView, NameHash};
pub use metadata_parts::{Disposition, Param, Part, PartFlags, Structure};
pub use outline::Record;
