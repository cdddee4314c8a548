//! SMTP servers in memory that behave as they are told, well or badly.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dns::{Name, Zone};
use parking_lot::Mutex;
use relay::{
    Addresses, Attempt, Envelope, Fetched, Network, PolicyFetcher, Recipient, Relay, RelayOptions, Report,
    RouteTable, Router, Standing, Stream, StsPolicies, TlsClient, TlsPolicies,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;
use types::Clock;

/// What a server does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Manner {
    /// What it should.
    Good,
    /// It never says a word.
    Silent,
    /// It speaks another protocol.
    Nonsense,
    /// It closes after so many commands.
    ClosesAfter(usize),
    /// It takes four minutes for each recipient.
    Slow,
    /// It answers this to the command.
    Answers(&'static str, &'static str),
    /// Its answer to EHLO has no end.
    Endless,
    /// It closes after the dot, without an answer.
    DropsAfterTheDot,
    /// It closes when a message has been taken, and the client is not looking.
    ClosesWhenIdle,
    /// It takes a first message, answers this to the second, and leaves in the same breath.
    LeavesWith(&'static str),
    /// It offers STARTTLS, and then speaks no TLS.
    BreaksTls,
    /// It offers STARTTLS.
    Tls,
}

/// A network of servers.
#[derive(Default)]
pub struct World {
    servers: HashMap<IpAddr, Manner>,
    dead: HashSet<IpAddr>,
    acceptor: Option<TlsAcceptor>,
    /// Messages that were taken, with the recipients before them.
    pub mail: Mutex<Vec<String>>,
    pub calls: Mutex<Vec<SocketAddr>>,
    pub open: AtomicUsize,
    /// Octets that servers could send.
    pub sent: AtomicU64,
}

/// Counts the connections that are open.
struct Guard(Arc<World>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    pub fn new(servers: &[(&str, Manner)]) -> Self {
        let servers =
            servers.iter().map(|(address, manner)| (address.parse().unwrap(), manner.clone())).collect();
        Self { servers, ..Self::default() }
    }

    /// With a certificate for `mx.x.test`: a server that shows it.
    pub fn with_certificate(mut self, certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
        let chain = vec![certificate.cert.der().clone()];
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap();
        self.acceptor = Some(TlsAcceptor::from(Arc::new(config)));
        self
    }

    async fn serve(self: Arc<Self>, stream: Box<dyn Stream>, manner: Manner) {
        let _guard = Guard(self.clone());
        let _gone = self.talk(stream, manner).await;
    }

    async fn talk(&self, stream: Box<dyn Stream>, manner: Manner) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        match manner {
            Manner::Silent => {
                let mut byte = [0];
                stream.read_exact(&mut byte).await?;
                return Ok(());
            }
            Manner::Nonsense => {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
                stream.read_exact(&mut [0; 1]).await?;
                return Ok(());
            }
            Manner::Answers("connect", answer) => {
                return stream.write_all(format!("{answer}\r\n").as_bytes()).await;
            }
            _ => stream.write_all(b"220 mx.x.test\r\n").await?,
        }
        let (mut commands, mut messages, mut secured, mut recipients) = (0, 0, false, String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            commands += 1;
            if manner == Manner::ClosesAfter(commands) {
                return Ok(());
            }
            let verb = line.split_whitespace().next().unwrap_or_default().to_owned();
            if let Manner::Answers(wanted, answer) = &manner
                && *wanted == verb
            {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                continue;
            }
            if manner == Manner::Slow && verb == "RCPT" {
                tokio::time::sleep(std::time::Duration::from_mins(4)).await;
            }
            match verb.as_str() {
                "EHLO" if manner == Manner::Endless => {
                    for _ in 0..16_384 {
                        stream.write_all(&b"250-x\r\n".repeat(9_000)).await?;
                        self.sent.fetch_add(9_000 * 7, Ordering::SeqCst);
                    }
                }
                "EHLO" => {
                    let offers = matches!(manner, Manner::Tls | Manner::BreaksTls) && !secured;
                    let tls = if offers { "250-STARTTLS\r\n" } else { "" };
                    stream.write_all(format!("250-mx.x.test\r\n{tls}250 PIPELINING\r\n").as_bytes()).await?;
                }
                "STARTTLS" => {
                    stream.write_all(b"220 go\r\n").await?;
                    if manner == Manner::BreaksTls {
                        return stream.write_all(b"this is no TLS at all\r\n").await;
                    }
                    let plain = stream.into_inner();
                    let tls: Box<dyn Stream> = Box::new(self.acceptor.as_ref().unwrap().accept(plain).await?);
                    stream = BufReader::new(tls);
                    secured = true;
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    let mut text = String::new();
                    while text != ".\r\n" && !text.ends_with("\r\n.\r\n") {
                        if stream.read_line(&mut text).await? == 0 {
                            return Ok(());
                        }
                    }
                    self.mail.lock().push(format!("{}{text}", std::mem::take(&mut recipients)));
                    messages += 1;
                    match manner {
                        Manner::DropsAfterTheDot => return Ok(()),
                        Manner::LeavesWith(answer) if messages == 2 => {
                            let goodbye = format!("{answer}\r\n421 4.3.2 enough\r\n");
                            return stream.write_all(goodbye.as_bytes()).await;
                        }
                        _ => {}
                    }
                    stream.write_all(b"250 2.0.0 taken\r\n").await?;
                    if manner == Manner::ClosesWhenIdle {
                        return Ok(());
                    }
                }
                "RCPT" => {
                    recipients.push_str(&line);
                    stream.write_all(b"250 ok\r\n").await?;
                }
                "QUIT" => return stream.write_all(b"221 bye\r\n").await,
                _ => stream.write_all(b"250 ok\r\n").await?,
            }
        }
    }
}

