//! Follows accounts on behalf of apps. Each subscription has a task that knows one thing to do at a time: have it
//! verified, say what is new, wait, or end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use store::bus::{self, Event};
use store::kv::{Range, Table};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use types::Timestamp;

use crate::delivery::{Saying, Sent, Source, Transport};
use crate::lease::Held;
use crate::table::{Place, SubscriptionRow, Subscriptions, ToldRow, shard_of};
use crate::{Error, Push};

/// The longest time for which nobody looks whether a subscription is over: clocks are set, words are lost.
const LOOK_AGAIN: Duration = Duration::from_hours(1);
/// Changes that an app does not want to hear of, until it is written down that they were looked at.
const UNTOLD: u64 = 256;

impl Push {
    /// Sends what there is to send, until `stopping` resolves.
    pub async fn run(
        &self,
        source: Arc<dyn Source>,
        transport: Arc<dyn Transport>,
        stopping: impl Future<Output = ()>,
    ) {
        // Before anything is looked at: what is made from then on is heard of.
        let mut words = self.bus().subscribe(crate::service::WORDS);
        let mut round = Round {
            push: self.clone(),
            source,
            transport,
            held: Held::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
        };
        let stopping = std::pin::pin!(stopping);
        tokio::select! {
            () = stopping => {}
            () = round.go_on(&mut words) => {}
        }
        drop(round);
        if let Err(error) = self.release().await {
            tracing::warn!(%error, "other nodes have to wait before they push for the accounts of this one");
        }
    }
}

/// The subscriptions that this node follows.
struct Round {
    push: Push,
    source: Arc<dyn Source>,
    transport: Arc<dyn Transport>,
    held: Held,
    tasks: JoinSet<()>,
    running: HashMap<Place, AbortHandle>,
}

impl Round {
    async fn go_on(&mut self, words: &mut bus::Subscription) {
        // Before half of a lease is over, so that it is renewed in time.
        let every = self.push.options().lease / 3;
        loop {
            if let Err(error) = self.deal().await {
                tracing::warn!(%error, "push subscriptions cannot be looked at; it is tried again");
            }
            let _heard = timeout(every, self.listen(words)).await;
            while self.tasks.try_join_next().is_some() {}
        }
    }

    /// Follows what there is a word of, until there is one that says that the leases have to be looked at.
    async fn listen(&mut self, words: &mut bus::Subscription) {
        loop {
            let Event::Message(key) = words.next().await else {
                // Some were lost: all shards are looked through again.
                self.held.clear();
                return;
            };
            let Some(place) = Subscriptions::parse(&key) else { continue };
            match self.held.get_mut(&shard_of(place.0)) {
                Some(made) if !self.running.contains_key(&place) => {
                    *made += 1;
                    self.follow(place);
                }
                Some(_) => {}
                // Perhaps nobody has it yet: it may be the first of its shard.
                None => return,
            }
        }
    }

    /// Keeps the leases, and follows all that is in them.
    async fn deal(&mut self) -> Result<(), Error> {
        let held = self.push.hold().await?;
        self.running.retain(|(account, _), task| {
            let keeps = held.contains_key(&shard_of(*account));
            if !keeps {
                task.abort();
            }
            keeps && !task.is_finished()
        });
        let before = std::mem::take(&mut self.held);
        for (shard, made) in held {
            if before.get(&shard) != Some(&made) {
                let range = &Subscriptions::of_shard(shard);
                let rows = self.push.kv().run(|tx| async move {
                    tx.rows::<Subscriptions>(Range::new(range.clone()).snapshot()).all().await
                });
                let rows: Vec<(Place, SubscriptionRow)> = rows.await.map_err(Error::Store)?;
                rows.into_iter().for_each(|(place, _)| self.follow(place));
            }
            // Only now: a shard that could not be looked through is looked through again.
            self.held.insert(shard, made);
        }
        Ok(())
    }

    fn follow(&mut self, place: Place) {
        if self.running.contains_key(&place) {
            return;
        }
        let follower = Follower {
            push: self.push.clone(),
            place,
            source: self.source.clone(),
            transport: self.transport.clone(),
            told: None,
            failures: 0,
            not_before: None,
        };
        self.running.insert(place, self.tasks.spawn(follower.run()));
    }
}

/// Follows an account for one subscription.
struct Follower {
    push: Push,
    place: Place,
    source: Arc<dyn Source>,
    transport: Arc<dyn Transport>,
    /// What the app was told, and what it does not want to be told.
    told: Option<ToldRow>,
    /// In a row.
    failures: u32,
    /// Nothing is sent before this, also when somebody has said a word on the subscription meanwhile.
    not_before: Option<Instant>,
}

/// What there is to do now.
enum Next {
    /// The subscription is no more.
    Over,
    /// Something may happen, until this long from now.
    Wait(Duration),
    /// Nothing is sent before so long from now, whatever happens: it is sent together then.
    Pause(Duration),
}

