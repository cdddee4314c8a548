//! Responses: what the server says, written into bounded chunks.

mod data;
mod envelope;
mod fetch;
mod output;
mod status;
mod structure;

pub use data::{
    Attribute, EsearchResult, Listed, enabled, esearch, exists, expunged, flags, list, lsub,
    metadata_changed, namespace, renamed, search, status, vanished,
};
pub use envelope::{Address, Envelope};
pub use fetch::FetchLine;
pub use output::{Output, astring};
pub use status::{Code, Condition, Reply};
pub use structure::{Disposition, Structure, StructureKind};

#[cfg(test)]
mod tests;
