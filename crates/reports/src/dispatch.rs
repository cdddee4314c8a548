//! Which reports are to be sent, and that each is sent once.
//!
//! A report waits under the moment at which it is due. Whoever takes it moves it to the end of a lease, with a token; the
//! transaction that puts the message into a queue also takes the report away, and fails where the token is not there
//! any more. So two nodes, a crash at any moment or a lost answer never make two of one report.

use std::future::Future;

use store::kv::{Range, Transaction};

use crate::Error;
use crate::day::Day;
use crate::observed::{DmarcRow, PublishedPolicy, TlsDay};
use crate::service::Reports;
use crate::table::{DmarcDays, DmarcRows, DueKey, DueRow, Dues, Kind, SettledRow, Settleds, TlsDays};
use crate::tally::token;

/// The most rows of one report.
const ROWS: usize = 5_000;

/// A report that this node is to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// What it is about.
    pub kind: Kind,
    /// The day.
    pub day: Day,
    /// The domain.
    pub domain: String,
    /// How often it was tried, this time included.
    pub tries: u32,
    key: DueKey,
    token: u64,
}

/// What a report says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// How TLS went.
    Tls(TlsDay),
    /// What became of mail.
    Dmarc {
        /// The policy that was found last.
        policy: PublishedPolicy,
        /// What it came to, the most frequent first.
        rows: Vec<(DmarcRow, u64)>,
    },
}

/// What else happens in the transaction that settles a report: both happen or neither.
pub trait Outlet: Sync {
    /// Joins the transaction, which may run several times. An error gives it up.
    fn join(&self, tx: &Transaction) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Nothing else happens.
pub struct Nothing;

impl Outlet for Nothing {
    async fn join(&self, _: &Transaction) -> Result<(), Error> {
        Ok(())
    }
}

impl Reports {
    /// Takes reports that are due, at most so many. They are this node's for as long as a lease lasts.
    ///
    /// One round that reads, and a commit; none if nothing is due.
    ///
    /// # Errors
    /// That of the store.
    pub async fn claim(&self, most: usize) -> Result<Vec<Claim>, Error> {
        let (now, token) = (self.clock().now(), token());
        let until = now.plus(self.limits().lease);
        self.kv()
            .run(|tx| async move {
                let rows = tx.rows::<Dues>(Range::new(Dues::until(now)).limit(most)).all().await?;
                let mut claims = Vec::new();
                for (key, row) in rows {
                    tx.remove::<Dues>(&key)?;
                    let DueKey { kind, day, domain, .. } = key;
                    let key = DueKey { due: until, kind, day, domain: domain.clone() };
                    let tries = row.tries.saturating_add(1);
                    tx.save::<Dues>(&key, &DueRow { token, tries })?;
                    claims.push(Claim { kind, day, domain, tries, key, token });
                }
                Ok(claims)
            })
            .await
    }

    /// Whether this was the last time that it is tried.
    pub fn is_last(&self, claim: &Claim) -> bool {
        claim.tries >= self.limits().tries
    }

    /// What a report says; none if there is nothing to say any more.
    ///
    /// # Errors
    /// That of the store.
    pub async fn content(&self, claim: &Claim) -> Result<Option<Content>, Error> {
        let tx = self.kv().read().await?;
        let key = (claim.day, claim.domain.clone());
        if claim.kind == Kind::Tls {
            let day = tx.snapshot_load::<TlsDays>(&key).await?;
            return Ok(day.filter(|day| !day.is_empty()).map(Content::Tls));
        }
        let Some(head) = tx.snapshot_load::<DmarcDays>(&key).await? else { return Ok(None) };
        let range = Range::new(DmarcRows::of(claim.day, &claim.domain)).limit(ROWS).snapshot();
        let rows = tx.rows::<DmarcRows>(range).all().await?;
        let mut rows: Vec<_> = rows.into_iter().map(|(_, counted)| (counted.row, counted.count)).collect();
        rows.sort_by(|(one, some), (other, more)| more.cmp(some).then_with(|| one.source.cmp(&other.source)));
        Ok((!rows.is_empty()).then_some(Content::Dmarc { policy: head.policy, rows }))
    }

    /// Ends a report: its observations go, and `outlet` does what belongs to it, in one transaction.
    ///
    /// # Errors
    /// [`Error::ClaimLost`] if it is no longer this node's; nothing has happened then.
    pub async fn settle(&self, claim: &Claim, what: &str, outlet: &impl Outlet) -> Result<(), Error> {
        let at = self.clock().now();
        self.kv()
            .run(|tx| async move {
                let there = tx.load::<Dues>(&claim.key).await?;
                if there.is_none_or(|row| row.token != claim.token) {
                    return Err(Error::ClaimLost {
                        domain: claim.domain.clone(),
                        day: claim.day.to_string(),
                    });
                }
                tx.remove::<Dues>(&claim.key)?;
                let key = (claim.day, claim.domain.clone());
                match claim.kind {
                    Kind::Tls => tx.remove::<TlsDays>(&key)?,
                    Kind::Dmarc => {
                        tx.remove::<DmarcDays>(&key)?;
                        tx.clear_range(DmarcRows::of(claim.day, &claim.domain))?;
                    }
                }
                let settled = SettledRow { at, what: what.to_owned() };
                tx.save::<Settleds>(&(claim.day, claim.kind, claim.domain.clone()), &settled)?;
                outlet.join(&tx).await
            })
            .await
    }
}