impl Follower {
    async fn run(mut self) {
        let (account, _) = self.place;
        // Before anything is read.
        let mut news = self.source.follow(account);
        let mut words = self.push.bus().subscribe(&Subscriptions::key(&self.place));
        loop {
            let next = match self.step().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%account, %error, "a push subscription cannot be served; it is tried again");
                    self.later(None)
                }
            };
            match next {
                Next::Over => return,
                Next::Wait(time) => {
                    tokio::select! {
                        _ = news.next() => {}
                        _ = words.next() => {}
                        () = sleep(time.min(LOOK_AGAIN)) => {}
                    }
                }
                Next::Pause(time) => {
                    tokio::select! {
                        _ = words.next() => {}
                        () = sleep(time) => {}
                    }
                }
            }
        }
    }

    /// Does what there is to do.
    async fn step(&mut self) -> Result<Next, Error> {
        let Some((row, stored)) = self.push.look(self.place).await? else { return Ok(Next::Over) };
        let now = self.push.clock().now();
        let end = match row.verified {
            true => row.expires,
            false => row.expires.min(row.created.plus(self.push.options().unverified)),
        };
        if end <= now {
            return self.end("its time is over").await;
        }
        if let Some(rest) = self.not_before.and_then(|at| at.checked_duration_since(Instant::now()))
            && rest > Duration::ZERO
        {
            return Ok(Next::Pause(rest.min(end.since(now))));
        }
        let idle = Ok(Next::Wait(end.since(now)));
        if !row.verified {
            return if stored.code_sent { idle } else { self.verify(&row, stored, end, now).await };
        }
        let told = self.told.take().unwrap_or(stored);
        let changed = self.source.changed(self.place.0, told.to).await.map_err(Error::Source)?;
        if changed.to <= told.to {
            self.told = Some(told);
            return idle;
        }
        let mut new = ToldRow { to: changed.to, ..told.clone() };
        let wanted = |name: &&str| row.types.as_ref().is_none_or(|types| types.iter().any(|t| t == name));
        let mut names = changed.types.into_iter().filter(wanted).peekable();
        if names.peek().is_none() {
            if new.to.0.saturating_sub(told.to.0) >= UNTOLD {
                self.push.note(self.place, &new).await?;
            }
            self.told = Some(new);
            return idle;
        }
        for name in names {
            new.states.retain(|(known, _)| known != name);
            new.states.push((name.to_owned(), new.to));
        }
        self.tell(&row, told, new).await
    }

    /// Sends the code.
    async fn verify(
        &mut self,
        row: &SubscriptionRow,
        told: ToldRow,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<Next, Error> {
        if !self.push.still_counts(self.place, row).await? {
            return self.end("its credentials are not valid any more").await;
        }
        let code = Saying::Code(self.source.verification(self.place.1, &row.code));
        match self.push.send(self.transport.as_ref(), self.place, row, code).await? {
            Sent::Taken => {
                self.failures = 0;
                self.push.note(self.place, &ToldRow { code_sent: true, ..told }).await?;
                Ok(Next::Wait(end.since(now)))
            }
            Sent::Gone => self.end("its push service does not know it").await,
            Sent::Forbidden => self.end("its push service has an address that is not connected to").await,
            Sent::Later(wish) => Ok(self.later(wish)),
        }
    }

    /// Sends what is new.
    async fn tell(&mut self, row: &SubscriptionRow, told: ToldRow, new: ToldRow) -> Result<Next, Error> {
        if !self.push.still_counts(self.place, row).await? {
            return self.end("its credentials are not valid any more").await;
        }
        let news = Saying::News(self.source.state_change(self.place.0, &new.states));
        match self.push.send(self.transport.as_ref(), self.place, row, news).await? {
            Sent::Taken => {
                self.failures = 0;
                self.push.note(self.place, &new).await?;
                self.told = Some(new);
                Ok(self.pause(self.push.options().gap))
            }
            Sent::Gone => self.end("its push service does not know it any more").await,
            Sent::Forbidden => {
                self.told = Some(told);
                Ok(self.later(None))
            }
            Sent::Later(wish) => {
                self.told = Some(told);
                Ok(self.later(wish))
            }
        }
    }

    async fn end(&self, why: &str) -> Result<Next, Error> {
        self.push.remove(self.place).await?;
        tracing::info!(account = %self.place.0, why, "a push subscription has ended");
        Ok(Next::Over)
    }

    /// When to try again: each pause is twice as long as the one before, and no two nodes or apps stay in step.
    fn later(&mut self, wish: Option<Duration>) -> Next {
        let (first, longest) = self.push.options().pauses;
        let pause = first.saturating_mul(1 << self.failures.min(20)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let quarter = pause / 4;
        let pause = pause - quarter + rand::rng().random_range(Duration::ZERO..=quarter * 2);
        self.pause(pause.max(wish.unwrap_or_default()))
    }

    fn pause(&mut self, time: Duration) -> Next {
        self.not_before = Some(Instant::now() + time);
        Next::Pause(time)
    }
}