/// The relay's side of a world.
pub struct Wire(pub Arc<World>);

#[async_trait]
impl Network for Wire {
    async fn connect(&self, to: SocketAddr, _from: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        self.0.calls.lock().push(to);
        let Some(manner) = self.0.servers.get(&to.ip()) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        self.0.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(self.0.clone().serve(Box::new(theirs), manner.clone()));
        Ok(Box::new(ours))
    }
}

/// A relay in a world: `zone` is what DNS says, `trusted` whose certificates are believed.
pub fn relay(world: &Arc<World>, zone: &str, trusted: Option<&CertificateDer<'static>>) -> Relay {
    build(world, zone, trusted, None)
}

/// A relay in a world where every domain that announces a policy by MTA-STS has this one.
pub fn relay_under(world: &Arc<World>, zone: &str, policy: &str) -> Relay {
    build(world, zone, None, Some(Web(policy.to_owned())))
}

/// A web server with one policy for all.
struct Web(String);

#[async_trait]
impl PolicyFetcher for Web {
    async fn fetch(&self, _domain: &Name, _limit: usize) -> Result<Vec<u8>, String> {
        Ok(self.0.clone().into_bytes())
    }
}

fn build(
    world: &Arc<World>,
    zone: &str,
    trusted: Option<&CertificateDer<'static>>,
    web: Option<Web>,
) -> Relay {
    let resolver = Arc::new(Zone::parse(zone).unwrap());
    let kept = || Arc::new(Mutex::new(HashMap::<Name, Fetched>::new()));
    let sts = web.map(|web| StsPolicies::new(resolver.clone(), Arc::new(web), kept(), Clock::system()));
    let addresses = Addresses { allowed: vec!["192.0.2.0/24".parse().unwrap()], ..Addresses::default() };
    let router = Router::new(resolver.clone(), RouteTable::default(), addresses, Vec::new());
    let mut roots = RootCertStore::empty();
    // A client trusts somebody; who it is does not matter where nobody is asked.
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger.test".to_owned()]).unwrap();
    roots.add(stranger.cert.der().clone()).unwrap();
    if let Some(trusted) = trusted {
        roots.add(trusted.clone()).unwrap();
    }
    Relay::new(
        RelayOptions::new("here.test"),
        Arc::new(router),
        TlsPolicies::new(resolver, sts, true),
        Arc::new(TlsClient::new(roots).unwrap()),
        Arc::new(Wire(world.clone())),
        Some(1),
    )
}

pub fn attempt(recipients: &[&str]) -> Attempt {
    let recipient = |address: &&str| Recipient { address: (*address).to_owned(), ..Recipient::default() };
    let envelope = Envelope {
        sender: "a@here.test".to_owned(),
        recipients: recipients.iter().map(recipient).collect(),
        ..Envelope::default()
    };
    Attempt {
        destination: "x.test".to_owned(),
        envelope: Arc::new(envelope),
        source: Arc::new(Bytes::from_static(b"Subject: x\r\n\r\nhello\r\n")),
    }
}

/// The standing and the status of every recipient.
pub fn standings(report: &Report) -> String {
    let word = |standing| match standing {
        Standing::Delivered { .. } => "delivered",
        Standing::Temporary => "temporary",
        Standing::NextTransaction => "next",
        Standing::Unknown => "unknown",
        Standing::Permanent => "permanent",
    };
    let all: Vec<String> = report
        .deliveries
        .iter()
        .map(|one| format!("{} {}", word(one.outcome.standing), one.outcome.status))
        .collect();
    all.join(", ")
}
