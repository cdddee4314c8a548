//! MTA-STS (RFC 8461): a domain says over HTTPS which servers are its own, and that they prove who they are.

mod cache;
mod fetch;
mod policy;

pub use cache::{Fetched, PolicyFetcher, StsCache, StsPolicies, StsState};
pub use fetch::HttpsFetcher;
pub use policy::{StsMode, StsPolicy, StsPolicyError, record_id};
