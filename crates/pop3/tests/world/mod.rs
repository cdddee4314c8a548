//! A server without sockets: real stores in a temporary directory, and any number of clients.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use directory::sasl::ChannelBindings;
use directory::{
    AccountSpec, Address, Challenge, CodeRequest, Cost, Directory, DomainName, DomainSettings, LoginLimits,
    NewOAuthClient, NewPassword, OAuthOptions, Options, RedirectUri, scopes_named,
};
use mail::{FlagAction, FlagChange, Mail, MailOptions, Member, Quota};
use pop3::{Config, Peer, Services, Session};
use store::blob::{self, Blobs, BlobsOptions, Memory};
use store::bus::Bus;
use store::kv::{self, Chaos, ChaosRates, Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use types::{AccountId, Clock, Keyword, Keywords, MailboxId, Timestamp, Uid};

pub const PASSWORD: &str = "correct horse";

pub struct World {
    pub mail: Mail,
    pub directory: Directory,
    pub alice: AccountId,
    pub clock: Clock,
    /// What has been read from the kv, and from the blob store.
    pub rows: Arc<kv::Metered>,
    pub blobs: Arc<blob::Metered>,
    bus: Bus,
    _files: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        // 2 January 2026, 03:04:05 UTC
        let (clock, _) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Embedded::open(files.path(), EmbeddedOptions::default()).unwrap();
        let rows = Arc::new(kv::Metered::new(Arc::new(engine)));
        let blobs = Arc::new(blob::Metered::new(Arc::new(Memory::new(clock.clone()))));
        let kv = Kv::new(rows.clone(), clock.clone());
        let bus = Bus::in_process(clock.clone());
        let store = Blobs::new(kv.clone(), blobs.clone(), clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv.clone(), store, bus.clone(), clock.clone(), MailOptions::default());
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::new(2).unwrap(),
            password_min_chars: 4,
            login_limits: LoginLimits { per_name: None, ..LoginLimits::default() },
            oauth: Some(OAuthOptions::default()),
            ..Options::default()
        };
        let directory = Directory::new(kv, bus.clone(), clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let password = Some(NewPassword::Clear(PASSWORD.to_owned()));
        let spec = AccountSpec::new(Address::parse("alice@example.test").unwrap(), password);
        let alice = directory.create_account(spec).await.unwrap();
        Self { mail, directory, alice, clock, rows, blobs, bus, _files: files }
    }

    /// An access token of alice's.
    pub async fn token(&self) -> String {
        let redirect = "http://127.0.0.1/";
        let redirects = vec![RedirectUri::parse(redirect).unwrap()];
        let new = NewOAuthClient { id: None, name: "App".to_owned(), redirects, device: false };
        let client = &self.directory.create_oauth_client(new).await.unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let owner = self.directory.consent("alice", PASSWORD, peer).await.unwrap();
        // RFC 7636 appendix B
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let request = CodeRequest { client, redirect, challenge, scopes: scopes_named(None).unwrap() };
        let code = self.directory.create_oauth_code(&owner, &request).await.unwrap();
        let redeemed = self.directory.redeem_oauth_code(&client.id, &code, redirect, verifier, peer).await;
        redeemed.unwrap().access
    }

    pub async fn deliver(&self, text: &[u8]) -> Uid {
        let message = self.mail.ingest(Bytes::copy_from_slice(text)).await.unwrap();
        let (inbox, now) = (MailboxId::INBOX, self.clock.now());
        let quota = Quota::default();
        self.mail.append(self.alice, inbox, &message, Keywords::new(), false, now, quota).await.unwrap().uid
    }

    /// What an IMAP session does that removes messages.
    pub async fn expunge(&self, uids: &[Uid]) {
        let change = FlagChange { action: FlagAction::Add, keywords: Keywords::new(), deleted: true };
        self.mail.store(self.alice, MailboxId::INBOX, uids, &change, None).await.unwrap();
        self.mail.expunge(self.alice, MailboxId::INBOX, Some(uids)).await.unwrap();
    }

    pub async fn members(&self) -> Vec<Member> {
        self.mail.members(self.alice, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 1_000_000).await.unwrap()
    }

    /// The UIDs in the INBOX.
    pub async fn there(&self) -> Vec<u32> {
        self.members().await.iter().map(|member| member.uid.0).collect()
    }

    /// Those of them that are marked as seen.
    pub async fn seen(&self) -> Vec<u32> {
        let members = self.members().await;
        members.iter().filter(|m| m.keywords.contains(Keyword::SEEN)).map(|m| m.uid.0).collect()
    }

    /// A client; its greeting is still to come.
    pub fn client(&self, config: Config, tls: bool) -> Client {
        self.client_on(self.mail.clone(), config, tls)
    }

    fn client_on(&self, mail: Mail, config: Config, tls: bool) -> Client {
        let peer =
            Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: tls.then_some(ChannelBindings::NONE) };
        let services = Services { mail, directory: self.directory.clone() };
        Client::new(Session::new(Arc::new(config), services, peer))
    }

    /// A client on a node whose every commit to the mail store fails.
    pub fn client_that_cannot_write(&self) -> Client {
        let quiet = ChaosRates {
            conflict: 1.0,
            unknown_applied: 0.0,
            unknown_dropped: 0.0,
            too_old: 0.0,
            delay: 0.0,
        };
        let kv = Kv::new(Arc::new(Chaos::new(self.rows.clone(), quiet, 1)), self.clock.clone());
        let memory = Arc::new(Memory::new(self.clock.clone()));
        let blobs = Blobs::new(kv.clone(), memory, self.clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv, blobs, self.bus.clone(), self.clock.clone(), MailOptions::default());
        self.client_on(mail, Config::default(), true)
    }

    /// A client that has logged in as alice.
    pub async fn alice(&self) -> Client {
        self.alice_with(Config::default()).await
    }

    pub async fn alice_with(&self, config: Config) -> Client {
        let mut client = self.client(config, true);
        let heard = client.say(&format!("USER alice\r\nPASS {PASSWORD}")).await;
        assert!(client.session.logged_in(), "{heard}");
        client
    }
}

/// A client of POP3.
pub type Client = stage::Client<Session>;
