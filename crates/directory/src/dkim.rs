//! The keys with which a domain's mail is signed (RFC 6376), and their lives.
//!
//! ```text
//!   create ──> published ── activate ──> active ── retire, or another of its kind is activated ──> retired ──> removed
//!              DNS learns of it         signs                       its private half is gone; DNS keeps the record
//! ```
//!
//! What is signed today is verified for days, so the record of a retired key stays in DNS for a while. The directory
//! keeps keys and knows nothing of what is done with them.

use std::fmt;

use minicbor::{Decode, Encode};
use store::kv::{Range, Transaction};
use types::Timestamp;

use crate::directory::Directory;
use crate::domain::no_domain;
use crate::error::Error;
use crate::name::DomainName;
use crate::table::{DkimKeyRow, DkimKeys, DkimSecretRow, DkimSecrets, Domains, Hidden, SelectorKey};

/// The name of a key below its domain: one DNS label in lower case (RFC 6376 §3.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Selector(String);

impl Selector {
    /// Reads a selector: up to 63 letters, digits and inner hyphens.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let label = text.to_ascii_lowercase();
        let fits = (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if fits { Ok(Self(label)) } else { Err(Error::Selector(text.chars().take(80).collect())) }
    }

    /// One that was read before and comes back from a key.
    pub(crate) fn from_key(normal: &str) -> Self {
        Self(normal.to_owned())
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a key signs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum DkimAlgorithm {
    /// RSA with SHA-256.
    #[n(0)]
    Rsa,
    /// Ed25519 (RFC 8463).
    #[n(1)]
    Ed25519,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum DkimState {
    /// Its record is to be put into DNS; it signs nothing yet.
    #[n(0)]
    Published,
    /// It signs.
    #[n(1)]
    Active,
    /// It signs no more, and cannot: its private half is gone.
    #[n(2)]
    Retired,
}

/// A key, as everybody may know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DkimKey {
    /// Its name below the domain.
    pub selector: Selector,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// The public half, as DNS publishes it.
    pub public: Vec<u8>,
    /// Where it stands.
    pub state: DkimState,
    /// Since when it is here.
    pub created: Timestamp,
    /// Since when it signs, or signed.
    pub activated: Option<Timestamp>,
    /// Since when it signs no more.
    pub retired: Option<Timestamp>,
}

/// A key that is new.
#[derive(Clone)]
pub struct NewDkimKey {
    /// Its name below the domain.
    pub selector: Selector,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// The public half, as DNS publishes it.
    pub public: Vec<u8>,
    /// The private half: PKCS #8 in DER.
    pub private: Vec<u8>,
}

/// The private half of a key that signs now. It does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct DkimSecret {
    /// Its name below the domain.
    pub selector: Selector,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    private: Vec<u8>,
}

impl DkimSecret {
    /// PKCS #8 in DER.
    pub fn private(&self) -> &[u8] {
        &self.private
    }
}

impl fmt::Debug for DkimSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DkimSecret({}, …)", self.selector)
    }
}

impl fmt::Debug for NewDkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewDkimKey({}, …)", self.selector)
    }
}

/// The most keys that a domain can have, whatever their states.
const MOST: usize = 20;

