//! The language: octets to values and back, without I/O and without knowing what a method means.

pub mod arguments;
pub mod date;
pub mod id;
pub mod json;
pub mod pointer;
pub mod request;
pub mod state;

pub use arguments::Arguments;
pub use json::Bounds;
pub use pointer::Pointer;
pub use request::{Call, Capability, Request, Using};

/// A JSON object.
pub type Object = serde_json::Map<String, serde_json::Value>;
