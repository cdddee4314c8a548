//! A server without sockets: real stores in a temporary directory, and any number of clients.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::BytesMut;
use directory::sasl::ChannelBindings;
use directory::{
    AccountSpec, Address, Cost, Directory, DomainName, DomainSettings, LoginLimits, NewPassword, Options,
    Quota,
};
use imap::{Config, Peer, Services, Session, Step};
use mail::{Mail, MailOptions};
use store::blob::{self, Blobs, BlobsOptions, Memory};
use store::bus::Bus;
use store::kv::{self, Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use types::{AccountId, Clock, ManualClock, Timestamp};

pub const PASSWORD: &str = "correct horse";

/// What a driver knows of a TLS channel.
const CHANNEL: ChannelBindings = ChannelBindings::NONE.with_exporter([7; 32]);

pub struct World {
    pub mail: Mail,
    pub directory: Directory,
    pub alice: AccountId,
    pub clock: Clock,
    pub hand: ManualClock,
    /// Counts the rows that are read.
    pub rows: Arc<kv::Metered>,
    /// Counts the blobs that are opened.
    pub objects: Arc<blob::Metered>,
    _files: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        // 2 January 2026, 03:04:05 UTC
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        let rows = Arc::new(kv::Metered::new(engine));
        let kv = Kv::new(rows.clone(), clock.clone());
        let bus = Bus::in_process(clock.clone());
        let objects = Arc::new(blob::Metered::new(Arc::new(Memory::new(clock.clone()))));
        let blobs = Blobs::new(kv.clone(), objects.clone(), clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv.clone(), blobs, bus.clone(), clock.clone(), MailOptions::default());
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::new(2).unwrap(),
            password_min_chars: 4,
            login_limits: LoginLimits { per_name: None, ..LoginLimits::default() },
            ..Options::default()
        };
        let directory = Directory::new(kv, bus, clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let alice = account(&directory, "alice@example.test", Quota::UNLIMITED).await;
        account(&directory, "bob@example.test", Quota { bytes: Some(2000), messages: None }).await;
        Self { mail, directory, alice, clock, hand, rows, objects, _files: files }
    }

    pub fn services(&self) -> Services {
        Services { mail: self.mail.clone(), directory: self.directory.clone(), clock: self.clock.clone() }
    }

    /// A client; its greeting is still to come.
    pub fn client(&self, config: Config, tls: bool) -> Client {
        let peer =
            Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: tls.then_some(ChannelBindings::NONE) };
        let session = Session::new(Arc::new(config), self.services(), peer);
        Client {
            session,
            input: BytesMut::new(),
            output: Vec::new(),
            largest: 0,
            closed: false,
            wants_tls: false,
            compressed: false,
        }
    }

    /// A client that has logged in as alice.
    pub async fn alice(&self) -> Client {
        let mut client = self.client(Config::default(), true);
        client.say("in LOGIN alice \"correct horse\"").await;
        client
    }
}

async fn account(directory: &Directory, name: &str, quota: Quota) -> AccountId {
    let password = Some(NewPassword::Clear(PASSWORD.to_owned()));
    let spec = AccountSpec { quota, ..AccountSpec::new(Address::parse(name).unwrap(), password) };
    directory.create_account(spec).await.unwrap()
}

/// A client and the driver that serves it.
pub struct Client {
    pub session: Session,
    pub input: BytesMut,
    pub output: Vec<u8>,
    /// The largest single step of output.
    pub largest: usize,
    pub closed: bool,
    pub wants_tls: bool,
    pub compressed: bool,
}

impl Client {
    /// Serves the client until it has to say more.
    pub async fn serve(&mut self) {
        loop {
            match self.session.advance(&mut self.input).await {
                Step::Send(chunks) => {
                    self.largest = self.largest.max(chunks.iter().map(|c| c.len()).sum());
                    chunks.iter().for_each(|chunk| self.output.extend_from_slice(chunk));
                }
                Step::NeedInput => return,
                Step::Compress => self.compressed = true,
                Step::StartTls => {
                    self.wants_tls = true;
                    self.session.secured(CHANNEL);
                    return;
                }
                Step::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.serve().await;
    }

    pub async fn send_byte_by_byte(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !self.closed {
                self.send(&[*byte]).await;
            }
        }
    }

    /// What the server has said since the last time.
    pub fn heard(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned()
    }

    /// Sends a line and returns all that comes back.
    pub async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.heard()
    }

    /// Appends a message.
    pub async fn append(&mut self, mailbox: &str, message: &str) -> String {
        let line = format!("ap APPEND {mailbox} {{{}+}}\r\n{message}", message.len());
        self.say(&line).await
    }

    /// Waits for news while idling.
    pub async fn news(&mut self) -> String {
        self.session.changed().await;
        self.serve().await;
        self.heard()
    }
}
