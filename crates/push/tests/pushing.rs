//! Web Push with push services in memory and virtual time: what is sent, when, by whom, and when no more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use directory::{
    AccountSpec, Address, Authenticated, Cost, Directory, DomainName, DomainSettings, NewPassword,
    Options as DirectoryOptions, Protocol, Scopes,
};
use parking_lot::Mutex;
use push::{
    Answer, Change, Changed, Endpoint, NewSubscription, Options, Push, Refusal, Source, Subscription,
    SubscriptionId, Transport, Unreached,
};
use store::bus::{self, Bus};
use store::kv::{Kv, Memory};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use types::{AccountId, Clock, ManualClock, ModSeq, Timestamp};

/// An account whose changes are numbers: even ones are of `Email`, odd ones of `Mailbox`.
#[derive(Clone)]
struct Log {
    bus: Bus,
    modseq: Arc<AtomicU64>,
}

impl Log {
    async fn change(&self) -> u64 {
        let now = self.modseq.fetch_add(1, Ordering::SeqCst) + 1;
        self.bus.publish(b"log", Bytes::new()).await;
        now
    }
}

#[async_trait]
impl Source for Log {
    fn follow(&self, _: AccountId) -> bus::Subscription {
        self.bus.subscribe(b"log")
    }

    async fn changed(&self, _: AccountId, since: ModSeq) -> Result<Changed, Box<dyn StdError + Send + Sync>> {
        let to = self.modseq.load(Ordering::SeqCst);
        let has = |odd: u64| (since.0 + 1..=to).any(|modseq| modseq % 2 == odd);
        let types = [("Email", 0), ("Mailbox", 1)].into_iter().filter(|(_, odd)| has(*odd));
        Ok(Changed { to: ModSeq(to), types: types.map(|(name, _)| name).collect() })
    }

    fn state_change(&self, _: AccountId, states: &[(String, ModSeq)]) -> String {
        let mut states: Vec<String> = states.iter().map(|(name, at)| format!("{name}={}", at.0)).collect();
        states.sort();
        states.join(" ")
    }

    fn verification(&self, id: SubscriptionId, code: &str) -> String {
        format!("code {:016x} {code}", id.0)
    }
}

/// A push service that never answers.
const SLOW: &str = "https://slow.example.net";

