//! Where references lead now: to a name here, to another server, or nowhere any more.

use futures::future::try_join_all;
use store::kv::{self, Transaction};

use super::{Found, Search, find_otherwise};
use crate::name::{Address, DomainName, NameKey};
use crate::table::{DomainRow, NameRow, Target, load_names_and_domains};

/// Where a reference leads.
pub(crate) enum Place {
    /// To a name of ours.
    Here(NameKey, NameRow),
    /// To a name in a domain that is not ours.
    Elsewhere(Address),
    /// What had the name is gone, or has become somebody else's.
    Gone,
}

/// Where each of the references leads. A name that was at another server when it was named is one of ours, with all
/// that this means, once its domain is: else mail for it would go out to come back in. One round; one more for such names
/// that are there only with a detail or by a catch-all.
pub(crate) async fn locate(tx: &Transaction, targets: &[Target]) -> Result<Vec<Place>, kv::Error> {
    let names: Vec<_> = targets.iter().map(Target::key).collect();
    let mut domains: Vec<DomainName> = Vec::new();
    for (target, name) in targets.iter().zip(&names) {
        if target.is_elsewhere() && !domains.contains(&name.domain) {
            domains.push(name.domain.clone());
        }
    }
    let (rows, domain_rows) = load_names_and_domains(tx, &names, &domains).await?;
    let domain_of = |name: &NameKey| {
        let at = domains.iter().position(|domain| *domain == name.domain)?;
        domain_rows.get(at).cloned().flatten()
    };
    let places = targets.iter().zip(names).zip(rows).map(|((target, name), row)| {
        let domain = target.is_elsewhere().then(|| domain_of(&name));
        place(tx, target, name, row, domain)
    });
    try_join_all(places).await
}

/// Where one reference leads, whose name's row was read, and the row of its domain if it was elsewhere.
async fn place(
    tx: &Transaction,
    target: &Target,
    name: NameKey,
    row: Option<NameRow>,
    domain: Option<Option<DomainRow>>,
) -> Result<Place, kv::Error> {
    Ok(match (domain, row) {
        (None, Some(row)) if row.id == target.id => Place::Here(name, row),
        (None, _) => Place::Gone,
        (Some(None), _) => Place::Elsewhere(target.address()),
        (Some(Some(_)), Some(row)) => Place::Here(name, row),
        (Some(Some(domain)), None) => {
            let address = target.address();
            match find_otherwise(tx, address.domain(), Some(address.local()), domain).await? {
                Search::Name(found) => {
                    let Found { name, row, .. } = *found;
                    Place::Here(name, row)
                }
                Search::UnknownUser | Search::NotLocal => Place::Gone,
            }
        }
    })
}
