//! Accounts: who has mailboxes here.

use minicbor::{Decode, Encode};
use store::kv::Transaction;
use types::{AccountId, Timestamp};

use crate::directory::Directory;
use crate::domain::no_domain;
use crate::error::{Error, check_text};
use crate::name::{Address, DomainName, LocalPart, NameKey};
use crate::oauth::end_grants;
use crate::page::{Page, PageRequest, list};
use crate::password::NewPassword;
use crate::table::{
    AccountIndex, AccountIndexRow, AccountRow, CredentialRow, Credentials, NameRow, Named, Names, Scram,
    Sequences, load_names_and_domains,
};

/// An account, but for its secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Never reused.
    pub id: AccountId,
    /// Its name: where mail goes, and what its owner logs in with.
    pub address: Address,
    /// Its owner's name for people.
    pub display_name: Option<String>,
    /// What it may do.
    pub state: AccountState,
    /// What it may hold.
    pub quota: Quota,
    /// Since when it is here.
    pub created: Timestamp,
}

/// What is needed to create an account.
#[derive(Clone, Debug)]
pub struct AccountSpec {
    /// Its name, in a domain that is here.
    pub address: Address,
    /// Its password. Without one nobody logs in, except with app passwords.
    pub password: Option<NewPassword>,
    /// Its owner's name for people, up to 200 octets.
    pub display_name: Option<String>,
    /// What it may hold.
    pub quota: Quota,
}

impl AccountSpec {
    /// An account without limits.
    pub const fn new(address: Address, password: Option<NewPassword>) -> Self {
        Self { address, password, display_name: None, quota: Quota::UNLIMITED }
    }
}

/// What an account may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum AccountState {
    /// Everything.
    #[n(0)]
    Active,
    /// Nothing: no mail comes in, nobody logs in. What is there stays.
    #[n(1)]
    Disabled,
    /// Mail comes in and is read, but none is sent: for accounts whose password was abused.
    #[n(2)]
    ReceiveOnly,
}

impl AccountState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Disabled, Self::ReceiveOnly];

    /// Its name in interfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::ReceiveOnly => "receive-only",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// How much may be held. `None`: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Quota {
    /// Octets of messages.
    #[n(0)]
    pub bytes: Option<u64>,
    /// Number of messages.
    #[n(1)]
    pub messages: Option<u64>,
}

impl Quota {
    /// No limits.
    pub const UNLIMITED: Self = Self { bytes: None, messages: None };
}

const DISPLAY_NAME: usize = 200;

impl Directory {
    /// Creates an account. Of several who create one name at once, one succeeds.
    pub async fn create_account(&self, spec: AccountSpec) -> Result<AccountId, Error> {
        spec.address.check_new()?;
        check_display_name(spec.display_name.as_deref())?;
        let password = match &spec.password {
            Some(password) => Some(self.new_secrets(&spec.address.key(), None, password).await?),
            None => None,
        };
        let now = self.clock.now();
        let (spec, password) = (&spec, &password);
        self.kv
            .run(|tx| async move {
                let name = vacant(&tx, &spec.address).await?;
                let id = AccountId(Sequences::next_name(&tx).await?);
                let account = AccountRow {
                    state: AccountState::Active,
                    display_name: spec.display_name.clone(),
                    quota: spec.quota,
                };
                tx.save::<Names>(&name, &new_row(id.0, &spec.address, now, Named::Account(account)))?;
                let hash = password.as_ref().map(|new| new.hash.clone());
                tx.save::<Credentials>(&name, &CredentialRow::new(id, hash, now))?;
                if let Some(row) = password.as_ref().and_then(|new| new.scram_row(id)) {
                    tx.save::<Scram>(&name, &row)?;
                }
                tx.save::<AccountIndex>(&id, &AccountIndexRow::new(&name))?;
                Ok(id)
            })
            .await
    }

