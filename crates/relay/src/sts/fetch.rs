//! Policies over HTTPS (RFC 8461 §3.3).
//!
//! What is fetched decides how mail is protected, and somebody else says from where. So the address has to be a public
//! one, the certificate one for the name, and the answer a short text with status 200; nothing is followed elsewhere.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dns::Name;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::PolicyFetcher;
use crate::network::{Network, Stream};
use crate::route::{Host, Route, Router, Target};
use crate::tls::{Demand, TlsClient, server_name};

const PATH: &str = "/.well-known/mta-sts.txt";
const PORT: u16 = 443;
/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses that are tried, at most.
const ADDRESSES: usize = 4;

/// Fetches policies, over connections of our own making.
pub struct HttpsFetcher {
    router: Arc<Router>,
    tls: Arc<TlsClient>,
    network: Arc<dyn Network>,
}

impl HttpsFetcher {
    /// A fetcher that finds addresses, trusts and connects as the relay does.
    pub fn new(router: Arc<Router>, tls: Arc<TlsClient>, network: Arc<dyn Network>) -> Self {
        Self { router, tls, network }
    }

    /// A connection to the first address that answers with the right certificate.
    async fn connect(&self, host: &Name) -> Result<Box<dyn Stream>, String> {
        let target = Host { target: Target::Name(host.clone()), port: PORT };
        let reach = self.router.reach(&target, &Route::default()).await.map_err(|error| error.to_string())?;
        let mut last = format!("{host} has no address");
        for address in reach.addresses.iter().take(ADDRESSES) {
            let address = SocketAddr::new(*address, PORT);
            match timeout(CONNECT, self.secure(host, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(why)) => last = format!("{host} [{}]: {why}", address.ip()),
                Err(_late) => last = format!("{host} [{}] did not answer in time", address.ip()),
            }
        }
        Err(last)
    }

    async fn secure(&self, host: &Name, address: SocketAddr) -> Result<Box<dyn Stream>, String> {
        let (config, _proof) =
            self.tls.connection(&Demand::WebPki(host.clone())).map_err(|error| error.to_string())?;
        let name = server_name(host).map_err(|error| error.to_string())?;
        let stream = self.network.connect(address, None).await.map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("TLS failed: {error}"))?))
    }
}

#[async_trait]
impl PolicyFetcher for HttpsFetcher {
    async fn fetch(&self, domain: &Name, limit: usize) -> Result<Vec<u8>, String> {
        let host = domain.below("mta-sts").ok_or_else(|| format!("the name mta-sts.{domain} is too long"))?;
        let stream = self.connect(&host).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("{host}: {error}"))?;
        let request = Request::get(PATH)
            .header(HOST, host.as_str())
            .body(String::new())
            .map_err(|error| format!("{host}: {error}"))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answers {}, where 200 is wanted", response.status().as_u16()));
            }
            if !response.headers().get(CONTENT_TYPE).is_some_and(is_text) {
                return Err("its answer is not of the type text/plain".to_owned());
            }
            read(response.into_body(), limit).await
        };
        // The connection does its work only while somebody waits for it, and ends with the answer.
        tokio::pin!(answer);
        let answered = tokio::select! {
            answered = &mut answer => answered,
            _over = connection => answer.await,
        };
        answered.map_err(|why| format!("https://{host}{PATH}: {why}"))
    }
}

fn is_text(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/plain")
}

async fn read(mut body: Incoming, limit: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(data) = frame.into_data() {
            if text.len() + data.len() > limit {
                return Err(format!("its answer is longer than {limit} octets"));
            }
            text.extend_from_slice(&data);
        }
    }
    Ok(text)
}
