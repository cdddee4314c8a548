//! Where everything is kept, behind three contracts that know nothing of mail:
//!
//! - [`kv`]: ordered keys with strictly serialisable, optimistic transactions. The only truth.
//! - [`blob`]: immutable bytes named by their BLAKE3 hash, with references and garbage collection.
//! - [`bus`]: cache, rate counters, publish/subscribe. All of it may vanish at any moment.
//!
//! ```text
//!   mail  directory  queue …
//!     |       |        |
//!     v       v        v
//!   kv::Kv  ------  blob::Blobs      bus::Bus
//!     |                |                |
//!   Engine           Engine           in-process   (Redis later)
//!     |                |
//!   embedded         segments          (FoundationDB, PostgreSQL, S3 later)
//! ```

pub mod blob;
pub mod bus;
mod disk;
pub mod kv;
mod meters;