    /// An account, if it is here. Two reads.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, Error> {
        self.kv
            .run(|tx| async move { Ok(find(&tx, id).await?.and_then(|(name, row)| Account::of(&name, row))) })
            .await
    }

    /// The account that `login` logs in to, if it is here: an address, or a bare name in the default domain. One
    /// read; one more for a bare name if no default domain is set.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<Account>, Error> {
        self.kv
            .run(|tx| async move {
                let Some(name) = self.login_name(&tx, login).await? else { return Ok(None) };
                Ok(tx.load::<Names>(&name).await?.and_then(|row| Account::of(&name, row)))
            })
            .await
    }

    /// All accounts, or those of one domain, in the order of their names.
    pub async fn accounts(
        &self,
        domain: Option<&DomainName>,
        page: &PageRequest,
    ) -> Result<Page<Account>, Error> {
        list::<Names, _>(&self.kv, Names::range(domain), page, Account::of).await
    }

    /// The limits that hold for an account's mail, if the account is here. Two reads. Limits that the accounts of a
    /// domain share come later: nobody counts what a domain holds.
    pub async fn limits(&self, id: AccountId) -> Result<Option<Quota>, Error> {
        Ok(self.account(id).await?.map(|account| account.quota))
    }

    /// Changes what an account may hold.
    pub async fn set_quota(&self, id: AccountId, quota: Quota) -> Result<(), Error> {
        self.change_account(id, |account| account.quota = quota).await
    }

    /// Changes what an account may do: from the next login and the next message on. What the owner of an account that is
    /// disabled has granted to apps ends, and does not come back with the account.
    pub async fn set_state(&self, id: AccountId, state: AccountState) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                let (name, mut row) = find(&tx, id).await?.ok_or(Error::NoSuchAccountId(id))?;
                if let Named::Account(account) = &mut row.named {
                    account.state = state;
                }
                if state == AccountState::Disabled {
                    end_grants(&tx, id).await?;
                }
                Ok(tx.save::<Names>(&name, &row)?)
            })
            .await
    }

    /// Changes the owner's name for people, up to 200 octets.
    pub async fn set_display_name(&self, id: AccountId, name: Option<&str>) -> Result<(), Error> {
        check_display_name(name)?;
        self.change_account(id, |account| account.display_name = name.map(str::to_owned)).await
    }

    /// Removes an account from the directory: from now on it gets no mail and nobody logs in, and its name is
    /// free. Erase its mail first; after this only the id leads to it. Aliases and groups that name it lead
    /// nowhere then, also when the name is given to somebody else.
    pub async fn delete_account(&self, id: AccountId) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                let (name, _) = find(&tx, id).await?.ok_or(Error::NoSuchAccountId(id))?;
                tx.remove::<Names>(&name)?;
                tx.remove::<Credentials>(&name)?;
                tx.remove::<Scram>(&name)?;
                end_grants(&tx, id).await?;
                Ok(tx.remove::<AccountIndex>(&id)?)
            })
            .await
    }

    async fn change_account(&self, id: AccountId, change: impl Fn(&mut AccountRow)) -> Result<(), Error> {
        let change = &change;
        self.kv
            .run(|tx| async move {
                let (name, mut row) = find(&tx, id).await?.ok_or(Error::NoSuchAccountId(id))?;
                if let Named::Account(account) = &mut row.named {
                    change(account);
                }
                Ok(tx.save::<Names>(&name, &row)?)
            })
            .await
    }
}

impl Account {
    /// The account of a row, if the row is one.
    fn of(name: &NameKey, row: NameRow) -> Option<Self> {
        let Named::Account(AccountRow { state, display_name, quota }) = row.named else { return None };
        let address = Address::new(LocalPart::from_row(&row.local), name.domain.clone());
        Some(Self { id: AccountId(row.id), address, display_name, state, quota, created: row.created })
    }
}

/// An account's name and row.
pub(crate) async fn find(tx: &Transaction, id: AccountId) -> Result<Option<(NameKey, NameRow)>, Error> {
    let Some(at) = tx.load::<AccountIndex>(&id).await? else { return Ok(None) };
    let name = at.name();
    let row = tx.load::<Names>(&name).await?;
    Ok(row.filter(|row| row.account_id() == Some(id)).map(|row| (name, row)))
}

/// The key of a new name, if its domain is here and nothing has it. One read.
pub(crate) async fn vacant(tx: &Transaction, address: &Address) -> Result<NameKey, Error> {
    let name = address.key();
    let domain = std::slice::from_ref(address.domain());
    let (names, domains) = load_names_and_domains(tx, std::slice::from_ref(&name), domain).await?;
    if domains.iter().flatten().next().is_none() {
        return Err(no_domain(address.domain()));
    }
    if names.iter().flatten().next().is_some() {
        return Err(Error::NameTaken(address.clone()));
    }
    Ok(name)
}

pub(crate) fn new_row(id: u64, address: &Address, created: Timestamp, named: Named) -> NameRow {
    NameRow { id, local: address.local().as_str().to_owned(), created, named }
}

fn check_display_name(name: Option<&str>) -> Result<(), Error> {
    name.map_or(Ok(()), |name| check_text("a display name", name, DISPLAY_NAME))
}