type Posted = (Endpoint, Vec<(&'static str, String)>, String);

/// A push service that answers as it was told, or else 201; but see [`SLOW`].
struct Service {
    posted: mpsc::UnboundedSender<Posted>,
    answers: Arc<Mutex<VecDeque<Result<Answer, Unreached>>>>,
}

#[async_trait]
impl Transport for Service {
    async fn post(
        &self,
        to: &Endpoint,
        fields: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, Unreached> {
        self.posted.send((to.clone(), fields.to_vec(), String::from_utf8_lossy(&body).into_owned())).unwrap();
        if to.to_string() == SLOW {
            return std::future::pending().await;
        }
        let answer = self.answers.lock().pop_front();
        answer.unwrap_or(Ok(Answer { status: 201, retry_after: None }))
    }
}

struct World {
    kv: Kv,
    bus: Bus,
    clock: Clock,
    hand: ManualClock,
    directory: Directory,
    log: Log,
    posted: mpsc::UnboundedReceiver<Posted>,
    sender: mpsc::UnboundedSender<Posted>,
    answers: Arc<Mutex<VecDeque<Result<Answer, Unreached>>>>,
    alice: Authenticated,
}

impl World {
    async fn new() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_767_323_045));
        let kv = Kv::new(Arc::new(Memory::new()), clock.clone());
        let bus = Bus::in_process(clock.clone());
        let options = DirectoryOptions {
            cost: Cost::new(8, 1, 1).unwrap(),
            password_min_chars: 4,
            ..DirectoryOptions::default()
        };
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), options);
        let domain = DomainName::parse("example.test").unwrap();
        directory.create_domain(&domain, DomainSettings::default()).await.unwrap();
        let password = Some(NewPassword::Clear("secret".to_owned()));
        let spec = AccountSpec::new(Address::parse("alice@example.test").unwrap(), password);
        directory.create_account(spec).await.unwrap();
        let (sender, posted) = mpsc::unbounded_channel();
        let log = Log { bus: bus.clone(), modseq: Arc::new(AtomicU64::new(10)) };
        let alice = login(&directory, "secret").await;
        let answers = Arc::default();
        Self { kv, bus, clock, hand, directory, log, posted, sender, answers, alice }
    }

    async fn push(&self) -> Push {
        self.push_with(|_| {}).await
    }

    async fn push_with(&self, change: impl FnOnce(&mut Options)) -> Push {
        let mut options = Options::new("mailto:a@example.test".to_owned());
        change(&mut options);
        let (kv, bus, clock) = (self.kv.clone(), self.bus.clone(), self.clock.clone());
        Push::open(kv, bus, clock, self.directory.clone(), options).await.unwrap()
    }

    fn run(&self, push: &Push) -> Node {
        let service = Service { posted: self.sender.clone(), answers: self.answers.clone() };
        let (push, log) = (push.clone(), self.log.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopping = async {
                stopped.await.ok();
            };
            push.run(Arc::new(log), Arc::new(service), stopping).await;
        });
        Node { stop, task }
    }

    fn next_answers(&self, answers: impl IntoIterator<Item = (u16, Option<u64>)>) {
        let answer =
            |(status, seconds)| Ok(Answer { status, retry_after: Option::map(seconds, Duration::from_secs) });
        self.answers.lock().extend(answers.into_iter().map(answer));
    }

    fn new_subscription(&self, device: &str, types: Option<&[&str]>) -> NewSubscription {
        let url = format!("https://push.example.net/{device}");
        NewSubscription {
            device: device.to_owned(),
            endpoint: Endpoint::parse(&url).unwrap(),
            url,
            keys: None,
            expires: None,
            types: types.map(|types| types.iter().map(|name| (*name).to_owned()).collect()),
            since: ModSeq(self.log.modseq.load(Ordering::SeqCst)),
        }
    }

    /// The same at another place than the device's own.
    fn new_subscription_at(&self, url: &str, device: &str) -> NewSubscription {
        let endpoint = Endpoint::parse(url).unwrap();
        NewSubscription { url: url.to_owned(), endpoint, ..self.new_subscription(device, None) }
    }

    /// A subscription that its app has verified.
    async fn subscribe(&mut self, push: &Push, device: &str, types: Option<&[&str]>) -> Subscription {
        let made = push.create(&self.alice, self.new_subscription(device, types)).await.unwrap();
        let (_, _, text) = self.posted.recv().await.unwrap();
        let code = text.strip_prefix(&format!("code {:016x} ", made.id.0)).unwrap().to_owned();
        let change = Change { code: Some(code), ..Change::default() };
        push.update(&self.alice, made.id, change).await.unwrap()
    }

    /// What the next message says.
    async fn text(&mut self) -> String {
        self.posted.recv().await.unwrap().2
    }

    /// The topic of the next message, and what it says.
    async fn topic(&mut self) -> (String, String) {
        let (_, fields, text) = self.posted.recv().await.unwrap();
        let topic = fields.into_iter().find(|(name, _)| *name == "topic").unwrap().1;
        (topic, text)
    }

    /// Nothing more is sent, however long one waits.
    async fn silence(&mut self) {
        tokio::time::sleep(Duration::from_hours(3)).await;
        assert!(self.posted.try_recv().is_err());
    }
}

