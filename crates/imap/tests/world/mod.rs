//! A server without sockets: real stores in a temporary directory, and any number of clients.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use directory::sasl::ChannelBindings;
use directory::{
    AccountSpec, Address, Challenge, CodeRequest, Cost, Directory, DomainName, DomainSettings, LoginLimits,
    NewOAuthClient, NewPassword, OAuthOptions, Options, Quota, RedirectUri, scopes_named,
};
use imap::{Config, Peer, Services, Session};
use mail::{Mail, MailOptions};
use store::blob::{self, Blobs, BlobsOptions, Memory};
use store::bus::Bus;
use store::kv::{self, Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use types::{AccountId, Clock, ManualClock, Timestamp};

pub const PASSWORD: &str = "correct horse";

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
        Self::with(MailOptions::default()).await
    }

    /// One that keeps no mailbox in memory, as if all were too large for that.
    pub async fn without_memory() -> Self {
        Self::with(MailOptions { mailbox_cache: 0, ..MailOptions::default() }).await
    }

    async fn with(options: MailOptions) -> Self {
        let files = tempfile::tempdir().unwrap();
        // 2 January 2026, 03:04:05 UTC
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        let rows = Arc::new(kv::Metered::new(engine));
        let kv = Kv::new(rows.clone(), clock.clone());
        let bus = Bus::in_process(clock.clone());
        let objects = Arc::new(blob::Metered::new(Arc::new(Memory::new(clock.clone()))));
        let blobs = Blobs::new(kv.clone(), objects.clone(), clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv.clone(), blobs, bus.clone(), clock.clone(), options);
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::new(2).unwrap(),
            password_min_chars: 4,
            login_limits: LoginLimits { per_name: None, ..LoginLimits::default() },
            oauth: Some(OAuthOptions::default()),
            ..Options::default()
        };
        let directory = Directory::new(kv, bus, clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let alice = account(&directory, "alice@example.test", Quota::UNLIMITED).await;
        account(&directory, "bob@example.test", Quota { bytes: Some(2000), messages: None }).await;
        Self { mail, directory, alice, clock, hand, rows, objects, _files: files }
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

    pub fn services(&self) -> Services {
        Services { mail: self.mail.clone(), directory: self.directory.clone(), clock: self.clock.clone() }
    }

    /// A client; its greeting is still to come.
    pub fn client(&self, config: Config, tls: bool) -> Client {
        let peer =
            Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), tls: tls.then_some(ChannelBindings::NONE) };
        let session = Session::new(Arc::new(config), self.services(), peer);
        Client::new(session)
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

/// A client of IMAP.
pub type Client = stage::Client<Session>;
