//! MTA-STS policies from a web server that answers well or badly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use dns::{Name, Zone};
use relay::{Addresses, HttpsFetcher, Network, PolicyFetcher, RouteTable, Router, Stream, TlsClient};
use rustls::RootCertStore;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;

/// A web server that gives one answer to everybody.
struct Web {
    acceptor: TlsAcceptor,
    answer: String,
}

#[async_trait]
impl Network for Web {
    async fn connect(&self, to: SocketAddr, _from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        assert_eq!(to.port(), 443);
        let (ours, theirs) = tokio::io::duplex(4096);
        let (acceptor, answer) = (self.acceptor.clone(), self.answer.clone());
        tokio::spawn(async move {
            let mut stream = BufReader::new(acceptor.accept(theirs).await?);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") && stream.read_line(&mut request).await? > 0 {}
            assert!(
                request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nhost: mta-sts.x.test\r\n"),
                "{request}"
            );
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        Ok(Box::new(ours))
    }
}

/// Fetches with a certificate for a name.
async fn fetch(certified: &str, zone: &str, answer: &str) -> Result<String, String> {
    let certificate = rcgen::generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let web = Web { acceptor: TlsAcceptor::from(Arc::new(config)), answer: answer.to_owned() };
    let resolver = Arc::new(Zone::parse(zone).unwrap());
    let router = Router::new(resolver, RouteTable::default(), Addresses::default(), Vec::new());
    let tls = Arc::new(TlsClient::new(roots).unwrap());
    let fetcher = HttpsFetcher::new(Arc::new(router), tls, Arc::new(web));
    let fetched = fetcher.fetch(&Name::parse("x.test").unwrap(), 100).await;
    fetched.map(|text| String::from_utf8(text).unwrap())
}

fn response(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const ZONE: &str = "mta-sts.x.test A 93.184.216.34";
const OWN: &str = "mta-sts.x.test";

#[tokio::test]
async fn a_policy_is_fetched_whole_however_it_is_sent() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nver\r\n4\r\nsion\r\n0\r\n\r\n";
    let to_the_end = "HTTP/1.1 200 OK\r\nContent-Type: TEXT/plain; charset=utf-8\r\n\r\nversion";
    for answer in [&response("200 OK", "text/plain", "version"), chunked, to_the_end] {
        assert_eq!(fetch(OWN, ZONE, answer).await.as_deref(), Ok("version"), "{answer}");
    }
}

#[tokio::test]
async fn fault_71_what_is_no_answer_is_no_policy() {
    let fine = response("200 OK", "text/plain", "version");
    let table = [
        (OWN, ZONE, response("404 Not Found", "text/plain", "version"), "404"),
        (
            OWN,
            ZONE,
            "HTTP/1.1 301 Moved\r\nLocation: https://y.test/\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "301",
        ),
        (OWN, ZONE, response("200 OK", "text/html", "version"), "text/plain"),
        (OWN, ZONE, response("200 OK", "text/plain", &"x".repeat(101)), "longer than 100"),
        (
            OWN,
            ZONE,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nversion".to_owned(),
            "",
        ),
        (OWN, ZONE, "220 smtp\r\n".to_owned(), ""),
        (OWN, ZONE, String::new(), ""),
        ("x.test", ZONE, fine.clone(), "TLS failed"),
        (OWN, "mta-sts.x.test A 127.0.0.1", fine.clone(), "not a public address"),
        (OWN, "x.test A 93.184.216.34", fine, "no address"),
    ];
    for (certified, zone, answer, why) in table {
        let error = fetch(certified, zone, &answer).await.unwrap_err();
        assert!(error.contains(why), "{answer:?}: {error}");
    }
}
