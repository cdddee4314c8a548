//! From an address to the accounts that its mail goes to, and to where else.

mod expansion;
mod place;

use store::kv::{self, Transaction};
use types::AccountId;

pub(crate) use expansion::Expansion;
pub(crate) use place::{Place, locate};

use crate::account::Quota;
use crate::directory::Directory;
use crate::error::Error;
use crate::name::{Address, DomainName, LocalPart, NameError, NameKey};
use crate::srs::{self, SrsError};
use crate::table::{DomainRow, NameRow, Names, Target, load_names_and_domains};

/// What an address leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// To accounts here and addresses elsewhere: at least one of either, each once.
    Local {
        /// The accounts.
        recipients: Vec<Recipient>,
        /// The addresses at other servers.
        forwards: Vec<Forward>,
    },
    /// To whoever sent a message that was forwarded from here: the address is one that we have made of theirs (SRS), for
    /// notifications. Anything else that comes for it is not to be sent on.
    Sender {
        /// The sender's address, as SMTP writes it.
        address: String,
    },
    /// The domain is ours, and nobody there has the name: 550 5.1.1.
    UnknownUser,
    /// The domain is not ours.
    NotLocal,
    /// The name is known, but takes no mail.
    Refused(Refusal),
}

/// An account that gets the mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    /// Whose mail it is.
    pub account: AccountId,
    /// The account's own address.
    pub address: Address,
    /// The address that the mail was sent to, as it was written.
    pub delivered_to: String,
    /// The part behind the separator, as in `alice+detail` (RFC 5233). Also told to those whom an alias or a
    /// group leads to.
    pub detail: Option<String>,
    /// What the account may hold.
    pub limits: Quota,
}

/// An address at another server that gets the mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The address.
    pub address: Address,
    /// The alias or group that leads there. What is sent on is sent in the name of its domain.
    pub via: Address,
}

/// Why a known name takes no mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// All accounts that it leads to are disabled: 550 5.2.1.
    Disabled,
    /// It is an alias or a group that leads to nobody any more: 550 5.1.1, and a matter for the operator.
    Empty,
    /// It leads to more recipients, or over more steps, than the options allow: 550 5.2.4.
    TooLarge,
    /// It looks like an address that we make of a forwarded message's sender, and is none that counts: 550 5.1.1.
    Sender(SrsError),
}

impl Directory {
    /// Finds out who gets mail for an address. A store that is out of reach is an error, never
    /// [`Resolution::UnknownUser`].
    ///
    /// An exact name goes before one with a detail, that before the catch-all. A `postmaster` without a domain
    /// (RFC 5321 §4.5.1) is looked for in the default domain. What begins like a rewritten sender (`SRS0=`, `SRS1=`) in a
    /// domain of ours is that and nothing else.
    ///
    /// An address with control characters is an error; one that could not have been created here is like any other
    /// that is not: its domain decides.
    ///
    /// Reads: one for an account's plain address, an unknown domain, or an unknown user of a domain without
    /// catch-all and separator in use; two with a detail, or by way of a catch-all or of an alias; one more for
    /// each further level of aliases, and two for each level of groups (their members, then what these are). Names
    /// at other servers are read with the others of their level, to see whether their domains are ours by now, and cost
    /// one more only if they are and no plain name is meant.
    pub async fn resolve(&self, address: &str) -> Result<Resolution, Error> {
        if address.chars().any(char::is_control) {
            return Err(NameError::Control.into());
        }
        let (local, domain) = match address.rsplit_once('@') {
            Some((local, domain)) => (local, DomainName::parse(domain).ok()),
            None if address.eq_ignore_ascii_case("postmaster") => {
                let domain = self.kv.run(|tx| async move { self.bare_domain(&tx).await }).await?;
                (address, domain)
            }
            None => return Err(NameError::NoDomain.into()),
        };
        // A domain that could not have been created is not ours.
        let Some(domain) = &domain else { return Ok(Resolution::NotLocal) };
        if srs::is_rewritten(local) {
            return self.resolve_sender(local, domain).await;
        }
        // A local part that could not have been created can still go to a catch-all.
        let local = &LocalPart::parse(local).ok();
        self.kv
            .run(|tx| async move {
                let found = match find(&tx, local.as_ref(), domain).await? {
                    Search::Name(found) => *found,
                    Search::UnknownUser => return Ok(Resolution::UnknownUser),
                    Search::NotLocal => return Ok(Resolution::NotLocal),
                };
                let detail = found.detail.clone();
                let expansion = Expansion::from(&tx, found, &self.options).await?;
                Ok(expansion.resolution(address, detail.as_deref()))
            })
            .await
    }

