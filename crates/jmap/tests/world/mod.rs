//! A server without HTTP: real stores in a temporary directory, and users who ask.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compose::Receipt;
use directory::{
    AccountSpec, Address, Authenticated, Cost, Directory, DomainName, DomainSettings, NewPassword, Options,
    Protocol, Quota,
};
use futures::future::BoxFuture;
use jmap::{
    Departure, Departures, Jmap, Limits, NotAcknowledged, NotRecalled, NotSent, Services, Terms, User,
};
use mail::{
    Addressee, Companion, Delivered, EmailChanged, Mail, MailOptions, Path, Quota as MailQuota, Submission,
    Undo, Word,
};
use push::Push;
use serde_json::{Value, json};
use store::blob::{Blobs, BlobsOptions, Memory};
use store::bus::Bus;
use store::kv::{self, Embedded, EmbeddedOptions, Kv, Transaction};
use tempfile::TempDir;
use types::{AccountId, Clock, Header, Keyword, MailboxId, ManualClock, ObjectId, Timestamp};

type Receipts = Arc<Mutex<Vec<Receipt>>>;

pub struct World {
    pub mail: Mail,
    pub directory: Directory,
    pub push: Push,
    pub jmap: Jmap,
    pub alice: User,
    pub bob: User,
    pub hand: ManualClock,
    /// Counts the rows that are read.
    pub rows: Arc<kv::Metered>,
    /// The receipts that were sent.
    pub receipts: Receipts,
    kv: Kv,
    _files: TempDir,
}

impl World {
    pub async fn new(limits: Limits) -> Self {
        let files = tempfile::tempdir().unwrap();
        // 2 January 2026, 03:04:05 UTC
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let engine = Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        let rows = Arc::new(kv::Metered::new(engine));
        let kv = Kv::new(rows.clone(), clock.clone());
        let (bus, store) = (Bus::in_process(clock.clone()), kv.clone());
        let objects = Arc::new(Memory::new(clock.clone()));
        let blobs = Blobs::new(kv.clone(), objects, clock.clone(), BlobsOptions::default());
        let mail = Mail::new(kv.clone(), blobs, bus.clone(), clock.clone(), MailOptions::default());
        let options =
            Options { cost: Cost::new(8, 1, 1).unwrap(), password_min_chars: 4, ..Options::default() };
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let alice = user(&directory, "alice@example.test", Quota::UNLIMITED).await;
        let bob = user(&directory, "bob@example.test", Quota { bytes: Some(2000), messages: None }).await;
        let receipts = Receipts::default();
        let outbox =
            Outbox { mail: mail.clone(), kv: kv.clone(), clock: clock.clone(), receipts: receipts.clone() };
        let departures = Arc::new(outbox);
        let options = push::Options::new("mailto:postmaster@example.test".to_owned());
        let push = Push::open(kv, bus, clock.clone(), directory.clone(), options).await.unwrap();
        let services = Services {
            mail: mail.clone(),
            directory: directory.clone(),
            push: Some(push.clone()),
            clock,
            departures,
        };
        let jmap = Jmap::new(services, limits);
        Self { mail, directory, push, jmap, alice, bob, hand, rows, receipts, kv: store, _files: files }
    }

    /// What a request is answered with: a Response object, or problem details.
    pub async fn ask(&self, user: &User, request: &Value) -> Value {
        match self.jmap.request(user, &serde_json::to_vec(request).unwrap()).await {
            Ok(response) => serde_json::from_slice(&response).unwrap(),
            Err(problem) => problem.to_json(),
        }
    }

    /// The arguments of the response to one call.
    pub async fn call(&self, method: &str, arguments: Value) -> Value {
        let using =
            ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"];
        let response =
            self.ask(&self.alice, &json!({"using": using, "methodCalls": [[method, arguments, "c"]]})).await;
        response["methodResponses"][0][1].clone()
    }

    /// Writes down what became of a submission of alice's, as the queues do.
    pub async fn note(&self, submission: &Value, words: &[Word]) {
        let submission = ObjectId(submission.as_str().unwrap()[1..].parse().unwrap());
        let (mail, account) = (&self.mail, self.alice.account());
        let note =
            |tx: Transaction| async move { mail.note_submission(&tx, account, submission, words).await };
        self.kv.run(note).await.unwrap();
    }

    /// Puts a message into one of alice's mailboxes, as IMAP would; returns its JMAP id.
    pub async fn append(&self, mailbox: u32, keywords: &[&str], received: u64, raw: &str) -> String {
        let message = self.mail.ingest(raw.replace('\n', "\r\n").into_bytes().into()).await.unwrap();
        let keywords = keywords.iter().map(|keyword| Keyword::new(keyword).unwrap()).collect();
        let (account, received) = (self.alice.account(), Timestamp(received));
        self.mail.mailboxes(account).await.unwrap();
        let appended = self
            .mail
            .append(account, MailboxId(mailbox), &message, keywords, false, received, MailQuota::default())
            .await
            .unwrap();
        format!("M{}T{}", appended.email, appended.thread)
    }
}

