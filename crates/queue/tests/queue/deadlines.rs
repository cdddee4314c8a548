//! Days behind a destination that is dead: who is tried when, and when senders hear of it.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{Cause, EntryId, Errand, Lease, LegState, NewEntry, NewLeg, Outcome, Settled};

use crate::world::{DAY, MINUTE, Node, SECOND, START, Told, World, mail, refused};

const DEAD: &str = "dead.example";
const HOUR: Duration = Duration::from_hours(1);

/// What happened to each message: when it was warned of, and when it was given up, counted from the start.
#[derive(Default)]
struct Days {
    probes: Vec<Duration>,
    warned: BTreeMap<EntryId, Vec<Duration>>,
    expired: BTreeMap<EntryId, Vec<Duration>>,
}

impl Days {
    async fn work(&mut self, node: &Node, lease: Lease) {
        let at = node.wall().since(START);
        match lease.errand() {
            Errand::Attempt => {
                self.probes.push(at);
                return node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
            }
            Errand::Warn => self.warned.entry(lease.id()).or_default().push(at),
            Errand::GiveUp => self.expired.entry(lease.id()).or_default().push(at),
        }
        node.queue.settle_with(&lease, vec![], &Told).await.unwrap();
    }
}

/// Lets time pass from one event to the next until nothing is left.
async fn live(node: &Node) -> Days {
    let mut days = Days::default();
    let deadlines = [HOUR * 4, DAY * 5];
    for _ in 0..2000 {
        loop {
            let leases = node.due().await;
            if leases.is_empty() {
                break;
            }
            for lease in leases {
                days.work(node, lease).await;
            }
        }
        if node.queue.list(None, 1).await.unwrap().entries.is_empty() {
            return days;
        }
        let at = node.wall().since(START);
        let next = node.line(DEAD).await.and_then(|line| line.next).map(|next| next.since(START));
        let coming = deadlines.into_iter().chain(next).filter(|moment| *moment > at).min();
        node.hand.advance(coming.map_or(SECOND, |moment| moment - at));
    }
    panic!("it never ends");
}