    /// Finds whose message was sent on in the name of this address.
    async fn resolve_sender(&self, local: &str, domain: &DomainName) -> Result<Resolution, Error> {
        if self.domain(domain).await?.is_none() {
            return Ok(Resolution::NotLocal);
        }
        let address = match self.original_sender(local).await? {
            Ok(address) => address,
            Err(why) => return Ok(Resolution::Refused(Refusal::Sender(why))),
        };
        // Their domain may have become ours since.
        match Box::pin(self.resolve(&address)).await {
            Ok(Resolution::NotLocal) | Err(Error::Name(_)) => Ok(Resolution::Sender { address }),
            other => other,
        }
    }
}

/// Finds the name that an address leads to, and how.
pub(crate) async fn find(
    tx: &Transaction,
    local: Option<&LocalPart>,
    domain: &DomainName,
) -> Result<Search, Error> {
    let exact: Vec<_> = local.map(|local| name_in(local, domain)).into_iter().collect();
    let (rows, domains) = load_names_and_domains(tx, &exact, std::slice::from_ref(domain)).await?;
    let Some(domain_row) = domains.into_iter().flatten().next() else { return Ok(Search::NotLocal) };
    if let Some((name, row)) = exact.into_iter().zip(rows.into_iter().flatten()).next() {
        let detail = None;
        return Ok(Search::Name(Box::new(Found { name, row, detail })));
    }
    Ok(find_otherwise(tx, domain, local, domain_row).await?)
}

/// What a search came to.
pub(crate) enum Search {
    Name(Box<Found>),
    UnknownUser,
    NotLocal,
}

/// A name that an address leads to.
pub(crate) struct Found {
    name: NameKey,
    row: NameRow,
    detail: Option<String>,
}

impl Found {
    /// The name's row.
    pub(crate) fn into_row(self) -> NameRow {
        self.row
    }
}

/// Looks for names before a separator, the longest first, and for the catch-all: all in one round.
async fn find_otherwise(
    tx: &Transaction,
    domain: &DomainName,
    local: Option<&LocalPart>,
    row: DomainRow,
) -> Result<Search, kv::Error> {
    let splits = match (local, row.separator) {
        (Some(local), Some(separator)) => local.splits(separator),
        _ => Vec::new(),
    };
    let catch_all = row.catch_all;
    let mut names: Vec<_> = splits.iter().map(|(base, _)| name_in(base, domain)).collect();
    names.extend(catch_all.iter().map(Target::key));
    if names.is_empty() {
        return Ok(Search::UnknownUser);
    }
    let rows = tx.load_many::<Names>(&names).await?;
    let mut found = names.into_iter().zip(rows);
    for ((_, detail), (name, row)) in splits.into_iter().zip(found.by_ref()) {
        if let Some(row) = row {
            let detail = Some(detail);
            return Ok(Search::Name(Box::new(Found { name, row, detail })));
        }
    }
    Ok(match found.next().zip(catch_all) {
        Some(((name, Some(row)), target)) if row.id == target.id => {
            Search::Name(Box::new(Found { name, row, detail: None }))
        }
        _ => Search::UnknownUser,
    })
}

fn name_in(local: &LocalPart, domain: &DomainName) -> NameKey {
    NameKey { domain: domain.clone(), local: local.normal().to_owned() }
}
