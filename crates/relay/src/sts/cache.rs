//! Policies that are known, and when to look again.
//!
//! What an attacker can do is to keep us from reading the record or the policy. So what was known holds for as long as it
//! said, whatever cannot be read now (RFC 8461 §5.1, fault 71); it is replaced only by a newer policy, fetched over a
//! connection that proves whose it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dns::{DnsError, Name, Question, Record, Resolver};
use parking_lot::Mutex;
use tokio::time::timeout;
use types::{Clock, Timestamp};

use super::policy::POLICY;
use super::{StsMode, StsPolicy, record_id};

/// How long a fetch may take (RFC 8461 §3.3 suggests a minute).
const FETCH: Duration = Duration::from_secs(60);
/// How long a policy that cannot be fetched is not tried again (§3.3 suggests five minutes).
const PAUSE: Duration = Duration::from_secs(300);
/// A policy that was fetched so long ago is fetched again though its id has not changed (§3.3), or after half of its time:
/// so it does not end while its owner means to keep it.
const FRESH: Duration = Duration::from_hours(24);
/// Policies that are kept in memory, at most.
const KEPT: usize = 50_000;

/// Fetches policies over HTTPS.
#[async_trait]
pub trait PolicyFetcher: Send + Sync {
    /// The body of `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: only with a certificate for that name, with status
    /// 200, without following redirects, and never more than `limit` octets (§3.3).
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn fetch(&self, domain: &Name, limit: usize) -> Result<Vec<u8>, String>;
}

/// A policy as it was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The id in DNS that announced it.
    pub id: String,
    /// The policy.
    pub policy: StsPolicy,
    /// When.
    pub at: Timestamp,
}

impl Fetched {
    fn holds(&self, now: Timestamp) -> bool {
        now.since(self.at) < self.policy.max_age
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) < FRESH.min(self.policy.max_age / 2)
    }
}

/// Where policies are kept. In memory a restart forgets them, and with them the protection until the next fetch.
#[async_trait]
pub trait StsCache: Send + Sync {
    /// The policy of a domain, however old.
    async fn load(&self, domain: &Name) -> Option<Fetched>;
    /// Keeps a policy in the place of the one before.
    async fn store(&self, domain: &Name, fetched: Fetched);
}

/// What is known of a domain's policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StsState {
    /// It has none, or one that asks for nothing.
    None,
    /// It has this one.
    Policy(Arc<StsPolicy>),
    /// It announces one that cannot be had, and none is known from before: for the report (RFC 8460 §4.3.2.2). Mail goes
    /// as without a policy (RFC 8461 §5), except where the sender demands a proof: that waits.
    Unknown(String),
    /// DNS does not say whether it has one, and none is known from before. The same follows.
    Silent(String),
}

/// Knows policies.
pub struct StsPolicies {
    resolver: Arc<dyn Resolver>,
    fetcher: Arc<dyn PolicyFetcher>,
    cache: Arc<dyn StsCache>,
    clock: Clock,
    /// Domains whose policy could not be fetched, when, and why.
    failed: Mutex<HashMap<Name, (Duration, String)>>,
}

impl StsPolicies {
    /// Policies in a cache.
    pub fn new(
        resolver: Arc<dyn Resolver>,
        fetcher: Arc<dyn PolicyFetcher>,
        cache: Arc<dyn StsCache>,
        clock: Clock,
    ) -> Self {
        Self { resolver, fetcher, cache, clock, failed: Mutex::default() }
    }

    /// The policy of a domain as it holds now.
    pub async fn of(&self, domain: &Name) -> StsState {
        let now = self.clock.now();
        let known = self.cache.load(domain).await.filter(|known| known.holds(now));
        let state = |known: Option<Fetched>| match known {
            Some(known) if known.policy.mode != StsMode::None => StsState::Policy(Arc::new(known.policy)),
            _ => StsState::None,
        };
        let id = match self.announced(domain).await {
            Ok(Some(id)) => id,
            // Neither that there is no record nor that DNS is silent ends a policy that is known (§3.1).
            Ok(None) => return state(known),
            Err(error) if known.is_none() => return StsState::Silent(error.to_string()),
            Err(_) => return state(known),
        };
        if known.as_ref().is_some_and(|known| known.id == id && known.is_fresh(now)) {
            return state(known);
        }
        match self.fetch(domain).await {
            Ok(policy) => {
                let fetched = Fetched { id, policy, at: now };
                self.cache.store(domain, fetched.clone()).await;
                state(Some(fetched))
            }
            Err(why) if known.is_none() => StsState::Unknown(why),
            Err(_) => state(known),
        }
    }

    async fn announced(&self, domain: &Name) -> Result<Option<String>, DnsError> {
        let Some(name) = domain.below("_mta-sts") else { return Ok(None) };
        let answer = match self.resolver.ask(&Question::Txt(name)).await {
            Err(DnsError::NoSuchName) => return Ok(None),
            answer => answer?,
        };
        let texts = answer.records.iter().filter_map(|record| match record {
            Record::Txt(text) => Some(text.as_slice()),
            _ => None,
        });
        Ok(record_id(texts))
    }

    async fn fetch(&self, domain: &Name) -> Result<StsPolicy, String> {
        let now = self.clock.steady();
        if let Some((at, why)) = self.failed.lock().get(domain)
            && now.saturating_sub(*at) < PAUSE
        {
            return Err(why.clone());
        }
        let fetched = match timeout(FETCH, self.fetcher.fetch(domain, POLICY)).await {
            Ok(fetched) => {
                fetched.and_then(|text| StsPolicy::parse(&text).map_err(|error| error.to_string()))
            }
            Err(_late) => Err("fetching the policy took too long".to_owned()),
        };
        let mut failed = self.failed.lock();
        match &fetched {
            Ok(_) => {
                failed.remove(domain);
            }
            Err(why) => {
                if failed.len() >= KEPT {
                    failed.retain(|_, (at, _)| now.saturating_sub(*at) < PAUSE);
                }
                failed.insert(domain.clone(), (now, why.clone()));
            }
        }
        fetched
    }
}

/// A cache in memory.
#[async_trait]
impl StsCache for Mutex<HashMap<Name, Fetched>> {
    async fn load(&self, domain: &Name) -> Option<Fetched> {
        self.lock().get(domain).cloned()
    }

    async fn store(&self, domain: &Name, fetched: Fetched) {
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            let now = fetched.at;
            kept.retain(|_, one| one.holds(now));
        }
        if kept.len() < KEPT {
            kept.insert(domain.clone(), fetched);
        }
    }
}
