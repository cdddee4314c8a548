//! MTA-STS (RFC 8461): a domain says over HTTPS which servers are its own, and that they prove who they are.

mod cache;
mod policy;

pub use cache::{Fetched, PolicyFetcher, StsCache, StsPolicies, StsState};
pub use policy::{StsMode, StsPolicy, StsPolicyError, record_id};
