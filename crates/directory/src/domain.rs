//! Domains.

use store::kv::{Range, Transaction};
use types::{DomainId, Timestamp};

use crate::directory::Directory;
use crate::dkim;
use crate::error::Error;
use crate::name::{Address, DomainName};
use crate::page::{Page, PageRequest, list};
use crate::table::{DomainRow, Domains, Names, Sequences, Target, load_names_and_domains};

/// A domain that this service is responsible for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// Never reused.
    pub id: DomainId,
    /// Its name.
    pub name: DomainName,
    /// Since when it is here.
    pub created: Timestamp,
    /// Who gets what is addressed to nobody.
    pub catch_all: Option<Address>,
    /// What an operator may choose about it.
    pub settings: DomainSettings,
}

/// What an operator may choose about a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DomainSettings {
    /// What stands between a name and its detail, as in `alice+shopping`. `None`: no details.
    pub separator: Option<Separator>,
}

impl Default for DomainSettings {
    fn default() -> Self {
        Self { separator: Some(Separator::PLUS) }
    }
}

/// A character that separates a name from its detail (RFC 5233).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Separator(char);

impl Separator {
    /// `+`, what most people know.
    pub const PLUS: Self = Self('+');

    /// One of `+ - _ = ~`.
    pub fn new(separator: char) -> Result<Self, Error> {
        if "+-_=~".contains(separator) { Ok(Self(separator)) } else { Err(Error::Separator(separator)) }
    }

    /// The character.
    pub const fn char(self) -> char {
        self.0
    }
}

impl Directory {
    /// Makes the service responsible for a domain.
    pub async fn create_domain(&self, name: &DomainName, settings: DomainSettings) -> Result<Domain, Error> {
        name.check_new()?;
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                if tx.load::<Domains>(name).await?.is_some() {
                    return Err(Error::DomainExists(name.clone()));
                }
                let row = DomainRow {
                    id: DomainId(Sequences::next_domain(&tx).await?),
                    created: now,
                    catch_all: None,
                    separator: settings.separator.map(Separator::char),
                };
                tx.save::<Domains>(name, &row)?;
                Ok(Domain::new(name, row))
            })
            .await
    }

    /// A domain, if it is here.
    pub async fn domain(&self, name: &DomainName) -> Result<Option<Domain>, Error> {
        let row = self.kv.run(|tx| async move { tx.load::<Domains>(name).await }).await?;
        Ok(row.map(|row| Domain::new(name, row)))
    }

    /// All domains, in the order of their A-labels.
    pub async fn domains(&self, page: &PageRequest) -> Result<Page<Domain>, Error> {
        list::<Domains, _>(&self.kv, Domains::range(), page, |name, row| Some(Domain::new(name, row))).await
    }

    /// Changes what an operator may choose about a domain.
    pub async fn set_domain(&self, name: &DomainName, settings: DomainSettings) -> Result<Domain, Error> {
        self.kv
            .run(|tx| async move {
                let mut row = require_domain(&tx, name).await?;
                row.separator = settings.separator.map(Separator::char);
                tx.save::<Domains>(name, &row)?;
                Ok(Domain::new(name, row))
            })
            .await
    }

    /// Gives mail for unknown users of a domain to a name of this service, or to nobody.
    pub async fn set_catch_all(&self, name: &DomainName, target: Option<&Address>) -> Result<Domain, Error> {
        self.kv
            .run(|tx| async move {
                let targets: Vec<_> = target.iter().map(|target| target.key()).collect();
                let (names, domains) =
                    load_names_and_domains(&tx, &targets, std::slice::from_ref(name)).await?;
                let mut row = domains.into_iter().flatten().next().ok_or_else(|| no_domain(name))?;
                row.catch_all = match target {
                    Some(target) => {
                        let found = names.into_iter().flatten().next();
                        let found = found.ok_or_else(|| Error::NoSuchTarget(target.clone()))?;
                        Some(Target::new(&target.key(), &found))
                    }
                    None => None,
                };
                tx.save::<Domains>(name, &row)?;
                Ok(Domain::new(name, row))
            })
            .await
    }

    /// Ends the responsibility for a domain. Refused as long as it has accounts, aliases or groups: what
    /// belongs to accounts must be erased first, and not by accident.
    pub async fn delete_domain(&self, name: &DomainName) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                require_domain(&tx, name).await?;
                let mut names = tx.rows::<Names>(Range::new(Names::range(Some(name))).limit(1));
                if let Some((used, _)) = names.next().await? {
                    return Err(Error::DomainInUse { domain: name.clone(), name: used.to_string() });
                }
                // Its keys go with it: whoever makes the domain again must not sign with them.
                dkim::erase(&tx, name)?;
                Ok(tx.remove::<Domains>(name)?)
            })
            .await
    }
}

impl Domain {
    fn new(name: &DomainName, row: DomainRow) -> Self {
        let settings = DomainSettings { separator: row.separator.map(Separator) };
        let catch_all = row.catch_all.map(|target| target.address());
        Self { id: row.id, name: name.clone(), created: row.created, catch_all, settings }
    }
}

pub(crate) fn no_domain(name: &DomainName) -> Error {
    Error::NoSuchDomain(name.clone())
}

async fn require_domain(tx: &Transaction, name: &DomainName) -> Result<DomainRow, Error> {
    tx.load::<Domains>(name).await?.ok_or_else(|| no_domain(name))
}
