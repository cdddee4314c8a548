use std::sync::Arc;

use checks::{ArcResult, KeyKind, SigningKey};
use directory::{Address, DkimAlgorithm, NewDkimKey, Resolution, Selector};
use smtp::{
    BodyType, Client, DeliveryVerdict, Envelope, Greeting, Hello, Notify, Origin, Protocol, Recipient,
    RecipientVerdict, ReversePath, Submission,
};
use store::bus::Bus;
use types::{AccountId, Clock, MailboxId, Uid};

use super::super::delivery::{Incoming, Outcome};
use super::super::recipients::Recipients;
use super::super::spool::Spool;
use super::super::world::{World, create};
use super::*;
use crate::node::Node;

const LETTER: &str = "Message-ID: <1@far.example>\r\nFrom: bob@far.example\r\nSubject: s\r\n\r\nBody.\r\n";
const BOB: &str = "bob@far.example";

/// A domain whose key is published, and aliases that lead elsewhere.
struct Stage {
    world: World,
    node: Node,
    zone: dns::Zone,
    alice: AccountId,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let node = world.node(world.engine.clone(), &Bus::in_process(Clock::system()));
        let alice = create(&node, "alice").await;
        let domain = DomainName::parse("example.test").unwrap();
        let key = SigningKey::generate(KeyKind::Rsa).unwrap();
        let selector = Selector::parse("s1").unwrap();
        let public = key.public().unwrap();
        let mut zone = dns::Zone::default();
        zone.add(&format!("s1._domainkey.example.test TXT {}", KeyKind::Rsa.record(&public))).unwrap();
        let new = NewDkimKey {
            selector: selector.clone(),
            algorithm: DkimAlgorithm::Rsa,
            public,
            private: key.pkcs8().unwrap(),
        };
        node.directory.create_dkim_keys(&domain, &[new]).await.unwrap();
        node.directory.activate_dkim_key(&domain, &selector).await.unwrap();
        let stage = Self { world, node, zone, alice };
        stage.alias("away@example.test", &["x@one.example", "y@two.example"]).await;
        stage.alias("both@example.test", &["alice@example.test", "x@one.example"]).await;
        stage.alias("one@example.test", &["x@one.example"]).await;
        stage
    }

    async fn alias(&self, at: &str, targets: &[&str]) {
        let address = |text: &str| Address::parse(text).unwrap();
        let targets: Vec<_> = targets.iter().map(|target| address(target)).collect();
        self.node.directory.create_alias(&address(at), &targets).await.unwrap();
    }

    fn checks(&self) -> Checks {
        let options = checks::Options { exempt: Vec::new(), ..checks::Options::new("mx.example.test") };
        Checks::new(Arc::new(self.zone.clone()), Clock::system(), options)
    }

    /// A server that others deliver to, and that checks what they bring.
    fn carrier(&self) -> Carrier {
        let carrier = self.world.carrier(Protocol::Smtp, &self.node, &self.node, &self.node);
        Carrier { checks: Some(self.checks()), ..carrier }
    }

    async fn outbound(&self) -> Vec<queue::Entry> {
        let mut entries = self.node.outbound.list(None, 10).await.unwrap().entries;
        entries.sort_by_key(|entry| entry.legs.iter().map(|leg| leg.destination.clone()).collect::<Vec<_>>());
        entries
    }

    async fn octets(&self, entry: &queue::Entry) -> String {
        let source = self.node.mail.unpack(&self.node.outbound.body(entry.id).await.unwrap()).unwrap();
        String::from_utf8(source.read(0..source.size()).await.unwrap().to_vec()).unwrap()
    }

    /// How many messages alice has in her INBOX.
    async fn kept(&self) -> usize {
        let members = self.node.mail.members(self.alice, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 10);
        members.await.unwrap().len()
    }
}