#[tokio::test]
async fn five_days_behind_a_dead_destination() {
    let world = World::new();
    let node = world.sender();
    for number in 0..30 {
        node.send(number, DEAD).await;
    }
    let days = live(&node).await;
    // The first attempts were under way together; after that there is one for all of them.
    assert!(days.probes[..30].iter().all(|at| *at == Duration::ZERO));
    let curve = &days.probes[29..];
    let line = node.queue.options().line;
    for (number, pair) in curve.windows(2).enumerate() {
        let due = (line.first * 2_u32.pow(number.min(20) as u32)).min(line.longest);
        let pause = pair[1] - pair[0];
        assert!(pause >= due * 8 / 10 && pause <= due * 12 / 10, "{number}: {pause:?}, {due:?}");
    }
    assert!((200..=310).contains(&curve.len()), "{} probes", curve.len());
    // Each sender hears of the delay once, and of the end once, on time.
    assert_eq!((days.warned.len(), days.expired.len()), (30, 30));
    assert!(days.warned.values().all(|at| at == &[HOUR * 4]), "{:?}", days.warned);
    assert!(days.expired.values().all(|at| at == &[DAY * 5]), "{:?}", days.expired);
    let told = node.told().await;
    assert_eq!(told, [("user0@dead.example/Delayed".into(), 30), ("user0@dead.example/Expired".into(), 30)]);
    // Nothing is left of it: the line goes when somebody looks at it next.
    node.hand.advance(HOUR);
    assert_eq!(node.due().await.len(), 0);
    assert_eq!(node.line(DEAD).await, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn who_is_given_up_hears_what_the_destination_said() {
    let world = World::new();
    let node = world.sender();
    let tried = node.send(1, DEAD).await;
    let lease = node.due_one().await;
    node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    let never_tried = node.send(2, DEAD).await;
    assert_eq!(node.due().await.len(), 0);
    node.hand.advance(DAY * 5);
    // The probe that is due meanwhile is no more than that.
    let leases = node.due().await;
    let given_up: Vec<_> = leases.iter().filter(|lease| lease.errand() == Errand::GiveUp).collect();
    let probes: Vec<_> = leases.iter().filter(|lease| lease.errand() == Errand::Attempt).collect();
    assert_eq!((given_up.len(), probes.len()), (1, 1));
    // Quietly: it goes to the error queue, where one can read it.
    assert_eq!(node.queue.settle(given_up[0], vec![]).await.unwrap(), Settled::Failed);
    node.queue.block(probes[0], Cause::Connection, &refused()).await.unwrap();
    let rest = node.due_one().await;
    assert_eq!(node.queue.settle(&rest, vec![]).await.unwrap(), Settled::Failed);
    for id in [tried, never_tried] {
        let leg = node.show(id).await.legs.remove(0);
        assert_eq!(leg.state, LegState::Failed);
        assert_eq!(leg.recipients[0].said.as_deref(), Some("connection refused"));
        let facts = leg.recipients[0].facts.clone().unwrap();
        assert_eq!(facts.status.as_deref(), Some("4.4.1"));
        let text = &leg.history.last().unwrap().text;
        assert!(
            text.starts_with("given up after ") && text.ends_with("in 5 days: connection refused"),
            "{text}"
        );
    }
    node.assert_sound().await;
}

#[tokio::test]
async fn what_waits_by_itself_is_warned_of_on_time_and_tried_a_last_time() {
    let world = World::new();
    let node = world.sender();
    let id = node.send(1, "grey.example").await;
    let (mut warned, mut last) = (Vec::new(), Duration::ZERO);
    let settled = loop {
        let due = node.show(id).await.legs[0].due;
        node.hand.advance(due.since(node.wall()));
        let lease = node.due_one().await;
        last = node.wall().since(START).max(last);
        let outcomes = match lease.errand() {
            Errand::Attempt => vec![(0, Outcome::Later("450 greylisted".into()))],
            Errand::Warn => vec![],
            Errand::GiveUp => panic!("the destination works"),
        };
        let settled = node.queue.settle_with(&lease, outcomes, &Told).await.unwrap();
        if node.told().await.len() > warned.len() {
            warned.push(node.wall().since(START));
        }
        if settled != Settled::Later {
            break settled;
        }
        node.assert_sound().await;
    };
    assert_eq!((settled, last), (Settled::Reported, DAY * 5));
    assert_eq!(warned, [HOUR * 4, DAY * 5]);
    let told = node.told().await;
    assert_eq!(told, [("user0@grey.example/Delayed".into(), 1), ("user0@grey.example/Expired".into(), 1)]);
}

#[tokio::test]
async fn what_was_released_waits_for_room_also_when_its_time_is_over() {
    let world = World::new();
    let node = world.sender();
    let id = node.send(1, "grey.example").await;
    node.queue.release(id).await.unwrap();
    let lease = node.due_one().await;
    assert!(lease.is_released());
    let outcomes = || vec![(0, Outcome::Later("450 greylisted".into()))];
    node.queue.settle_with(&lease, outcomes(), &Told).await.unwrap();
    node.hand.advance(DAY * 5);
    let well = node.send(2, "well.example").await;
    let room = |destination: &str| usize::from(destination == "well.example");
    let leases = node.queue.claim_for("sender", 10, &room).await.unwrap();
    assert_eq!(leases.iter().map(Lease::id).collect::<Vec<_>>(), [well], "others go on");
    node.queue.settle(&leases[0], vec![(0, Outcome::Done)]).await.unwrap();
    let busy = node.queue.options().busy;
    let leg = node.show(id).await.legs.remove(0);
    assert_eq!((leg.state, leg.due), (LegState::Waiting, node.wall().plus(busy)));
    assert_eq!(node.due().await.len(), 0, "not at once again");
    node.assert_sound().await;
    node.hand.advance(busy);
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.errand()), (id, Errand::Attempt));
    assert_eq!(node.queue.settle_with(&lease, outcomes(), &Told).await.unwrap(), Settled::Reported);
    assert_eq!(node.told().await, [("user0@grey.example/Expired".into(), 1)]);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_message_for_later_has_its_time_from_then_on() {
    let world = World::new();
    let node = world.sender();
    let leg = mail(1, DEAD, 1).legs.remove(0);
    let legs = vec![NewLeg { after: DAY, warn: Some(HOUR), give_up: Some(HOUR * 2), ..leg }];
    node.queue.enqueue(&NewEntry { legs, ..mail(1, DEAD, 1) }).await.unwrap();
    assert_eq!(node.due().await.len(), 0);
    node.hand.advance(DAY - SECOND);
    assert_eq!(node.due().await.len(), 0);
    node.hand.advance(SECOND);
    let lease = node.due_one().await;
    assert_eq!((lease.errand(), lease.attempt()), (Errand::Attempt, 1));
    node.queue.block(&lease, Cause::Name, &"no name server answers".into()).await.unwrap();
    let mut errands = Vec::new();
    for _ in 0..(3 * 60) {
        node.hand.advance(MINUTE);
        for lease in node.due().await {
            match lease.errand() {
                Errand::Attempt => node.queue.block(&lease, Cause::Name, &refused()).await.unwrap(),
                errand => {
                    errands.push((errand, node.wall().since(START) - DAY));
                    node.queue.settle_with(&lease, vec![], &Told).await.unwrap();
                }
            }
        }
    }
    assert_eq!(errands, [(Errand::Warn, HOUR), (Errand::GiveUp, HOUR * 2)]);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_dead_workers_warning_is_given_by_another() {
    let world = World::new();
    let node = world.sender();
    node.send(1, DEAD).await;
    let lease = node.due_one().await;
    node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    node.queue.hold_destination(DEAD, "they are moving").await.unwrap();
    node.hand.advance(HOUR * 4);
    assert_eq!(node.due_one().await.errand(), Errand::Warn);
    node.hand.advance(node.queue.options().lease);
    let lease = node.due_one().await;
    assert_eq!(lease.errand(), Errand::Warn);
    assert_eq!(node.queue.settle_with(&lease, vec![], &Told).await.unwrap(), Settled::Later);
    assert_eq!(node.told().await, [("user0@dead.example/Delayed".into(), 1)]);
    assert_eq!(node.due().await.len(), 0);
    assert!(node.line(DEAD).await.is_some_and(|line| line.depth == 1));
    node.assert_sound().await;
}
