//! A server without sockets and without a disk. It is set up once; every input gets a fork of it.

use std::cell::OnceCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use directory::{
    AccountSpec, Address, Cost, Directory, DomainName, DomainSettings, LoginLimits, NewOAuthClient,
    NewPassword, OAuthOptions, Options, RedirectUri,
};
use mail::{Mail, MailOptions, MailboxName, NewMailbox, Quota};
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Kv, Memory};
use tokio::runtime::{Builder, Runtime};
use types::{AccountId, Clock, Keyword, Keywords, MailboxId, ManualClock, Timestamp, Uid};

use crate::oauth;

pub const PASSWORD: &str = "correct horse";
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What is in alice's INBOX: a letter, one with parts, one in Korean.
const LETTERS: [&[u8]; 3] = [
    b"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: one\r\n\
      Date: Fri, 2 Jan 2026 03:04:05 +0000\r\nMessage-ID: <1@example.test>\r\n\r\nfirst\r\n.\r\nline\r\n",
    b"From: \"B. Ob\" <bob@example.test>, c@example.test\r\nCc: x: d@example.test, e@example.test;\r\n\
      Subject: Re: one\r\nIn-Reply-To: <1@example.test>\r\nMessage-ID: <2@example.test>\r\nMIME-Version: 1.0\r\n\
      Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/html; charset=utf-8\r\n\
      Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=ED=95=9C\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n\
      Subject: inner\r\n\r\ninside\r\n--a\r\nContent-Type: image/png; name=x.png\r\nContent-Disposition: attachment\r\n\
      Content-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--a--\r\n",
    b"From: carol@example.test\r\nSubject: =?euc-kr?B?x9GxuQ==?=\r\nContent-Type: text/plain; charset=euc-kr\r\n\r\n\
      \xc7\xd1\xb1\xb9\nbare\r\n",
];

/// Everything that a session needs, on stores of its own.
pub struct World {
    pub mail: Mail,
    pub directory: Directory,
    pub alice: AccountId,
    pub kv: Kv,
    pub clock: Clock,
    pub hand: ManualClock,
}

impl World {
    /// As every input finds it.
    pub fn new() -> Self {
        static READY: OnceLock<(Memory, AccountId)> = OnceLock::new();
        let (memory, alice) = READY.get_or_init(|| {
            let memory = Arc::new(Memory::new());
            // A thread of its own, because the caller's is inside its runtime already.
            let made = memory.clone();
            let alice = std::thread::spawn(move || block_on(prepare(made))).join().unwrap();
            (memory.fork(), alice)
        });
        Self::on(Arc::new(memory.fork()), *alice)
    }

    fn on(memory: Arc<Memory>, alice: AccountId) -> Self {
        // 2 January 2026, 03:04:05 UTC
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let kv = Kv::new(memory, clock.clone());
        let bus = Bus::in_process(clock.clone());
        let objects = Arc::new(blob::Memory::new(clock.clone()));
        let blobs = Blobs::new(kv.clone(), objects, clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv.clone(), blobs, bus.clone(), clock.clone(), MailOptions::default());
        let options = Options {
            cost: Cost::new(8, 1, 1).unwrap(),
            hashes_at_once: NonZeroUsize::MIN,
            password_min_chars: 4,
            login_limits: LoginLimits { per_name: None, ..LoginLimits::default() },
            oauth: Some(OAuthOptions { registration: true, ..OAuthOptions::default() }),
            ..Options::default()
        };
        let directory = Directory::new(kv.clone(), bus, clock.clone(), options);
        Self { mail, directory, alice, kv, clock, hand }
    }

    /// The UIDs in alice's INBOX.
    pub async fn inbox(&self) -> Vec<Uid> {
        let members =
            self.mail.members(self.alice, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 1_000).await.unwrap();
        members.iter().map(|member| member.uid).collect()
    }

    /// Every counter and every row fits every other.
    pub async fn check(&self) {
        let findings = self.mail.verify(self.alice).await.unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}

async fn prepare(memory: Arc<Memory>) -> AccountId {
    let world = World::on(memory, AccountId(0));
    let domain = DomainName::parse("example.test").unwrap();
    world.directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
    let password = || Some(NewPassword::Clear(PASSWORD.to_owned()));
    let account = |name| AccountSpec::new(Address::parse(name).unwrap(), password());
    let alice = world.directory.create_account(account("alice@example.test")).await.unwrap();
    world.directory.create_account(account("bob@example.test")).await.unwrap();
    let app = NewOAuthClient {
        id: Some("app".to_owned()),
        name: "An <App> & more".to_owned(),
        redirects: oauth::PLACES.iter().map(|place| RedirectUri::parse(place).unwrap()).collect(),
        device: true,
    };
    world.directory.create_oauth_client(app).await.unwrap();
    let mailbox = |name, parent| NewMailbox {
        name: MailboxName::new(name).unwrap(),
        parent,
        role: None,
        subscribed: true,
        sort_order: 0,
    };
    let work = world.mail.create_mailbox(alice, mailbox("Work", None)).await.unwrap();
    world.mail.create_mailbox(alice, mailbox("2026", Some(work.id))).await.unwrap();
    world.mail.create_mailbox(alice, mailbox("받은 것", None)).await.unwrap();
    for (number, letter) in LETTERS.iter().enumerate() {
        let message = world.mail.ingest(Bytes::from_static(letter)).await.unwrap();
        let mut keywords = Keywords::new();
        if number == 0 {
            keywords.insert(&Keyword::new(Keyword::SEEN).unwrap());
        }
        let (now, quota) = (world.clock.now(), Quota::default());
        world
            .mail
            .append(alice, MailboxId::INBOX, &message, keywords, number == 2, now, quota)
            .await
            .unwrap();
    }
    alice
}

/// Runs a target that waits for stores.
pub fn block_on<F: Future>(future: F) -> F::Output {
    thread_local!(static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() });
    RUNTIME.with(|runtime| {
        let made = runtime.get_or_init(|| Builder::new_current_thread().enable_time().build().unwrap());
        made.block_on(future)
    })
}
