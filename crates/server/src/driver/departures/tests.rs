//! Submissions with a clock that the test moves, and what they cost.

use std::time::Duration;

use directory::{Directory, NewPassword, Protocol as Scope};
use mail::{Arrival, Mail, MailOptions};
use queue::{Answer, Dice, Facts, Lease, Outcome, Passage, Queue};
use smtp::Protocol;
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Engine, Kv, Memory, Metered};
use types::{Clock, EmailId, Keyword, Keywords, MailboxId, ManualClock, ThreadId, Timestamp, Uid};

use super::*;
use crate::carriage::world::{carrier, create};
use crate::node::Node;
use crate::notice::Notifier;

const START: Timestamp = Timestamp(1_795_000_000_000);
const ALICE: &str = "alice@example.test";
const HOUR: Duration = Duration::from_hours(1);

/// One node on a store in memory that counts, and somebody who has logged in there.
struct Stage {
    engine: Arc<Metered>,
    objects: Arc<blob::Metered>,
    hand: ManualClock,
    node: Node,
    sender: Sender,
    alice: Authenticated,
    bob: AccountId,
}

impl Stage {
    async fn new() -> Self {
        crate::net::tls::install_provider();
        let (clock, hand) = Clock::manual(START);
        let engine = Arc::new(Metered::new(Arc::new(Memory::new())));
        let objects = Arc::new(blob::Metered::new(Arc::new(blob::Memory::new(clock.clone()))));
        let node = node(engine.clone(), objects.clone(), &clock);
        let (account, bob) = (create(&node, "alice").await, create(&node, "bob").await);
        let directory = &node.directory;
        directory.set_password(account, &NewPassword::Clear("correct-horse".to_owned())).await.unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        let alice = directory.authenticate(ALICE, "correct-horse", peer, Scope::Jmap).await.unwrap();
        let mut config = Config::new("mx.example.test", Protocol::Submission);
        config.dsn = true;
        config.extensions.future_release = Some(HOUR * 24);
        let sender = Sender::new(carrier(Protocol::Submission, &node), config, std::env::temp_dir());
        for account in [account, bob] {
            node.mail.mailboxes(account).await.unwrap();
        }
        Self { engine, objects, hand, node, sender, alice, bob }
    }

    fn departure(&self, hold: Option<Duration>, to: &[&str]) -> Departure {
        let held = |hold: Duration| vec![("HOLDFOR".to_owned(), Some(hold.as_secs().to_string()))];
        let path = |address: &str| Path { address: address.to_owned(), parameters: None };
        let message = "From: alice@example.test\r\nBcc: eve@x.test\r\nMessage-ID: <1@example.test>\r\n\
                       Subject: hi\r\n\r\nhello\r\n";
        Departure {
            identity: ObjectId(1),
            email: EmailId(1),
            thread: ThreadId(1),
            message: Bytes::from_static(message.as_bytes()),
            sender: Path { address: ALICE.to_owned(), parameters: hold.map(held) },
            recipients: to.iter().map(|address| path(address)).collect(),
            marker: [7; 16],
        }
    }

    async fn depart(&self, hold: Option<Duration>, to: &[&str]) -> ObjectId {
        let submission = self.sender.depart(&self.alice, self.departure(hold, to)).await.unwrap();
        // As a worker does: from here on the queue's time is this node's.
        assert!(hold.is_none() || self.claim().await.is_empty());
        submission
    }

    async fn recall(&self, submission: ObjectId) -> Result<(), NotRecalled> {
        self.sender.recall(self.alice.account(), submission).await
    }

    async fn submission(&self, submission: ObjectId) -> Submission {
        let found = self.node.mail.submissions_at(self.alice.account(), &[submission]).await.unwrap();
        found.into_iter().next().flatten().unwrap()
    }

    async fn claim(&self) -> Vec<Lease> {
        self.node.outbound.claim_for("a worker", 10, &|_: &str| 10).await.unwrap()
    }

    async fn waiting(&self) -> (usize, usize) {
        let count = async |queue: &Queue| queue.list(None, 10).await.unwrap().entries.len();
        (count(&self.node.inbound).await, count(&self.node.outbound).await)
    }

    async fn in_inbox(&self) -> usize {
        let bob = self.bob;
        self.node.mail.members(bob, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 10).await.unwrap().len()
    }

    /// Ends an attempt with one outcome for the only recipient.
    async fn settle(&self, lease: &Lease, outcome: Outcome) {
        let notifier = Notifier::new(&self.node, "mx.example.test");
        notifier.settle(&self.node.outbound, lease, vec![(0, outcome)]).await.unwrap();
    }

    async fn is_sound(&self) {
        assert!(self.node.mail.verify(self.alice.account()).await.unwrap().is_empty());
        for queue in [&self.node.inbound, &self.node.outbound] {
            let (_, found) = queue.verify().await.unwrap();
            assert!(found.is_empty(), "{found:?}");
        }
    }
}

