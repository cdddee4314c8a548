//! What programs ask that know nothing but an address: mail apps where the servers are, other servers whether they may trust
//! the way here. Everybody may ask; what is told stands in DNS as well, and only of domains that are here.
//!
//! ```text
//!   GET  /mail/config-v1.1.xml, /.well-known/autoconfig/…   Thunderbird and most others   autoconfig
//!   POST /autodiscover/autodiscover.xml                     Outlook                       autodiscover
//!   GET  /.well-known/mta-sts.txt                           servers (RFC 8461 §3.3)       here
//! ```

mod autoconfig;
mod autodiscover;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use directory::{Address, Directory, DomainName};

use crate::api::body::{self, BodyError};
use crate::api::download::unescaped;

/// The longest request of Outlook, in octets. They have some 400.
const LONGEST: usize = 16 << 10;
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What there is to be told.
#[derive(Clone)]
pub struct Discovery {
    /// Who knows the domains.
    pub directory: Directory,
    /// The name of the server, in A-labels.
    pub host: String,
    /// What clients from elsewhere reach there; of a kind, what they should take comes first.
    pub services: Vec<MailService>,
    /// The policy of all domains (RFC 8461 §3.2).
    pub policy: String,
}

/// A service for mail apps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailService {
    /// What is spoken.
    pub kind: ServiceKind,
    /// Where.
    pub port: u16,
    /// Whether TLS begins with the first octet; else the client asks for it.
    pub implicit_tls: bool,
}

/// What a service speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceKind {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP, for those who log in.
    Submission,
}

/// The routes.
pub(crate) fn router(discovery: Discovery) -> Router {
    Router::new()
        .route("/mail/config-v1.1.xml", get(config))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(config))
        .route("/autodiscover/autodiscover.xml", post(discover))
        // As Outlook has written it in one release or another.
        .route("/Autodiscover/Autodiscover.xml", post(discover))
        .route("/AutoDiscover/AutoDiscover.xml", post(discover))
        .route("/.well-known/mta-sts.txt", get(policy))
        .route_layer(from_fn(say_what_it_is))
        .with_state(Arc::new(discovery))
}

/// It is the same for everybody, and may change when the operator changes something.
async fn say_what_it_is(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let lasting = if response.status().is_success() { "public, max-age=600" } else { "no-store" };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(lasting));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Why nothing is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// The domain is none of ours, or there is nothing to tell of it.
    Unknown,
    /// What was asked cannot be understood.
    Unclear,
    /// It could not be read.
    Unread(BodyError),
    /// The directory is out of reach.
    Unavailable,
}

async fn config(
    State(discovery): State<Arc<Discovery>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let address = query.as_deref().and_then(|query| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix("emailaddress="))?;
        unescaped(value)?.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok())
    });
    let domain = address.or_else(|| asked_host(&headers, "autoconfig.")).ok_or(Refusal::Unknown)?;
    discovery.knows(&domain).await?;
    let text = autoconfig::config(&discovery, &domain).ok_or(Refusal::Unknown)?;
    Ok(xml_response(text))
}

async fn discover(
    State(discovery): State<Arc<Discovery>>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Refusal> {
    let request = body::read(&headers, content, LONGEST, PATIENCE).await.map_err(Refusal::Unread)?;
    let asked = std::str::from_utf8(&request).ok().and_then(autodiscover::Asked::read);
    let asked = asked.ok_or(Refusal::Unclear)?;
    let address = Address::parse(&asked.address).map_err(|_| Refusal::Unclear)?;
    if !asked.wants_settings() {
        return Err(Refusal::Unknown);
    }
    discovery.knows(address.domain()).await?;
    let text = autodiscover::settings(&discovery, &address).ok_or(Refusal::Unknown)?;
    Ok(xml_response(text))
}

async fn policy(State(discovery): State<Arc<Discovery>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let domain = asked_host(&headers, "mta-sts.").ok_or(Refusal::Unknown)?;
    discovery.knows(&domain).await?;
    Ok(([(CONTENT_TYPE, "text/plain")], discovery.policy.clone()).into_response())
}

impl Discovery {
    async fn knows(&self, domain: &DomainName) -> Result<(), Refusal> {
        match self.directory.domain(domain).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Refusal::Unknown),
            Err(error) => {
                tracing::warn!(%error, "a domain could not be looked up");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// The services of a kind, what should be taken first.
    fn of(&self, kind: ServiceKind) -> impl Iterator<Item = &MailService> {
        self.services.iter().filter(move |service| service.kind == kind)
    }
}

/// The domain that the host of a request belongs to: without this label before it, if it is there.
fn asked_host(headers: &HeaderMap, label: &str) -> Option<DomainName> {
    let host = headers.get(HOST)?.to_str().ok()?.to_ascii_lowercase();
    let name = host.split_once(':').map_or(host.as_str(), |(name, _port)| name);
    DomainName::parse(name.strip_prefix(label).unwrap_or(name)).ok()
}

fn xml_response(text: String) -> Response {
    ([(CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::Unknown => (StatusCode::NOT_FOUND, "nothing is known here of this domain\n"),
            Self::Unclear => (StatusCode::BAD_REQUEST, "this is no request for settings of an address\n"),
            Self::Unread(BodyError::Large(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n"),
            Self::Unread(BodyError::Slow) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n"),
            Self::Unread(BodyError::Torn) => (StatusCode::BAD_REQUEST, "the request ended before its end\n"),
            Self::Unread(BodyError::Coded) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "requests are taken as they are, not compressed\n")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "this cannot be told at the moment: try again later\n")
            }
        };
        (status, words).into_response()
    }
}
