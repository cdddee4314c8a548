//! Policies over HTTPS (RFC 8461 §3.3).
//!
//! What is fetched decides how mail is protected, and somebody else says from where. So the address has to be a public
//! one, the certificate one for the name, and the answer a short text with status 200; nothing is followed elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use dns::Name;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};

use super::PolicyFetcher;
use crate::https::{HttpsClient, HttpsRequest};
use crate::network::Network;
use crate::route::Router;
use crate::tls::TlsClient;

const PATH: &str = "/.well-known/mta-sts.txt";
const PORT: u16 = 443;

/// Fetches policies, over connections of our own making.
pub struct HttpsFetcher(HttpsClient);

impl HttpsFetcher {
    /// A fetcher that finds addresses, trusts and connects as the relay does.
    pub const fn new(router: Arc<Router>, tls: Arc<TlsClient>, network: Arc<dyn Network>) -> Self {
        Self(HttpsClient::new(router, tls, network))
    }
}

#[async_trait]
impl PolicyFetcher for HttpsFetcher {
    async fn fetch(&self, domain: &Name, limit: usize) -> Result<Vec<u8>, String> {
        let host = domain.below("mta-sts").ok_or_else(|| format!("the name mta-sts.{domain} is too long"))?;
        let request = HttpsRequest {
            method: Method::GET,
            host: &host,
            port: PORT,
            path: PATH,
            fields: &[],
            body: Vec::new(),
        };
        let why = |why: String| format!("https://{host}{PATH}: {why}");
        let response = self.0.send(request).await.map_err(|error| why(error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(why(format!("it answers {}, where 200 is wanted", response.status().as_u16())));
        }
        if !response.headers().get(CONTENT_TYPE).is_some_and(is_text) {
            return Err(why("its answer is not of the type text/plain".to_owned()));
        }
        response.read(limit).await.map_err(why)
    }
}

fn is_text(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/plain")
}
