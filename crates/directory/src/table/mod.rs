//! The directory's tables. All keys begin with `d` and a letter for the table; names are keys in their normal
//! form, so a name is unique because a key is.

mod account_index;
mod credential;
mod dkim;
mod domain;
mod member;
mod name;
mod oauth;
mod referrer;
mod scram;
mod secret;
mod sequence;

use std::fmt;

use minicbor::{Decode, Encode};
use store::kv::{self, KeyReader, KeyWriter, Table, Transaction};

pub(crate) use account_index::{AccountIndex, AccountIndexRow};
pub(crate) use credential::{AppPasswordRow, CredentialRow, Credentials};
pub(crate) use dkim::{DkimKeyRow, DkimKeys, DkimSecretRow, DkimSecrets, SelectorKey};
pub(crate) use domain::{DomainRow, Domains};
pub(crate) use member::{MemberKey, MemberRow, Members};
pub(crate) use name::{AccountRow, AliasRow, GroupRow, NameRow, Named, Names};
pub(crate) use oauth::{
    AccessTokenRow, AccessTokens, AccountGrants, ClientRef, CodeRow, Codes, ConsentRow, DecisionRow,
    DeviceRow, Devices, Digest, Due, DueRows, GrantKey, GrantRow, Grants, Mark, OAuthClientRow, OAuthClients,
    Spent, TokenRef, UserCodeRow, UserCodes,
};
pub(crate) use referrer::{ReferrerRow, Referrers};
pub(crate) use scram::{Scram, ScramRow};
pub(crate) use secret::{Secret, Secrets};
pub(crate) use sequence::Sequences;

use crate::name::{Address, DomainName, LocalPart, NameKey};

/// The first byte of every key of the directory.
const DIRECTORY: u8 = b'd';

/// A reference from one name to another. It holds the number of what was meant, so that it never leads to
/// somebody who was given a freed name later. What stood at another server when it was named has no number here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
pub(crate) struct Target {
    #[n(0)]
    pub(crate) domain: String,
    /// As it was written.
    #[n(1)]
    pub(crate) local: String,
    /// The number of the name's row; [`Target::ELSEWHERE`] for a name at another server. Nodes that know nothing of
    /// such names take it for one that is gone.
    #[n(2)]
    pub(crate) id: u64,
}

impl Target {
    /// No row's number: those begin at 1.
    pub(crate) const ELSEWHERE: u64 = 0;

    /// A name in a domain that is not ours now.
    pub(crate) fn elsewhere(address: &Address) -> Self {
        let (domain, local) = (address.domain().as_str().to_owned(), address.local().as_str().to_owned());
        Self { domain, local, id: Self::ELSEWHERE }
    }

    pub(crate) const fn is_elsewhere(&self) -> bool {
        self.id == Self::ELSEWHERE
    }

    /// Whether both lead to the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && (!self.is_elsewhere() || self.key() == other.key())
    }

    pub(crate) fn new(key: &NameKey, row: &NameRow) -> Self {
        Self { domain: key.domain.as_str().to_owned(), local: row.local.clone(), id: row.id }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(LocalPart::from_row(&self.local), DomainName::from_key(&self.domain))
    }

    pub(crate) fn key(&self) -> NameKey {
        self.address().key()
    }
}

impl NameKey {
    /// A name as it stands in a key: domain (A-labels) `00` local part (normal form) `00`.
    fn write(&self, key: KeyWriter) -> KeyWriter {
        key.text(self.domain.as_str()).text(&self.local)
    }

    /// Reads what [`NameKey::write`] wrote.
    fn read(key: &mut KeyReader<'_>) -> Option<Self> {
        let domain = DomainName::from_key(key.text()?);
        let local = key.text()?.to_owned();
        Some(Self { domain, local })
    }
}

/// Reads names and domains in one round.
pub(crate) async fn load_names_and_domains(
    tx: &Transaction,
    names: &[NameKey],
    domains: &[DomainName],
) -> Result<(Vec<Option<NameRow>>, Vec<Option<DomainRow>>), kv::Error> {
    let mut keys: Vec<_> = names.iter().map(Names::key).collect();
    keys.extend(domains.iter().map(Domains::key));
    let mut values = tx.get_many(keys).await?.into_iter();
    let found_names = names.iter().zip(values.by_ref().take(names.len()));
    let found_names =
        found_names.map(|(key, value)| decode::<Names>(key, value)).collect::<Result<_, _>>()?;
    let found_domains = domains.iter().zip(values).map(|(key, value)| decode::<Domains>(key, value));
    Ok((found_names, found_domains.collect::<Result<_, _>>()?))
}

/// What a login needs: a name, and the secrets under it.
#[derive(Default)]
pub(crate) struct LoginRows {
    pub(crate) name: Option<NameRow>,
    pub(crate) credentials: Option<CredentialRow>,
    pub(crate) scram: Option<ScramRow>,
}

/// Reads a name and its secrets in one round.
pub(crate) async fn load_login(tx: &Transaction, name: &NameKey) -> Result<LoginRows, kv::Error> {
    let keys = vec![Names::key(name), Credentials::key(name), Scram::key(name)];
    let mut values = tx.get_many(keys).await?.into_iter();
    Ok(LoginRows {
        name: decode::<Names>(name, values.next().flatten())?,
        credentials: decode::<Credentials>(name, values.next().flatten())?,
        scram: decode::<Scram>(name, values.next().flatten())?,
    })
}

fn decode<T: Table>(key: &T::Key, value: Option<bytes::Bytes>) -> Result<Option<T::Record>, kv::Error> {
    value.map(|value| kv::decode::<T>(&T::key(key), &value)).transpose()
}

