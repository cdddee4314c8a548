//! Subscriptions as rows: made, shown, changed and destroyed by those who have logged in. After each change there is a word
//! on the bus, for the node that follows the account.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use directory::{AppPasswordId, Authenticated, Credential, Directory, Granted};
use store::bus::Bus;
use store::kv::{Kv, Range, Table, Transaction};
use types::{AccountId, Clock, Randomness, Timestamp};

use crate::table::{
    GrantedRow, KeysRow, Place, SubscriptionRow, Subscriptions, ToldRow, Tolds, made_key, shard_of,
};
use crate::turns::Turns;
use crate::vapid::Vapid;
use crate::{Change, Error, NewSubscription, Options, Refusal, Subscription, SubscriptionId};

/// The topic of words on subscriptions: each is the key of a row.
pub(crate) const WORDS: &[u8] = b"push";
const HOUR: Duration = Duration::from_hours(1);

/// Web Push. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Push {
    inner: Arc<Inner>,
}

struct Inner {
    kv: Kv,
    bus: Bus,
    clock: Clock,
    directory: Directory,
    options: Options,
    vapid: Vapid,
    /// This node's name in leases.
    holder: u64,
    /// Requests that may be under way.
    turns: Turns,
}

impl Push {
    /// Web Push on these services. The first time a key is made by which push services know this server.
    ///
    /// # Errors
    /// If the store is out of reach, or the key in it cannot be used.
    pub async fn open(
        kv: Kv,
        bus: Bus,
        clock: Clock,
        directory: Directory,
        options: Options,
    ) -> Result<Self, Error> {
        let vapid = Vapid::open(&kv, clock.now()).await?;
        let turns = Turns::new(options.at_once, options.at_once_per_user);
        let holder = u64::from_be_bytes(Randomness::bytes());
        Ok(Self { inner: Arc::new(Inner { kv, bus, clock, directory, options, vapid, holder, turns }) })
    }

    /// The public key by which push services know this server (RFC 9749 §3).
    pub fn application_server_key(&self) -> &str {
        self.inner.vapid.public()
    }