fn node(engine: Arc<dyn Engine>, objects: Arc<dyn blob::Engine>, clock: &Clock) -> Node {
    let bus = Bus::in_process(clock.clone());
    let kv = Kv::new(engine, clock.clone());
    let blobs = Blobs::new(kv.clone(), objects, clock.clone(), BlobsOptions::default());
    let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), directory::Options::default());
    let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), MailOptions::default());
    let queue = |kind, options: queue::Options| {
        let options = queue::Options { dice: Dice::seeded(7), ..options };
        Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options)
    };
    let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
    let outbound = queue(queue::Kind::Outbound, queue::Options::outbound());
    let reports = reports::Reports::new(kv.clone(), clock.clone(), reports::Limits::default());
    Node { kv, blobs, bus, directory, mail, inbound, outbound, reports, clock: clock.clone() }
}

fn answer(text: &str) -> Answer {
    let reply = text.get(..3).and_then(|code| code.parse().ok());
    Answer { text: text.to_owned(), facts: Facts { reply, ..Facts::default() } }
}

#[tokio::test]
async fn what_is_held_waits_for_its_time_and_not_longer() {
    let stage = Stage::new().await;
    let submission = stage.depart(Some(HOUR), &["bob@example.test", "carol@x.test"]).await;
    let shown = stage.submission(submission).await;
    assert_eq!((shown.undo, shown.send_at), (Undo::Pending, START.plus(HOUR)));
    assert_eq!((stage.waiting().await, stage.in_inbox().await), ((1, 1), 0));
    stage.hand.advance(HOUR - Duration::from_secs(1));
    assert!(stage.claim().await.is_empty());
    stage.hand.advance(Duration::from_secs(1));
    let lease = stage.claim().await.remove(0);
    let passed = Outcome::Passed(Passage::Relayed, answer("250 2.0.0 taken"));
    stage.settle(&lease, passed).await;
    let shown = stage.submission(submission).await;
    assert_eq!(shown.undo, Undo::Final);
    let carol = &shown.recipients[1];
    assert_eq!((carol.arrival, carol.reply.as_str()), (Arrival::Unknown, "250 2.0.0 taken"));
    assert_eq!(shown.recipients[0].arrival, Arrival::Queued, "of bob nothing is known yet");
    stage.is_sound().await;
}

#[tokio::test]
async fn what_was_taken_back_is_never_sent() {
    let stage = Stage::new().await;
    let submission = stage.depart(Some(HOUR), &["bob@example.test", "carol@x.test", "dave@y.test"]).await;
    stage.recall(submission).await.unwrap();
    assert_eq!(stage.submission(submission).await.undo, Undo::Canceled);
    assert_eq!(stage.waiting().await, (0, 0));
    stage.hand.advance(HOUR * 2);
    assert!(stage.claim().await.is_empty());
    assert_eq!(stage.recall(submission).await, Err(NotRecalled::TooLate), "it is over");
    assert_eq!(stage.recall(ObjectId(99)).await, Err(NotRecalled::NotFound));
    // The same again is a new message, not a repetition of one that was never sent.
    let again = stage.depart(Some(HOUR), &["bob@example.test", "carol@x.test", "dave@y.test"]).await;
    assert_ne!(again, submission);
    assert_eq!(stage.waiting().await, (1, 1));
    stage.is_sound().await;
}

#[tokio::test]
async fn whoever_takes_it_first_has_it() {
    let stage = Stage::new().await;
    let submission = stage.depart(Some(HOUR), &["carol@x.test", "dave@y.test"]).await;
    stage.hand.advance(HOUR);
    // A worker has one of the two parts.
    let lease = stage.node.outbound.claim_for("a worker", 1, &|_: &str| 1).await.unwrap();
    assert_eq!(lease.len(), 1);
    assert_eq!(stage.recall(submission).await, Err(NotRecalled::TooLate));
    assert_eq!(stage.submission(submission).await.undo, Undo::Pending, "nothing was changed");
    // It was never tried, and is given back: so it can still be taken back.
    stage.node.outbound.give_back(&lease).await.unwrap();
    stage.recall(submission).await.unwrap();
    assert!(stage.node.outbound.renew(&mut lease[0].clone()).await.is_err(), "nobody has it any more");
    assert_eq!(stage.waiting().await, (0, 0));
    stage.is_sound().await;
}

#[tokio::test]
async fn what_a_worker_had_that_died_may_have_been_sent() {
    let stage = Stage::new().await;
    let submission = stage.depart(Some(HOUR), &["carol@x.test"]).await;
    stage.hand.advance(HOUR);
    assert_eq!(stage.claim().await.len(), 1);
    assert_eq!(stage.node.outbound.reclaim().await.unwrap(), 1, "the process was killed, and is there again");
    assert_eq!(stage.recall(submission).await, Err(NotRecalled::TooLate));
    assert_eq!(stage.waiting().await, (0, 1), "it is sent");
}

