//! Requests to servers that somebody else has named: one request over one connection of our own making.
//!
//! Whoever names the server decides whom this one talks to. So each address is looked at before it is connected to, the other
//! end has to prove that it is the host that was named, and nothing is followed elsewhere. Names are looked up once: what was
//! looked at is what is connected to, whatever the name leads to a moment later (fault 54).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dns::Name;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::network::{Network, Stream};
use crate::route::{Host, Route, RouteError, Router, Target};
use crate::tls::{Demand, TlsClient, server_name};

/// The usual port, which is not named in `Host:`.
const PORT: u16 = 443;
/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses that are tried, at most.
const ADDRESSES: usize = 4;

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub struct HttpsClient {
    router: Arc<Router>,
    tls: Arc<TlsClient>,
    network: Arc<dyn Network>,
}

/// A request.
#[derive(Debug)]
pub struct HttpsRequest<'r> {
    /// Its method.
    pub method: Method,
    /// To whom.
    pub host: &'r Name,
    /// At which port.
    pub port: u16,
    /// What for, from the first slash on.
    pub path: &'r str,
    /// Its fields, but for `Host` and the length of the body.
    pub fields: &'r [(&'static str, String)],
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there was no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum HttpsError {
    /// The host has no address that may be connected to.
    #[error("{0}")]
    Forbidden(RouteError),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// An answer, whose body is still to come.
pub struct HttpsResponse {
    response: Response<Incoming>,
    /// Does the work of the connection while somebody waits for the body.
    connection: BoxFuture<'static, ()>,
}

impl<'r> HttpsRequest<'r> {
    /// A POST request.
    pub const fn post(
        host: &'r Name,
        port: u16,
        path: &'r str,
        fields: &'r [(&'static str, String)],
        body: Vec<u8>,
    ) -> Self {
        Self { method: Method::POST, host, port, path, fields, body }
    }
}

impl HttpsClient {
    /// A client that finds addresses, trusts and connects as these do.
    pub const fn new(router: Arc<Router>, tls: Arc<TlsClient>, network: Arc<dyn Network>) -> Self {
        Self { router, tls, network }
    }

    /// Makes a request, over a connection of its own.
    ///
    /// # Errors
    /// [`HttpsError`] if there is no answer.
    pub async fn send(&self, request: HttpsRequest<'_>) -> Result<HttpsResponse, HttpsError> {
        let failed = |why: &dyn std::fmt::Display| HttpsError::Failed(why.to_string());
        let HttpsRequest { method, host, port, path, fields, body } = request;
        let stream = self.connect(host, port).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let authority = match port {
            PORT => host.as_str().to_owned(),
            port => format!("{host}:{port}"),
        };
        let mut built = Request::builder().method(method).uri(path).header(HOST, authority);
        for (name, value) in fields {
            built = built.header(*name, value);
        }
        let request = built.body(Whole(Some(body.into()))).map_err(|error| failed(&error))?;
        // The connection does its work only while somebody waits for it, and ends with the answer.
        let mut connection = connection.map(|_over| ()).boxed();
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let response = tokio::select! {
            answered = &mut answer => answered,
            () = &mut connection => {
                connection = futures::future::ready(()).boxed();
                answer.await
            }
        };
        let response = response.map_err(|error| failed(&error))?;
        Ok(HttpsResponse { response, connection })
    }

    /// A connection to the first address that answers with the right certificate.
    async fn connect(&self, host: &Name, port: u16) -> Result<Box<dyn Stream>, HttpsError> {
        let target = Host { target: Target::Name(host.clone()), port };
        let reach = self.router.reach(&target, &Route::default()).await.map_err(|error| match error {
            RouteError::Forbidden(_) | RouteError::Own(_) => HttpsError::Forbidden(error),
            error => HttpsError::Failed(error.to_string()),
        })?;
        let mut last = format!("{host} has no address");
        for address in reach.addresses.iter().take(ADDRESSES) {
            let address = SocketAddr::new(*address, port);
            match timeout(CONNECT, self.secure(host, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(why)) => last = format!("{host} [{}]: {why}", address.ip()),
                Err(_late) => last = format!("{host} [{}] did not answer in time", address.ip()),
            }
        }
        Err(HttpsError::Failed(last))
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

impl HttpsResponse {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The fields.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The body, if it has no more than `limit` octets.
    ///
    /// # Errors
    /// Why it could not be read, in words.
    pub async fn read(self, limit: usize) -> Result<Vec<u8>, String> {
        let Self { response, mut connection } = self;
        let reading = read(response.into_body(), limit);
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => read,
            () = &mut connection => reading.await,
        }
    }
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

/// A body in one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(
            self.0.take().filter(|body| !body.is_empty()).map(|body| Ok(Frame::data(body))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |body| body.len() as u64))
    }
}