/// The name of a message's id.
fn name_of(message: &[u8]) -> Option<[u8; 16]> {
    let header = Header::parse(message);
    let id = mail::ingest::message_ids(header.named("message-id").next()?.value()).next()?;
    Some(Submission::name_of(&String::from_utf8_lossy(&id)))
}

async fn user(directory: &Directory, name: &str, quota: Quota) -> User {
    let password = Some(NewPassword::Clear("secret".to_owned()));
    let spec = AccountSpec { quota, ..AccountSpec::new(Address::parse(name).unwrap(), password) };
    directory.create_account(spec).await.unwrap();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    User::new(&directory.authenticate(name, "secret", peer, Protocol::Jmap).await.unwrap())
}

/// Nothing else.
struct Alone;

impl Companion for Alone {
    async fn join(
        &self,
        _: &Transaction,
        _: &[(AccountId, Result<Delivered, mail::Error>)],
    ) -> Result<(), mail::Error> {
        Ok(())
    }
}

/// A sender that brings nothing anywhere, and writes down what one does. Nobody has the address `who@example.test`.
struct Outbox {
    mail: Mail,
    kv: Kv,
    clock: Clock,
    receipts: Receipts,
}

impl Departures for Outbox {
    fn terms(&self) -> Terms {
        Terms {
            longest_hold: Duration::from_secs(3_600),
            extensions: BTreeMap::from([("FUTURERELEASE", vec!["3600".to_owned()])]),
            recipients: 3,
            message: 10_000,
        }
    }

    fn depart<'d>(
        &'d self,
        user: &'d Authenticated,
        departure: Departure,
    ) -> BoxFuture<'d, Result<ObjectId, NotSent>> {
        Box::pin(async move {
            let account = user.account();
            let known = self.mail.submitted(account, &departure.marker).await.unwrap();
            let bad = departure.recipients.iter().filter(|path| path.address == "who@example.test");
            let bad: Vec<_> = bad.map(|path| (path.address.clone(), "no such mailbox".to_owned())).collect();
            if !bad.is_empty() {
                return Err(NotSent::Recipients(bad));
            }
            let held = departure.sender.parameters.is_some();
            let now = self.clock.now();
            let addressee = |path: &Path| {
                let queued_as = Some(path.address.clone());
                Addressee { path: path.clone(), queued_as, ..Addressee::default() }
            };
            let new = Submission {
                identity: departure.identity,
                email: departure.email,
                thread: departure.thread,
                sender: departure.sender.clone(),
                recipients: departure.recipients.iter().map(addressee).collect(),
                made: now,
                send_at: if held { now.plus(Duration::from_secs(60)) } else { now },
                undo: if held { Undo::Pending } else { Undo::Final },
                inbound: None,
                outbound: Vec::new(),
                marker: departure.marker,
                reports: Vec::new(),
                receipts: Vec::new(),
                message: name_of(&departure.message),
            };
            let (mail, new, name) = (&self.mail, &new, &known.name);
            let record =
                |tx: Transaction| async move { mail.record_submission(&tx, account, new, name).await };
            Ok(self.kv.run(record).await.unwrap().submission)
        })
    }

    fn acknowledge<'d>(
        &'d self,
        user: &'d Authenticated,
        email: EmailChanged,
        receipt: Receipt,
    ) -> BoxFuture<'d, Result<(), NotAcknowledged>> {
        Box::pin(async move {
            if receipt.to.iter().any(|to| to == "who@example.test") {
                return Err(NotAcknowledged::Nowhere("who@example.test".to_owned()));
            }
            let keyword = Keyword::new(Keyword::MDN_SENT).unwrap();
            match self.mail.mark(user.account(), email, &keyword, &Alone).await? {
                true => self.receipts.lock().unwrap().push(receipt),
                false => return Err(NotAcknowledged::Already),
            }
            Ok(())
        })
    }

    fn recall<'d>(
        &'d self,
        account: AccountId,
        submission: ObjectId,
    ) -> BoxFuture<'d, Result<(), NotRecalled>> {
        Box::pin(async move {
            let mail = &self.mail;
            let cancel = |tx: Transaction| async move {
                let pending = mail.pending_submission(&tx, account, submission).await?;
                let before = pending.ok_or(mail::Error::Changed)?;
                mail.cancel_submission(&tx, account, submission, &before).await
            };
            self.kv.run(cancel).await.map_err(|_| NotRecalled::TooLate)
        })
    }
}