#[tokio::test]
async fn taking_back_and_taking_up_exclude_each_other() {
    for _ in 0..20 {
        let stage = Stage::new().await;
        let submission = stage.depart(Some(HOUR), &["carol@x.test"]).await;
        stage.hand.advance(HOUR);
        let (recalled, leases) = tokio::join!(stage.recall(submission), stage.claim());
        assert_eq!(recalled.is_ok(), leases.is_empty(), "{recalled:?}");
        let undone = stage.submission(submission).await.undo == Undo::Canceled;
        assert_eq!(undone, recalled.is_ok());
    }
}

#[tokio::test]
async fn a_repetition_finds_what_was_sent() {
    let stage = Stage::new().await;
    let to = ["bob@example.test", "carol@x.test"];
    let (one, two) = tokio::join!(stage.depart(None, &to), stage.depart(None, &to));
    assert_eq!(one, two);
    assert_eq!((stage.waiting().await, stage.in_inbox().await), ((0, 1), 1));
    let shown = stage.submission(one).await;
    assert_eq!((shown.undo, shown.recipients[0].arrival), (Undo::Final, Arrival::Yes));
    // A day later nobody repeats it: it is meant.
    stage.hand.advance(HOUR * 25);
    assert_ne!(stage.depart(None, &to).await, one);
    assert_eq!((stage.waiting().await, stage.in_inbox().await), ((0, 2), 2));
    stage.is_sound().await;
}

#[tokio::test]
async fn what_a_server_says_is_written_down_until_it_is_over() {
    let stage = Stage::new().await;
    let submission = stage.depart(None, &["carol@x.test"]).await;
    let lease = stage.claim().await.remove(0);
    stage.settle(&lease, Outcome::Later(answer("450 4.7.1 greylisted"))).await;
    let carol = stage.submission(submission).await.recipients.remove(0);
    assert_eq!((carol.arrival, carol.reply.as_str()), (Arrival::Queued, "450 4.7.1 greylisted"));
    stage.hand.advance(HOUR);
    let lease = stage.claim().await.remove(0);
    stage.settle(&lease, Outcome::Never(answer("550 5.1.1 no such user"))).await;
    let carol = stage.submission(submission).await.recipients.remove(0);
    assert_eq!((carol.arrival, carol.reply.as_str()), (Arrival::No, "550 5.1.1 no such user"));
    // A report is on its way, and says on what.
    let report = stage.node.inbound.list(None, 10).await.unwrap().entries.remove(0);
    assert_eq!(report.origin.reports_on, Some((stage.alice.account(), submission)));
}

#[tokio::test]
async fn old_submissions_are_forgotten() {
    let stage = Stage::new().await;
    let old = stage.depart(None, &["bob@example.test"]).await;
    let held = Departure { marker: [8; 16], ..stage.departure(Some(HOUR), &["bob@example.test"]) };
    stage.sender.depart(&stage.alice, held).await.unwrap();
    let account = stage.alice.account();
    stage.hand.advance(Mail::SUBMISSIONS_KEPT - HOUR);
    assert_eq!(stage.node.mail.upkeep(account).await.unwrap().submissions_forgotten, 0);
    stage.hand.advance(HOUR * 2);
    let before = stage.node.mail.modseq(account).await.unwrap();
    assert_eq!(stage.node.mail.upkeep(account).await.unwrap().submissions_forgotten, 1, "not what waits");
    let changes = stage.node.mail.changes(account, before, 10).await.unwrap();
    assert_eq!(changes.objects[&mail::ObjectKind::Submission].destroyed, [old]);
}

#[tokio::test]
async fn what_a_submission_costs() {
    let stage = Stage::new().await;
    let mut costs = Vec::new();
    for (marker, hold, to) in [
        (1, None, &["carol@x.test"][..]),
        (2, None, &["bob@example.test"]),
        (3, Some(HOUR), &["bob@example.test", "carol@x.test"]),
    ] {
        let departure = Departure { marker: [marker; 16], ..stage.departure(hold, to) };
        let message = departure.message.clone();
        let unique = format!("Message-ID: <{marker}@x>");
        let message =
            String::from_utf8(message.to_vec()).unwrap().replace("Message-ID: <1@example.test>", &unique);
        let departure = Departure { message: message.into(), ..departure };
        stage.engine.take();
        stage.objects.take();
        stage.sender.depart(&stage.alice, departure).await.unwrap();
        let (rows, objects) = (stage.engine.take(), stage.objects.take());
        costs.push((rows.commits, rows.read_rounds, objects.put_rounds));
    }
    // Commits, rounds that read, blobs written. docs/queue.md has the table.
    assert_eq!(costs, [(1, 11, 0), (2, 11, 0), (1, 13, 0)]);
}