struct Node {
    stop: tokio::sync::oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Node {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// As SIGKILL does.
    async fn kill(self) {
        self.task.abort();
        self.task.await.unwrap_err();
    }
}

async fn login(directory: &Directory, secret: &str) -> Authenticated {
    login_as(directory, "alice@example.test", secret).await
}

async fn login_as(directory: &Directory, name: &str, secret: &str) -> Authenticated {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    directory.authenticate(name, secret, peer, Protocol::Jmap).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_before_the_code_is_said() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    let made = push.create(&world.alice, world.new_subscription("phone", None)).await.unwrap();
    assert!(!made.verified && made.code.is_none());
    let (to, fields, text) = world.posted.recv().await.unwrap();
    assert_eq!(to.to_string(), "https://push.example.net");
    let field = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("content-type"), Some("application/json"));
    assert_eq!((field("ttl"), field("urgency")), (Some("86400"), Some("normal")));
    assert!(field("authorization").unwrap().starts_with("vapid t="));
    assert!(field("authorization").unwrap().ends_with(push.application_server_key()));
    world.log.change().await;
    world.silence().await;
    let wrong = Change { code: Some("x".to_owned()), ..Change::default() };
    let refused = push.update(&world.alice, made.id, wrong).await.unwrap_err();
    assert!(matches!(refused, Refusal::WrongCode));
    world.silence().await;
    let code = text.rsplit_once(' ').unwrap().1.to_owned();
    let right = Change { code: Some(code.clone()), ..Change::default() };
    let now = push.update(&world.alice, made.id, right).await.unwrap();
    assert_eq!((now.verified, now.code), (true, Some(code)));
    // What has changed meanwhile is told now.
    assert_eq!(world.text().await, "Mailbox=11");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_message_holds_what_the_older_ones_held() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    world.subscribe(&push, "phone", None).await;
    world.log.change().await;
    assert_eq!(world.text().await, "Mailbox=11");
    world.log.change().await;
    assert_eq!(world.text().await, "Email=12 Mailbox=11");
    // What comes shortly after each other is told together.
    for _ in 0..100 {
        world.log.change().await;
    }
    assert_eq!(world.text().await, "Email=112 Mailbox=112");
    world.silence().await;
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_the_place_of_its_own_kind_and_subscription_alone() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    let mut codes = Vec::new();
    for device in ["one", "other"] {
        let new = world.new_subscription_at("https://push.example.net/browser", device);
        let made = push.create(&world.alice, new).await.unwrap();
        let (topic, text) = world.topic().await;
        codes.push(topic);
        let code = text.rsplit_once(' ').unwrap().1.to_owned();
        let change = Change { code: Some(code), ..Change::default() };
        push.update(&world.alice, made.id, change).await.unwrap();
    }
    let mut news = Vec::new();
    for _ in 0..2 {
        world.log.change().await;
        let mut topics = [world.topic().await.0, world.topic().await.0];
        topics.sort();
        news.push(topics);
    }
    assert_eq!(news[0], news[1], "the newer holds what the older held");
    let mut topics = [codes.as_slice(), &news[0]].concat();
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), 4, "{topics:?}");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slow_push_services_of_one_account_hold_up_no_other() {
    let mut world = World::new().await;
    let password = Some(NewPassword::Clear("secret".to_owned()));
    let spec = AccountSpec::new(Address::parse("bob@example.test").unwrap(), password);
    world.directory.create_account(spec).await.unwrap();
    let bob = login_as(&world.directory, "bob@example.test", "secret").await;
    let push = world.push_with(|options| (options.at_once, options.at_once_per_user) = (4, 3)).await;
    let node = world.run(&push);
    for device in ["a", "b", "c", "d"] {
        let new = world.new_subscription_at(&format!("{SLOW}/{device}"), device);
        push.create(&world.alice, new).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(world.posted.recv().await.unwrap().0.to_string(), SLOW);
    }
    let asked = tokio::time::Instant::now();
    push.create(&bob, world.new_subscription("phone", None)).await.unwrap();
    assert_eq!(world.posted.recv().await.unwrap().0.to_string(), "https://push.example.net");
    assert!(asked.elapsed() < Duration::from_secs(30), "nobody has answered alice yet");
    // The fourth one's turn comes when the others were waited for long enough.
    assert_eq!(world.posted.recv().await.unwrap().0.to_string(), SLOW);
    assert!(asked.elapsed() >= Duration::from_secs(29));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_an_app_wants_to_hear() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    world.subscribe(&push, "phone", Some(&["Email", "Calendar"])).await;
    world.log.change().await;
    world.silence().await;
    world.log.change().await;
    assert_eq!(world.text().await, "Email=12");
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_push_service_that_says_later_gets_the_newest_later() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    world.subscribe(&push, "phone", None).await;
    world.next_answers([(503, None), (429, Some(1800)), (301, None)]);
    world.answers.lock().push_back(Err(Unreached::Failed("no".to_owned())));
    world.log.change().await;
    assert_eq!(world.text().await, "Mailbox=11");
    let asked = tokio::time::Instant::now();
    world.log.change().await;
    assert_eq!(world.text().await, "Email=12 Mailbox=12");
    assert!(asked.elapsed() >= Duration::from_millis(7_500), "a first pause of ten seconds, less a quarter");
    let asked = tokio::time::Instant::now();
    world.log.change().await;
    assert_eq!(world.text().await, "Email=13 Mailbox=13");
    assert!(asked.elapsed() >= Duration::from_mins(30), "as it has asked for");
    assert_eq!(world.text().await, "Email=13 Mailbox=13");
    assert_eq!(world.text().await, "Email=13 Mailbox=13");
    world.silence().await;
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_is_forgotten() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    for status in [404, 410] {
        world.subscribe(&push, "phone", None).await;
        world.next_answers([(status, None)]);
        world.log.change().await;
        world.text().await;
        world.silence().await;
        assert_eq!(push.list(&world.alice).await.unwrap(), []);
        world.log.change().await;
        world.silence().await;
    }
    // An address that must not be connected to ends what was never verified.
    world.answers.lock().push_back(Err(Unreached::Forbidden("10.0.0.1".to_owned())));
    push.create(&world.alice, world.new_subscription("phone", None)).await.unwrap();
    world.text().await;
    world.silence().await;
    assert_eq!(push.list(&world.alice).await.unwrap(), []);
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fault_55_a_node_that_dies_is_followed_by_one_that_tells_what_is_new() {
    let mut world = World::new().await;
    let first = world.push().await;
    let node = world.run(&first);
    world.subscribe(&first, "phone", None).await;
    node.kill().await;
    world.log.change().await;
    world.log.change().await;
    let second = world.push().await;
    assert_eq!(first.application_server_key(), second.application_server_key());
    second.reclaim().await.unwrap();
    let node = world.run(&second);
    assert_eq!(world.text().await, "Email=12 Mailbox=12");
    world.silence().await;
    node.kill().await;
    // What was told is not told again.
    second.reclaim().await.unwrap();
    let node = world.run(&world.push().await);
    world.silence().await;
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_nodes_one_sends() {
    let mut world = World::new().await;
    let (one, two) = (world.push().await, world.push().await);
    let (first, second) = (world.run(&one), world.run(&two));
    world.subscribe(&two, "phone", None).await;
    world.log.change().await;
    assert_eq!(world.text().await, "Mailbox=11");
    world.silence().await;
    // One goes, and the other takes over, whichever has sent so far.
    first.stop().await;
    world.log.change().await;
    assert_eq!(world.text().await, "Email=12 Mailbox=11");
    world.silence().await;
    // One is killed, and its leases end by themselves.
    second.kill().await;
    let third = world.run(&one);
    world.log.change().await;
    world.silence().await;
    world.hand.advance(Duration::from_mins(2));
    assert_eq!(world.text().await, "Email=12 Mailbox=13");
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_made_with_credentials_ends_with_them() {
    let mut world = World::new().await;
    let push = world.push().await;
    let node = world.run(&push);
    let account = world.alice.account();
    let jmap = Scopes::NONE.with(Protocol::Jmap);
    let app = world.directory.create_app_password(account, "phone", jmap).await.unwrap();
    let by_app = login(&world.directory, &app.password).await;
    let by_password = std::mem::replace(&mut world.alice, by_app);
    let made = world.subscribe(&push, "phone", None).await;
    // What others have made, also of the same user, is not there.
    assert_eq!(push.list(&by_password).await.unwrap(), []);
    for refused in [
        push.destroy(&by_password, made.id).await.unwrap_err(),
        push.update(&by_password, made.id, Change::default()).await.unwrap_err(),
    ] {
        assert!(matches!(refused, Refusal::NotFound));
    }
    let by_app = std::mem::replace(&mut world.alice, by_password);
    world.subscribe(&push, "phone", None).await;
    assert_eq!(push.list(&by_app).await.unwrap(), [made]);
    // One word for both; the revoked one is told nothing.
    world.directory.revoke_app_password(account, by_app.app_password().unwrap()).await.unwrap();
    world.log.change().await;
    assert_eq!(world.text().await, "Mailbox=11");
    world.silence().await;
    assert_eq!(push.list(&by_app).await.unwrap(), []);
    // So does a password that is changed.
    world.hand.advance(Duration::from_secs(1));
    world.directory.set_password(account, &NewPassword::Clear("other".to_owned())).await.unwrap();
    world.log.change().await;
    world.silence().await;
    assert_eq!(push.list(&world.alice).await.unwrap(), []);
    assert!(matches!(
        push.create(&by_app, world.new_subscription("tablet", None)).await.unwrap_err(),
        Refusal::Revoked
    ));
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn times_end_and_numbers_are_bounded() {
    let mut world = World::new().await;
    let push = world.push_with(|options| (options.per_user, options.per_hour) = (2, 6)).await;
    let node = world.run(&push);
    let now = world.clock.now();
    let week = Duration::from_hours(7 * 24);
    let with = |device, expires| NewSubscription { expires, ..world.new_subscription(device, None) };
    let (one, two, over) = (
        with("a", None),
        with("b", Some(now.plus(week * 9))),
        with("c", Some(now.minus(Duration::from_secs(1)))),
    );
    for new in [one, two] {
        assert_eq!(push.create(&world.alice, new).await.unwrap().expires, now.plus(week));
        world.text().await;
    }
    assert!(matches!(push.create(&world.alice, over).await.unwrap_err(), Refusal::Over));
    let third = push.create(&world.alice, world.new_subscription("c", None)).await.unwrap_err();
    assert!(matches!(third, Refusal::TooMany(2)), "{third}");
    // The same device again is no third one.
    let again = push.create(&world.alice, world.new_subscription("b", None)).await.unwrap();
    world.text().await;
    let ids: Vec<_> = push.list(&world.alice).await.unwrap().iter().map(|made| made.id).collect();
    assert!(ids.len() == 2 && ids.contains(&again.id));
    let shorter = Change { expires: Some(Some(now.plus(Duration::from_hours(1)))), ..Change::default() };
    let shorter = push.update(&world.alice, again.id, shorter).await.unwrap();
    assert_eq!(shorter.expires, now.plus(Duration::from_hours(1)));
    world.hand.advance(Duration::from_hours(1));
    assert_eq!(push.list(&world.alice).await.unwrap().len(), 1);
    // What nobody verifies goes after a day.
    world.hand.advance(Duration::from_hours(23));
    world.silence().await;
    let made = push.list(&world.alice).await.unwrap();
    assert_eq!(made, []);
    let mut refused = 0;
    for number in 0..8 {
        let new = world.new_subscription("same", None);
        match push.create(&world.alice, new).await {
            Ok(_) => drop(world.text().await),
            Err(Refusal::TooOften(6)) => refused += 1,
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert_eq!(refused, 2);
    node.stop().await;
}
