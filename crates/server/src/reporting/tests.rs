//! From a message that is checked to a signed report in the outbound queue, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use checks::{Checks, Client, DkimResult, Options};
use directory::{DkimAlgorithm, DomainSettings, NewDkimKey, Selector};
use dns::Zone;
use mail::{Mail, MailOptions};
use queue::{Entry, Protection, Queue};
use relay::{PolicyKind, TlsProblem, TlsReason};
use reports::Limits;
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Kv, Memory};
use types::{Clock, ManualClock, Timestamp};

use super::*;
use crate::config::Settings;

/// Noon of 2026-11-27.
const NOON: Timestamp = Timestamp(1_795_780_800_000);

struct World {
    node: Node,
    hand: ManualClock,
    /// The record of our key.
    key: String,
}

impl World {
    async fn new() -> Self {
        let (clock, hand) = Clock::manual(NOON);
        let kv = Kv::new(Arc::new(Memory::default()), clock.clone());
        let blobs = Arc::new(blob::Memory::new(clock.clone()));
        let blobs = Blobs::new(kv.clone(), blobs, clock.clone(), BlobsOptions::default());
        let bus = Bus::in_process(clock.clone());
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), directory::Options::default());
        let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), MailOptions::default());
        let queue = |kind, options| Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options);
        let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
        let outbound = queue(queue::Kind::Outbound, queue::Options::outbound());
        let reports = Reports::new(kv.clone(), clock.clone(), Limits::default());
        let domain = DomainName::parse("ours.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let key = checks::SigningKey::generate(checks::KeyKind::Ed25519).unwrap();
        let selector = Selector::parse("sel").unwrap();
        let (public, private) = (key.public().unwrap(), key.pkcs8().unwrap());
        let record = checks::KeyKind::Ed25519.record(&public);
        let new = NewDkimKey { selector, algorithm: DkimAlgorithm::Ed25519, public, private };
        directory.create_dkim_keys(&domain, &[new]).await.unwrap();
        let node = Node { kv, blobs, bus, directory, mail, inbound, outbound, reports, clock };
        Self { node, hand, key: format!("sel._domainkey.ours.test TXT {record}") }
    }

    async fn activate(&self) {
        let (domain, selector) = (DomainName::parse("ours.test").unwrap(), Selector::parse("sel").unwrap());
        self.node.directory.activate_dkim_key(&domain, &selector).await.unwrap();
    }

    fn reporting(&self, zone: &str) -> (Reporting, Arc<dyn Resolver>) {
        let mut options = Settings::new("mx.ours.test", "unused".into()).reports;
        options.sender.address = "postmaster@ours.test".to_owned();
        let resolver: Arc<dyn Resolver> = Arc::new(Zone::parse(zone).unwrap());
        let reporting = Reporting::new(options, &self.node, Some(resolver.clone()), &Lifecycle::default());
        (reporting, resolver)
    }

    async fn queued(&self) -> Vec<Entry> {
        self.node.outbound.list(None, 100).await.unwrap().entries
    }

    async fn message(&self, entry: &Entry) -> Bytes {
        let row = self.node.outbound.body(entry.id).await.unwrap();
        let source = self.node.mail.unpack(&row).unwrap();
        source.read(0..source.size()).await.unwrap()
    }
}

async fn saw(reporting: &Reporting, zone: &str, author: &str, to: &str) {
    let checks =
        Checks::new(Arc::new(Zone::parse(zone).unwrap()), Clock::system(), Options::new("mx.ours.test"));
    let client = Client {
        address: "192.0.2.1".parse().unwrap(),
        hello: "client.test".to_owned(),
        sender: Some(format!("x@{author}")),
    };
    let verdict = checks.check(client, format!("From: x@{author}\r\n\r\nx\r\n").into()).await;
    let recipients = std::iter::once(to);
    reporting.saw_message(verdict.results.as_ref(), &verdict.action, Treatment::Followed, recipients);
}

const WISHES: &str = "_dmarc.a.test TXT v=DMARC1; p=none; rua=mailto:d@a.test,mailto:small@a.test!1k
    _dmarc.ours.test TXT v=DMARC1; p=none; rua=mailto:postmaster+reports@ours.test
    _smtp._tls.b.test TXT v=TLSRPTv1; rua=mailto:t@b.test";