impl Stage {
    /// An email of alice's that asks for a receipt.
    async fn asked(&self) -> EmailChanged {
        let raw =
            b"From: ann@x.test\r\nDisposition-Notification-To: ann@x.test\r\nSubject: hi\r\n\r\nhello\r\n";
        let (mail, account) = (&self.node.mail, self.alice.account());
        let message = mail.ingest(Bytes::from_static(raw)).await.unwrap();
        let (keywords, quota) = (Keywords::new(), mail::Quota::default());
        let inbox = MailboxId::INBOX;
        let appended = mail.append(account, inbox, &message, keywords, false, START, quota).await.unwrap();
        EmailChanged { email: appended.email, thread: appended.thread }
    }

    async fn is_marked(&self, email: EmailChanged) -> bool {
        let found = self.node.mail.email(self.alice.account(), &[email.email]).await.unwrap();
        found.into_iter().flatten().next().unwrap().keywords.contains(Keyword::MDN_SENT)
    }
}

fn receipt(to: &[&str]) -> Receipt {
    Receipt {
        from: (None, ALICE.to_owned()),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
        subject: None,
        text: None,
        reporting_ua: None,
        original_recipient: None,
        final_recipient: compose::Reported::internet(ALICE),
        disposition: "manual-action/MDN-sent-manually; displayed".parse().unwrap(),
        extension: Vec::new(),
        original: None,
        about: compose::About::default(),
        at: START,
        id: "1".to_owned(),
    }
}

#[tokio::test]
async fn a_receipt_and_the_mark_that_says_so_are_one() {
    let stage = Stage::new().await;
    let email = stage.asked().await;
    let send = async |to: &[&str]| stage.sender.acknowledge(&stage.alice, email, receipt(to)).await;
    assert!(matches!(send(&["nobody@example.test"]).await, Err(NotAcknowledged::Nowhere(_))));
    assert!(!stage.is_marked(email).await);
    assert_eq!(stage.waiting().await, (0, 0));
    // Who can be reached is told; the answer is durable, here and for elsewhere.
    send(&["ann@x.test", "bob@example.test", "nobody@example.test"]).await.unwrap();
    assert!(stage.is_marked(email).await);
    assert_eq!(stage.waiting().await, (1, 1));
    let lease = stage.claim().await.remove(0);
    assert_eq!((lease.origin().sender.as_str(), lease.origin().submission), ("", None));
    assert_eq!(send(&["ann@x.test"]).await, Err(NotAcknowledged::Already));
    // Somebody takes the mark away: the receipt is the same.
    let unmark = mail::SetChange::Patch(vec![(Keyword::new(Keyword::MDN_SENT).unwrap(), false)]);
    let unmark = mail::EmailUpdate::Change { keywords: Some(unmark), mailboxes: None };
    stage.node.mail.update_emails(stage.alice.account(), &[(email, unmark)], None).await.unwrap();
    send(&["ANN@x.test"]).await.unwrap();
    assert_eq!(stage.waiting().await, (1, 1));
    let gone = EmailChanged { email: EmailId(99), thread: ThreadId(99) };
    let none = stage.sender.acknowledge(&stage.alice, gone, receipt(&["eve@x.test"])).await;
    assert_eq!(none, Err(NotAcknowledged::Mail(mail::Error::NoSuchEmail)));
    assert_eq!(stage.waiting().await, (1, 1));
    stage.is_sound().await;
}

#[tokio::test]
async fn whoever_may_not_send_sends_no_receipt() {
    let mut stage = Stage::new().await;
    let email = stage.asked().await;
    let state = directory::AccountState::ReceiveOnly;
    stage.node.directory.set_state(stage.alice.account(), state).await.unwrap();
    let closed = stage.sender.acknowledge(&stage.alice, email, receipt(&["ann@x.test"])).await;
    assert!(matches!(closed, Err(NotAcknowledged::Forbidden(_))), "{closed:?}");
    let state = directory::AccountState::Active;
    stage.node.directory.set_state(stage.alice.account(), state).await.unwrap();
    stage.sender.config.limits.message = 100;
    let large = stage.sender.acknowledge(&stage.alice, email, receipt(&["ann@x.test"])).await;
    assert_eq!(large, Err(NotAcknowledged::TooLarge(100)));
    stage.sender.config.limits.message = 10_000;
    stage.sender.carrier.sending.recipients_per_day = Some(1);
    let much = stage.sender.acknowledge(&stage.alice, email, receipt(&["ann@x.test", "ben@x.test"])).await;
    assert!(matches!(much, Err(NotAcknowledged::TooOften(_))), "{much:?}");
    assert!(!stage.is_marked(email).await);
    assert_eq!(stage.waiting().await, (0, 0));
}