impl Directory {
    /// Keeps new keys of a domain, all or none. They sign nothing until they are activated.
    pub async fn create_dkim_keys(
        &self,
        domain: &DomainName,
        new: &[NewDkimKey],
    ) -> Result<Vec<DkimKey>, Error> {
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let there = keys_of(&tx, domain).await?;
                if there.len() + new.len() > MOST {
                    return Err(Error::TooMany { what: "DKIM keys of a domain", limit: MOST });
                }
                let mut made = Vec::with_capacity(new.len());
                for NewDkimKey { selector, algorithm, public, private } in new {
                    let key = SelectorKey { domain: domain.clone(), selector: selector.clone() };
                    if there.iter().any(|(other, _)| *other == key) {
                        return Err(Error::DkimKeyExists {
                            domain: domain.clone(),
                            selector: selector.clone(),
                        });
                    }
                    let row = DkimKeyRow {
                        algorithm: *algorithm,
                        public: public.clone().into(),
                        state: DkimState::Published,
                        created: now,
                        activated: None,
                        retired: None,
                    };
                    let secret = DkimSecretRow {
                        algorithm: *algorithm,
                        private: Hidden(private.clone().into()),
                        active: false,
                    };
                    tx.save::<DkimKeys>(&key, &row)?;
                    tx.save::<DkimSecrets>(&key, &secret)?;
                    made.push(DkimKey::new(key, row));
                }
                Ok(made)
            })
            .await
    }

    /// All keys of a domain, in the order of their selectors.
    pub async fn dkim_keys(&self, domain: &DomainName) -> Result<Vec<DkimKey>, Error> {
        let keys = self.kv.run(|tx| async move { keys_of(&tx, domain).await }).await?;
        Ok(keys.into_iter().map(|(key, row)| DkimKey::new(key, row)).collect())
    }

    /// What mail of a domain is signed with now. One read.
    pub async fn signing_keys(&self, domain: &DomainName) -> Result<Vec<DkimSecret>, Error> {
        let range = DkimSecrets::range(domain);
        let range = &range;
        let rows = self
            .kv
            .run(|tx| async move { tx.rows::<DkimSecrets>(Range::new(range.clone()).snapshot()).all().await })
            .await?;
        let active = rows.into_iter().filter(|(_, row)| row.active);
        let secret = |(key, row): (SelectorKey, DkimSecretRow)| DkimSecret {
            selector: key.selector,
            algorithm: row.algorithm,
            private: row.private.0.into(),
        };
        Ok(active.map(secret).collect())
    }

    /// Lets a key sign from now on, and no other one of its algorithm: that is retired. Doing it again changes nothing.
    pub async fn activate_dkim_key(
        &self,
        domain: &DomainName,
        selector: &Selector,
    ) -> Result<DkimKey, Error> {
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let (key, mut row) = find(&tx, domain, selector).await?;
                if row.state == DkimState::Active {
                    return Ok(DkimKey::new(key, row));
                }
                let gone = || Error::DkimKeyRetired { domain: domain.clone(), selector: selector.clone() };
                let mut secret = tx.load::<DkimSecrets>(&key).await?.ok_or_else(gone)?;
                for (other, mut old) in keys_of(&tx, domain).await? {
                    if old.state == DkimState::Active && old.algorithm == row.algorithm {
                        retire(&tx, &other, &mut old, now)?;
                    }
                }
                (row.state, row.activated) = (DkimState::Active, Some(now));
                secret.active = true;
                tx.save::<DkimKeys>(&key, &row)?;
                tx.save::<DkimSecrets>(&key, &secret)?;
                Ok(DkimKey::new(key, row))
            })
            .await
    }

    /// Takes a key out of use for good: its private half is erased. Doing it again changes nothing.
    pub async fn retire_dkim_key(&self, domain: &DomainName, selector: &Selector) -> Result<DkimKey, Error> {
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let (key, mut row) = find(&tx, domain, selector).await?;
                if row.state != DkimState::Retired {
                    retire(&tx, &key, &mut row, now)?;
                }
                Ok(DkimKey::new(key, row))
            })
            .await
    }

    /// Forgets a key. One that signs must be retired first, and not by accident.
    pub async fn remove_dkim_key(&self, domain: &DomainName, selector: &Selector) -> Result<DkimKey, Error> {
        self.kv
            .run(|tx| async move {
                let (key, row) = find(&tx, domain, selector).await?;
                if row.state == DkimState::Active {
                    return Err(Error::DkimKeyActive { domain: domain.clone(), selector: selector.clone() });
                }
                tx.remove::<DkimKeys>(&key)?;
                tx.remove::<DkimSecrets>(&key)?;
                Ok(DkimKey::new(key, row))
            })
            .await
    }
}

impl DkimKey {
    fn new(key: SelectorKey, row: DkimKeyRow) -> Self {
        Self {
            selector: key.selector,
            algorithm: row.algorithm,
            public: row.public.into(),
            state: row.state,
            created: row.created,
            activated: row.activated,
            retired: row.retired,
        }
    }
}

/// Erases all keys of a domain that is going.
pub(crate) fn erase(tx: &Transaction, domain: &DomainName) -> Result<(), Error> {
    tx.clear_range(DkimKeys::range(domain))?;
    Ok(tx.clear_range(DkimSecrets::range(domain))?)
}

fn retire(tx: &Transaction, key: &SelectorKey, row: &mut DkimKeyRow, now: Timestamp) -> Result<(), Error> {
    (row.state, row.retired) = (DkimState::Retired, Some(now));
    tx.save::<DkimKeys>(key, row)?;
    Ok(tx.remove::<DkimSecrets>(key)?)
}

/// The keys of a domain that is here.
async fn keys_of(tx: &Transaction, domain: &DomainName) -> Result<Vec<(SelectorKey, DkimKeyRow)>, Error> {
    if tx.load::<Domains>(domain).await?.is_none() {
        return Err(no_domain(domain));
    }
    Ok(tx.rows::<DkimKeys>(Range::new(DkimKeys::range(domain))).all().await?)
}

async fn find(
    tx: &Transaction,
    domain: &DomainName,
    selector: &Selector,
) -> Result<(SelectorKey, DkimKeyRow), Error> {
    let key = SelectorKey { domain: domain.clone(), selector: selector.clone() };
    match tx.load::<DkimKeys>(&key).await? {
        Some(row) => Ok((key, row)),
        None => Err(Error::NoSuchDkimKey { domain: domain.clone(), selector: selector.clone() }),
    }
}