/// Recipients, with what their sender wants to hear.
type To<'a> = &'a [(&'a str, Option<Notify>)];

fn envelope(sender: &str, to: To<'_>) -> Envelope {
    let sender = match sender {
        "" => ReversePath::Null,
        sender => ReversePath::Mailbox(sender.parse().unwrap()),
    };
    let origin = Origin {
        client: Client {
            address: Some("192.0.2.1".parse().unwrap()),
            name: None,
            hello: Hello::new(Greeting::Ehlo, "mx.far.example").unwrap(),
            tls: None,
        },
        sender,
        size: None,
        body: BodyType::SevenBit,
        smtputf8: false,
        ret: None,
        envid: Some("envelope".to_owned()),
        submission: Submission::default(),
    };
    let recipients = to.iter().map(|(address, notify)| Recipient {
        path: ForwardPath::Mailbox(address.parse().unwrap()),
        notify: *notify,
        orcpt: None,
    });
    Envelope { origin: Arc::new(origin), recipients: recipients.collect() }
}

/// What the server says of each recipient at RCPT.
async fn resolved(carrier: &Carrier, envelope: &Envelope) -> (Recipients, Vec<RecipientVerdict>) {
    let mut recipients = Recipients::default();
    recipients.begin(&envelope.origin);
    let mut verdicts = Vec::new();
    for recipient in &envelope.recipients {
        verdicts.push(recipients.resolve(carrier, recipient).await);
    }
    (recipients, verdicts)
}

async fn send(carrier: &Carrier, sender: &str, to: To<'_>, message: &str) -> Outcome {
    let envelope = envelope(sender, to);
    let (recipients, verdicts) = resolved(carrier, &envelope).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, RecipientVerdict::Accept)), "{verdicts:?}");
    let client = envelope.origin.client.address.unwrap();
    let checks = carrier.checks.as_ref().map(|checks| {
        let sender = envelope.origin.sender.mailbox().map(ToString::to_string);
        checks.begin(checks::Client { address: client, hello: "mx.far.example".to_owned(), sender })
    });
    let mut spool = Spool::new(std::env::temp_dir(), carrier.budget.clone());
    spool.write(message.as_bytes()).await.unwrap();
    let (envelope, recipients, client) = (&envelope, &recipients, Some(client));
    Incoming { carrier, envelope, recipients, client, checks, draft: None, booking: None }
        .deliver(spool)
        .await
}

fn durable(outcome: &Outcome) -> bool {
    outcome.verdicts.iter().all(|verdict| matches!(verdict, DeliveryVerdict::Durable(_)))
}

#[tokio::test]
async fn what_is_sent_on_is_marked_sealed_and_in_our_name() {
    let stage = Stage::new().await;
    let carrier = stage.carrier();
    let success = Some(Notify { success: true, failure: true, delay: false });
    let to = [("both@example.test", success), ("away@example.test", success)];
    assert!(durable(&send(&carrier, BOB, &to, LETTER).await));
    assert_eq!(stage.kept().await, 1);

    // Each address once: x is reached by way of the first that leads there.
    let entries = stage.outbound().await;
    let [first, second] = entries.as_slice() else { panic!("{entries:?}") };
    for (entry, address, via) in
        [(first, "x@one.example", "both@example.test"), (second, "y@two.example", "away@example.test")]
    {
        let recipient = &entry.legs[0].recipients[0];
        assert_eq!((recipient.address.as_str(), recipient.notify), (address, Some(2)), "one of several");
        let octets = stage.octets(entry).await;
        assert!(octets.starts_with("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.test;"), "{octets}");
        let mark = format!("\r\nDelivered-To: {via}\r\nAuthentication-Results: mx.example.test;");
        assert!(octets.contains(&mark), "{octets}");
        assert!(octets.contains("\r\nReceived: from mx.far.example") && octets.ends_with(LETTER), "{octets}");
        assert!(!octets.contains("Return-Path"), "{octets}");
        // The next server finds the chain whole, and the sender in the domain that sends.
        let sender = entry.origin.sender.clone();
        assert!(sender.starts_with("SRS0=") && sender.ends_with("=far.example=bob@example.test"), "{sender}");
        assert_eq!(entry.origin.envid.as_deref(), Some("envelope"));
        let address = "192.0.2.2".parse().unwrap();
        let client = checks::Client { address, hello: "x".to_owned(), sender: Some(sender) };
        let verdict = stage.checks().check(client, Bytes::from(octets)).await;
        assert_eq!(verdict.results.unwrap().arc.result, ArcResult::Pass);
    }
}