    /// Makes a subscription; its app gets a code by way of the push service, and nothing else before it has said it.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn create(&self, login: &Authenticated, new: NewSubscription) -> Result<Subscription, Refusal> {
        let now = self.clock().now();
        let owner = &Owner::of(login);
        let account = owner.account;
        let expires = self.end(now, new.expires)?;
        let counted = [b"push/made/".as_slice(), &account.0.to_be_bytes()].concat();
        if self.bus().count(&counted, 1, HOUR).await > self.options().per_hour {
            return Err(Refusal::TooOften(self.options().per_hour));
        }
        let credential = self.inner.directory.credential(login).await.map_err(Error::Directory)?;
        let credential = credential.ok_or(Refusal::Revoked)?;
        let keys = new
            .keys
            .map(|keys| KeysRow { p256dh: keys.p256dh().to_vec().into(), auth: keys.auth().to_vec().into() });
        let row = &SubscriptionRow {
            device: new.device,
            url: new.url,
            keys,
            code: URL_SAFE_NO_PAD.encode(Randomness::bytes::<16>()),
            verified: false,
            expires,
            types: new.types,
            created: now,
            app_password: owner.app_password,
            credential_changed: credential.changed,
            grant: owner.grant.clone(),
        };
        let place = (account, SubscriptionId(u64::from_be_bytes(Randomness::bytes())));
        let told = &ToldRow { to: new.since, ..ToldRow::default() };
        let most = self.options().per_user;
        let replaced = self
            .kv()
            .run(|tx| async move {
                let mut replaced = Vec::new();
                let mut kept = 0;
                for (other, known) in rows_of(&tx, account).await? {
                    let same = known.device == row.device && owner.owns(&known);
                    if same || known.expires <= now {
                        erase(&tx, &other)?;
                        replaced.push(other);
                    } else {
                        kept += 1;
                    }
                }
                if kept >= most {
                    return Err(Refusal::TooMany(most));
                }
                tx.save::<Subscriptions>(&place, row)?;
                tx.save::<Tolds>(&place, told)?;
                tx.add(made_key(shard_of(account)), 1)?;
                Ok(replaced)
            })
            .await?;
        for place in replaced.iter().chain([&place]) {
            self.say(place).await;
        }
        Ok(Subscription::new(place.1, row.clone()))
    }

    /// The subscriptions that these credentials have made.
    ///
    /// # Errors
    /// If the store is out of reach.
    pub async fn list(&self, login: &Authenticated) -> Result<Vec<Subscription>, Error> {
        let owner = &Owner::of(login);
        let account = owner.account;
        let now = self.clock().now();
        let rows =
            self.kv().run(|tx| async move { rows_of(&tx, account).await }).await.map_err(Error::Store)?;
        let own = rows.into_iter().filter(|(_, row)| owner.owns(row) && row.expires > now);
        Ok(own.map(|((_, id), row)| Subscription::new(id, row)).collect())
    }

    /// Changes a subscription, and returns how it is now.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn update(
        &self,
        login: &Authenticated,
        id: SubscriptionId,
        change: Change,
    ) -> Result<Subscription, Refusal> {
        let now = self.clock().now();
        let owner = &Owner::of(login);
        let account = owner.account;
        let place = &(account, id);
        let expires = change.expires.map(|wish| self.end(now, wish)).transpose()?;
        let (code, types) = (&change.code, &change.types);
        let row = self
            .kv()
            .run(|tx| async move {
                let row = tx.load::<Subscriptions>(place).await?;
                let mine = |row: &SubscriptionRow| owner.owns(row) && row.expires > now;
                let mut row = row.filter(mine).ok_or(Refusal::NotFound)?;
                if let Some(code) = code {
                    verify_slices_are_equal(code.as_bytes(), row.code.as_bytes())
                        .map_err(|_| Refusal::WrongCode)?;
                    row.verified = true;
                }
                if let Some(expires) = expires {
                    row.expires = expires;
                }
                if let Some(types) = types {
                    row.types.clone_from(types);
                }
                tx.save::<Subscriptions>(place, &row)?;
                Ok::<_, Refusal>(row)
            })
            .await?;
        self.say(place).await;
        Ok(Subscription::new(id, row))
    }

    /// Destroys a subscription.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or something of ours.
    pub async fn destroy(&self, login: &Authenticated, id: SubscriptionId) -> Result<(), Refusal> {
        let owner = &Owner::of(login);
        let account = owner.account;
        let place = &(account, id);
        self.kv()
            .run(|tx| async move {
                let row = tx.load::<Subscriptions>(place).await?;
                row.filter(|row| owner.owns(row)).ok_or(Refusal::NotFound)?;
                Ok::<_, Refusal>(erase(&tx, place)?)
            })
            .await?;
        self.say(place).await;
        Ok(())
    }

    /// When a subscription ends whose owner wishes this.
    fn end(&self, now: Timestamp, wish: Option<Timestamp>) -> Result<Timestamp, Refusal> {
        let latest = now.plus(self.options().lifetime);
        match wish {
            Some(wish) if wish <= now => Err(Refusal::Over),
            wish => Ok(wish.map_or(latest, |wish| wish.min(latest))),
        }
    }

    /// A subscription and what it was told, if it is there.
    pub(crate) async fn look(&self, place: Place) -> Result<Option<(SubscriptionRow, ToldRow)>, Error> {
        let place = &place;
        self.kv()
            .run(|tx| async move {
                let Some(row) = tx.snapshot_load::<Subscriptions>(place).await? else { return Ok(None) };
                let told = tx.snapshot_load::<Tolds>(place).await?;
                Ok(Some((row, told.unwrap_or_default())))
            })
            .await
    }

    /// Writes down what a subscription was told, if it is there.
    pub(crate) async fn note(&self, place: Place, told: &ToldRow) -> Result<(), Error> {
        let place = &place;
        self.kv()
            .run(|tx| async move {
                // Read so that a row is not left behind by whoever destroys it meanwhile.
                if tx.load::<Subscriptions>(place).await?.is_some() {
                    tx.save::<Tolds>(place, told)?;
                }
                Ok(())
            })
            .await
    }

    /// Removes a subscription that is over.
    pub(crate) async fn remove(&self, place: Place) -> Result<(), Error> {
        let place = &place;
        self.kv().run(|tx| async move { Ok(erase(&tx, place)?) }).await
    }

    /// Whether the credentials that a subscription was made with are still valid.
    pub(crate) async fn still_counts(&self, place: Place, row: &SubscriptionRow) -> Result<bool, Error> {
        let credential = Credential {
            account: place.0,
            app_password: row.app_password.map(AppPasswordId),
            grant: row.grant.as_ref().map(|row| Granted { grant: row.grant, client: row.client.clone() }),
            changed: row.credential_changed,
        };
        Ok(self.inner.directory.still_counts(&credential).await?)
    }

    /// Says that there is something to look at.
    async fn say(&self, place: &Place) {
        let key = Subscriptions::key(place);
        self.bus().publish(&key, Bytes::new()).await;
        self.bus().publish(WORDS, key.clone()).await;
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.inner.kv
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn vapid(&self) -> &Vapid {
        &self.inner.vapid
    }

    pub(crate) fn holder(&self) -> u64 {
        self.inner.holder
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }
}

/// Whose subscriptions somebody sees (RFC 8620 §7.2): those made with the same credentials.
struct Owner {
    account: AccountId,
    app_password: Option<u32>,
    grant: Option<GrantedRow>,
}

impl Owner {
    fn of(login: &Authenticated) -> Self {
        let grant = login.granted().map(|Granted { grant, client }| GrantedRow { grant, client });
        let app_password = login.app_password().map(|id| id.0);
        Self { account: login.account(), app_password, grant }
    }

    fn owns(&self, row: &SubscriptionRow) -> bool {
        row.app_password == self.app_password && row.grant == self.grant
    }
}

async fn rows_of(
    tx: &Transaction,
    account: AccountId,
) -> Result<Vec<(Place, SubscriptionRow)>, store::kv::Error> {
    tx.rows::<Subscriptions>(Range::new(Subscriptions::of(account))).all().await
}

/// Removes the URL, the keys and all.
fn erase(tx: &Transaction, place: &Place) -> Result<(), store::kv::Error> {
    tx.remove::<Subscriptions>(place)?;
    tx.remove::<Tolds>(place)
}