/// What decides whether something that was granted still holds.
#[derive(Default)]
pub(crate) struct GrantRows {
    pub(crate) grant: Option<GrantRow>,
    pub(crate) client: Option<OAuthClientRow>,
    pub(crate) login: LoginRows,
}

/// Reads a grant, its client and its account in one round.
pub(crate) async fn load_grant(
    tx: &Transaction,
    grant: &GrantKey,
    client: &String,
    name: &NameKey,
) -> Result<GrantRows, kv::Error> {
    let keys = vec![Grants::key(grant), OAuthClients::key(client), Names::key(name), Credentials::key(name)];
    let mut values = tx.get_many(keys).await?.into_iter();
    Ok(GrantRows {
        grant: decode::<Grants>(grant, values.next().flatten())?,
        client: decode::<OAuthClients>(client, values.next().flatten())?,
        login: LoginRows {
            name: decode::<Names>(name, values.next().flatten())?,
            credentials: decode::<Credentials>(name, values.next().flatten())?,
            scram: None,
        },
    })
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(crate) struct Hidden<T>(#[n(0)] pub(crate) T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    fn both_ways<T: Table<Key: PartialEq + Debug>>(key: T::Key) {
        let bytes = T::key(&key);
        assert!(bytes.len() <= 512, "{}: {} bytes", T::NAME, bytes.len());
        assert_eq!(T::parse(&bytes), Some(key));
        for cut in 0..bytes.len() {
            assert!(T::parse(&bytes[..cut]).is_none_or(|other| T::key(&other) != bytes), "{}", T::NAME);
        }
    }

    fn name_key() -> impl Strategy<Value = NameKey> {
        ("[^\\p{C}]{1,64}", "[a-z0-9]{1,60}(\\.[a-z0-9]{1,60}){0,3}").prop_filter_map(
            "a name",
            |(local, domain)| {
                Some(Address::new(LocalPart::parse(&local).ok()?, DomainName::parse(&domain).ok()?).key())
            },
        )
    }

    proptest! {
        #[test]
        fn keys_are_read_as_they_were_written(key in name_key(), group: u64, id: u64) {
            both_ways::<Domains>(key.domain.clone());
            both_ways::<Members>(MemberKey { group, name: key.clone() });
            both_ways::<Credentials>(key.clone());
            both_ways::<Scram>(key.clone());
            let selector = crate::dkim::Selector::parse("s-1").unwrap();
            let selected = SelectorKey { domain: key.domain.clone(), selector };
            both_ways::<DkimKeys>(selected.clone());
            both_ways::<DkimSecrets>(selected);
            both_ways::<AccountIndex>(types::AccountId(id));
            let (hash, grant) = ([id as u8; 32], group.to_be_bytes().repeat(2).try_into().unwrap());
            both_ways::<OAuthClients>(id.to_string());
            both_ways::<Grants>(grant);
            both_ways::<AccountGrants>((types::AccountId(id), grant));
            both_ways::<AccessTokens>(hash);
            both_ways::<Codes>(hash);
            both_ways::<Devices>(hash);
            both_ways::<UserCodes>("BCDFGHJK".to_owned());
            for due in [Due::Token(hash), Due::Grant(grant), Due::Code(hash), Due::Device(hash), Due::Client([id as u8; 12])] {
                both_ways::<DueRows>((types::Timestamp(id), due));
            }
            both_ways::<Names>(key);
        }

        #[test]
        fn foreign_keys_are_refused_calmly(bytes: Vec<u8>) {
            let _read = (Names::parse(&bytes), Members::parse(&bytes), Domains::parse(&bytes));
            let _read = (Credentials::parse(&bytes), AccountIndex::parse(&bytes), Sequences::parse(&bytes));
            let _read = (Scram::parse(&bytes), Secrets::parse(&bytes));
            let _read = (DkimKeys::parse(&bytes), DkimSecrets::parse(&bytes));
            let _read = (OAuthClients::parse(&bytes), Grants::parse(&bytes), AccountGrants::parse(&bytes));
            let _read = (AccessTokens::parse(&bytes), Codes::parse(&bytes), Devices::parse(&bytes));
            let _read = (UserCodes::parse(&bytes), DueRows::parse(&bytes));
        }
    }

    #[test]
    fn references_have_the_form_that_they_always_had() {
        let old = [b"\x83\x66x.test\x61a".as_slice(), &[7]].concat();
        let target: Target = minicbor::decode(&old).unwrap();
        assert_eq!((target.address().to_string().as_str(), target.id), ("a@x.test", 7));
        assert_eq!(minicbor::to_vec(&target).unwrap(), old);
        let elsewhere = Target::elsewhere(&Address::parse("a@x.test").unwrap());
        assert!(elsewhere.is_elsewhere() && !target.is_elsewhere() && !target.is_same(&elsewhere));
        let new = [b"\x83\x66x.test\x61a".as_slice(), &[0]].concat();
        assert_eq!(minicbor::to_vec(&elsewhere).unwrap(), new);
    }

    #[test]
    fn the_longest_names_fit_into_a_key() {
        // The lower case of Ⱥ is a byte longer than the capital.
        let local = LocalPart::parse(&"Ⱥ".repeat(32)).unwrap();
        let label = "a".repeat(63);
        let domain = DomainName::parse(&format!("{label}.{label}.{label}.{}", "a".repeat(61))).unwrap();
        let name = Address::new(local, domain).key();
        both_ways::<Members>(MemberKey { group: u64::MAX, name: name.clone() });
        both_ways::<Names>(name);
    }
}