#[tokio::test]
async fn wishes_are_kept_for_exactly_one() {
    let stage = Stage::new().await;
    let success = Some(Notify { success: true, failure: false, delay: false });
    assert!(durable(&send(&stage.carrier(), BOB, &[("one@example.test", success)], LETTER).await));
    assert_eq!(stage.outbound().await[0].legs[0].recipients[0].notify, Some(1));
}

#[tokio::test]
async fn a_retry_is_sent_on_once() {
    let stage = Stage::new().await;
    let carrier = stage.carrier();
    let to = [("both@example.test", None), ("away@example.test", None)];
    let first = send(&carrier, BOB, &to, LETTER).await;
    assert!(durable(&first));
    assert_eq!(first.settled.len(), 3);
    assert!(durable(&send(&carrier, BOB, &to, LETTER).await), "the answer was lost");
    assert_eq!((stage.outbound().await.len(), stage.kept().await), (2, 1));
    for fingerprint in &first.settled {
        carrier.retries.acknowledged(fingerprint).await;
    }
    assert!(durable(&send(&carrier, BOB, &to, LETTER).await), "sent again on purpose");
    assert_eq!((stage.outbound().await.len(), stage.kept().await), (4, 2));
}

#[tokio::test]
async fn what_cannot_be_sent_on_is_not_acknowledged() {
    let stage = Stage::new().await;
    let sick = stage.world.node(stage.world.sick(), &Bus::in_process(Clock::system()));
    let carrier = stage.world.carrier(Protocol::Smtp, &stage.node, &stage.node, &sick);
    let to = [("both@example.test", None)];
    let refused = send(&carrier, BOB, &to, LETTER).await;
    assert!(!durable(&refused) && refused.settled.is_empty());
    assert_eq!(stage.kept().await, 1);
    assert!(durable(&send(&stage.carrier(), BOB, &to, LETTER).await), "the store is well again");
    assert_eq!((stage.outbound().await.len(), stage.kept().await), (1, 1));
}

#[tokio::test]
async fn suspicious_mail_stays_here() {
    let mut stage = Stage::new().await;
    stage.zone.add("_dmarc.far.example TXT v=DMARC1; p=quarantine").unwrap();
    let carrier = stage.carrier();
    assert!(durable(&send(&carrier, BOB, &[("both@example.test", None)], LETTER).await));
    assert_eq!(stage.kept().await, 0, "it is in Junk");
    let refused = send(&carrier, BOB, &[("one@example.test", None)], LETTER).await;
    let [DeliveryVerdict::Refuse(refusal)] = refused.verdicts.as_slice() else { panic!("taken") };
    assert!(format!("{refusal:?}").contains("not forwarded"), "{refusal:?}");
    assert!(stage.outbound().await.is_empty());
}

#[tokio::test]
async fn fault_17_a_notification_goes_back_to_the_first_sender_from_nobody() {
    let stage = Stage::new().await;
    let carrier = stage.carrier();
    assert!(durable(&send(&carrier, BOB, &[("one@example.test", None)], LETTER).await));
    let sender = stage.outbound().await[0].origin.sender.clone();
    let first = Resolution::Sender { address: BOB.to_owned() };
    assert_eq!(stage.node.directory.resolve(&sender).await.unwrap(), first);
    let report = "Message-ID: <2@one.example>\r\nFrom: postmaster@one.example\r\n\r\nNot delivered.\r\n";
    assert!(durable(&send(&carrier, "", &[(&sender, None)], report).await));
    let entries = stage.outbound().await;
    let [back, _] = entries.as_slice() else { panic!("{entries:?}") };
    let to = back.legs[0].recipients[0].address.as_str();
    assert_eq!((back.origin.sender.as_str(), to), ("", BOB));

    let forged = sender.replace("bob", "carol");
    for (from, to, why) in [("", &forged, "not made here"), (BOB, &sender, "for notifications")] {
        let (_, verdicts) = resolved(&carrier, &envelope(from, &[(to, None)])).await;
        let [RecipientVerdict::Refuse(refusal)] = verdicts.as_slice() else { panic!("{verdicts:?}") };
        assert!(format!("{refusal:?}").contains(why), "{refusal:?}");
    }
}