#[tokio::test]
async fn a_report_is_signed_and_leaves_once() {
    let world = World::new().await;
    world.activate().await;
    let (reporting, resolver) = world.reporting(WISHES);
    saw(&reporting, WISHES, "a.test", "alice@ours.test").await;
    // Reports on our own domains, and on mail that is a report, are for nobody.
    saw(&reporting, WISHES, "ours.test", "alice@ours.test").await;
    saw(&reporting, WISHES, "a.test", "Postmaster+Reports@ours.test").await;
    reporting.flush().await;
    reporting.send(&resolver).await;
    assert!(world.queued().await.is_empty(), "the day is not over");

    world.hand.advance(Duration::from_hours(18));
    reporting.send(&resolver).await;
    reporting.send(&resolver).await;
    let [entry] = world.queued().await.try_into().unwrap();
    assert_eq!(entry.origin.sender, "postmaster@ours.test");
    let [leg] = entry.legs.as_slice() else { panic!() };
    let to: Vec<_> = leg.recipients.iter().map(|one| (one.address.as_str(), one.notify)).collect();
    assert_eq!(
        (leg.destination.as_str(), to),
        ("a.test", vec![("d@a.test", Some(0))]),
        "the other wants 1 KiB"
    );

    let message = world.message(&entry).await;
    let report = reports::read(&attachments::attachments(&message)[0]).unwrap();
    assert_eq!((report.domain.as_str(), report.dmarc.unwrap().messages), ("a.test", 1));
    let zone = Zone::parse(&world.key).unwrap();
    let checks = Checks::new(Arc::new(zone), Clock::system(), Options::new("mx.a.test"));
    let client = Client { address: "192.0.2.9".parse().unwrap(), hello: String::new(), sender: None };
    let verdict = checks.check(client, message).await;
    let dkim = &verdict.results.unwrap().dkim[0];
    assert_eq!(
        (dkim.result, dkim.domain.as_ref().map(dns::Name::as_str)),
        (DkimResult::Pass, Some("ours.test"))
    );
}

#[tokio::test]
async fn a_report_on_tls_goes_whatever_tls_does_and_waits_for_a_key() {
    let world = World::new().await;
    let (reporting, resolver) = world.reporting(WISHES);
    let problem = TlsProblem {
        kind: PolicyKind::Sts,
        host: "mx.b.test".to_owned(),
        reason: TlsReason::CertificateExpired,
        detail: "it has expired".to_owned(),
    };
    let sighting = |sender: &'static str, destination: &'static str| {
        let problems = std::slice::from_ref(&problem);
        reporting.saw(&Sighting { sender, destination, tries: &[], problems, announced: &[] });
    };
    sighting("alice@ours.test", "b.test");
    sighting("alice@ours.test", "silent.test");
    sighting("postmaster@ours.test", "b.test");
    reporting.flush().await;
    world.hand.advance(Duration::from_hours(18));
    reporting.send(&resolver).await;
    assert!(world.queued().await.is_empty(), "nothing signs it");

    world.activate().await;
    world.hand.advance(Duration::from_hours(1));
    reporting.send(&resolver).await;
    let [entry] = world.queued().await.try_into().unwrap();
    assert_eq!(entry.origin.protection, Protection::Dispensable);
    assert_eq!(entry.legs[0].recipients[0].address, "t@b.test");
    let report = reports::read(&attachments::attachments(&world.message(&entry).await)[0]).unwrap();
    assert_eq!(report.tls[0].failed, 1, "a report on its way is not reported on");
}

#[tokio::test]
async fn only_reports_on_our_domains_are_kept() {
    let world = World::new().await;
    let (reporting, _) = world.reporting("");
    assert!(reporting.takes_reports("POSTMASTER+reports@ours.test"));
    assert!(!reporting.takes_reports("postmaster@ours.test"));
    for (domain, ours) in
        [("ours.test", true), ("Sub.ours.test", true), ("yours.test", false), ("test", false)]
    {
        assert_eq!(is_ours(&world.node.directory, domain).await.unwrap(), ours, "{domain}");
    }
}
