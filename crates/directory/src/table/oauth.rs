//! Tables of OAuth: clients, what their owners have granted them, and the secrets that stand for that. Of each secret
//! only a hash is kept, and it is the key: one read tells what a secret is worth, and whoever reads the store has none.
//!
//! Keys: `d` `o`, the letter of the table, then
//!
//! - `c` client id `00`: a client
//! - `g` grant (16 random bytes): what an account's owner has granted a client
//! - `l` account (8) grant: the grants of an account
//! - `t` hash (32): an access token
//! - `a` hash (32): an authorization code
//! - `v` hash (32): a device code
//! - `u` user code `00`: the device code that belongs to it
//! - `x` due (8) kind (1) id: when to look whether a row is over

use bytes::Bytes;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::{AccountId, Timestamp};

use super::{DIRECTORY, Hidden};
use crate::name::{DomainName, NameKey};
use crate::password::Scopes;

/// The hash of a secret.
pub(crate) type Digest = [u8; 32];
/// Names a grant. As long as it lasts, whoever has one of its refresh tokens knows it, and nobody else.
pub(crate) type GrantKey = [u8; 16];

fn table(letter: u8) -> KeyWriter {
    KeyWriter::new(&[DIRECTORY, b'o', letter])
}

fn reader(key: &[u8], letter: u8) -> Option<KeyReader<'_>> {
    KeyReader::new(key, &[DIRECTORY, b'o', letter])
}

fn array<const N: usize>(key: &[u8], letter: u8) -> Option<[u8; N]> {
    let mut key = reader(key, letter)?;
    let array = key.take()?;
    key.end().map(|()| array)
}

/// The table of clients.
pub(crate) struct OAuthClients;

/// A client. All are public: none has a secret.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct OAuthClientRow {
    /// What people are shown.
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) redirects: Vec<String>,
    /// Whether it may ask for access from a device without a browser.
    #[n(2)]
    pub(crate) device: bool,
    /// What is granted to a client ends with it: one that has its id later has another time here.
    #[n(3)]
    pub(crate) created: Timestamp,
    /// Until when one is kept that has registered itself, if nobody grants it anything meanwhile. None for those that the
    /// operator has registered.
    #[n(4)]
    pub(crate) until: Option<Timestamp>,
}

impl OAuthClients {
    pub(crate) fn range() -> KeyRange {
        table(b'c').range()
    }
}

impl Table for OAuthClients {
    type Key = String;
    type Record = OAuthClientRow;
    const NAME: &'static str = "directory.oauth_clients";

    fn key(id: &String) -> Bytes {
        table(b'c').text(id).done()
    }

    fn parse(key: &[u8]) -> Option<String> {
        let mut key = reader(key, b'c')?;
        let id = key.text()?.to_owned();
        key.end().map(|()| id)
    }
}

/// Which client, and since when it is here.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ClientRef {
    #[n(0)]
    pub(crate) id: String,
    #[n(1)]
    pub(crate) created: Timestamp,
}

/// What an owner has agreed to.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ConsentRow {
    #[n(0)]
    pub(crate) account: AccountId,
    #[n(1)]
    domain: String,
    /// In its normal form.
    #[n(2)]
    local: String,
    /// When the password was set that was given for this: the consent ends with it.
    #[n(3)]
    pub(crate) password: Timestamp,
    #[n(4)]
    pub(crate) scopes: Scopes,
}

impl ConsentRow {
    pub(crate) fn new(account: AccountId, name: &NameKey, password: Timestamp, scopes: Scopes) -> Self {
        let (domain, local) = (name.domain.as_str().to_owned(), name.local.clone());
        Self { account, domain, local, password, scopes }
    }

    pub(crate) fn name(&self) -> NameKey {
        NameKey { domain: DomainName::from_key(&self.domain), local: self.local.clone() }
    }
}

/// The table of grants.
pub(crate) struct Grants;

/// What the owner of an account has granted a client, until it is taken back or not used for too long.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct GrantRow {
    #[n(0)]
    pub(crate) consent: ConsentRow,
    #[n(1)]
    pub(crate) client: ClientRef,
    #[n(2)]
    pub(crate) created: Timestamp,
    /// When it was last refreshed.
    #[n(3)]
    pub(crate) refreshed: Timestamp,
    #[n(4)]
    pub(crate) expires: Timestamp,
    /// The hash of the one refresh token that holds.
    #[n(5)]
    pub(crate) refresh: Hidden<ByteArray<32>>,
    /// Its access tokens, the oldest first.
    #[n(6)]
    pub(crate) tokens: Vec<TokenRef>,
}

/// An access token of a grant.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct TokenRef {
    #[n(0)]
    pub(crate) hash: Hidden<ByteArray<32>>,
    #[n(1)]
    pub(crate) expires: Timestamp,
}

impl Table for Grants {
    type Key = GrantKey;
    type Record = GrantRow;
    const NAME: &'static str = "directory.oauth_grants";

    fn key(grant: &GrantKey) -> Bytes {
        table(b'g').bytes(grant).done()
    }

    fn parse(key: &[u8]) -> Option<GrantKey> {
        array(key, b'g')
    }
}

/// The table of the grants of accounts.
pub(crate) struct AccountGrants;

/// There is nothing to say but that it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct Mark;

impl AccountGrants {
    pub(crate) fn range(account: AccountId) -> KeyRange {
        table(b'l').u64(account.0).range()
    }
}

impl Table for AccountGrants {
    type Key = (AccountId, GrantKey);
    type Record = Mark;
    const NAME: &'static str = "directory.oauth_account_grants";

    fn key((account, grant): &Self::Key) -> Bytes {
        table(b'l').u64(account.0).bytes(grant).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut key = reader(key, b'l')?;
        let (account, grant) = (AccountId(key.u64()?), key.take()?);
        key.end().map(|()| (account, grant))
    }
}

/// The table of access tokens.
pub(crate) struct AccessTokens;

/// An access token. It never changes, so it may be remembered; whether it still holds its grant says.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct AccessTokenRow {
    #[n(0)]
    pub(crate) grant: ByteArray<16>,
    /// Where its grant, its account and its client are, so that all of them are one read.
    #[n(1)]
    domain: String,
    #[n(2)]
    local: String,
    #[n(3)]
    pub(crate) client: String,
    #[n(4)]
    pub(crate) expires: Timestamp,
}

impl AccessTokenRow {
    pub(crate) fn new(grant: GrantKey, of: &GrantRow, expires: Timestamp) -> Self {
        let (domain, local) = (of.consent.domain.clone(), of.consent.local.clone());
        Self { grant: grant.into(), domain, local, client: of.client.id.clone(), expires }
    }

    pub(crate) fn name(&self) -> NameKey {
        NameKey { domain: DomainName::from_key(&self.domain), local: self.local.clone() }
    }
}

impl Table for AccessTokens {
    type Key = Digest;
    type Record = AccessTokenRow;
    const NAME: &'static str = "directory.oauth_access_tokens";

    fn key(hash: &Digest) -> Bytes {
        table(b't').bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<Digest> {
        array(key, b't')
    }
}

/// The table of authorization codes.
pub(crate) struct Codes;

/// An authorization code.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct CodeRow {
    #[n(0)]
    pub(crate) consent: ConsentRow,
    #[n(1)]
    pub(crate) client: ClientRef,
    #[n(2)]
    pub(crate) redirect: String,
    /// What the verifier's SHA-256 has to be.
    #[n(3)]
    pub(crate) challenge: ByteArray<32>,
    #[n(4)]
    pub(crate) expires: Timestamp,
    #[n(5)]
    pub(crate) spent: Option<Spent>,
}

/// What came of a code that was presented: it is worth nothing more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Spent {
    /// The grant that it became; none if it was presented wrongly.
    #[n(0)]
    pub(crate) grant: Option<ByteArray<16>>,
}

impl Table for Codes {
    type Key = Digest;
    type Record = CodeRow;
    const NAME: &'static str = "directory.oauth_codes";

    fn key(hash: &Digest) -> Bytes {
        table(b'a').bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<Digest> {
        array(key, b'a')
    }
}

/// The table of device codes.
pub(crate) struct Devices;

/// A device that waits for somebody to let it in.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct DeviceRow {
    #[n(0)]
    pub(crate) client: ClientRef,
    #[n(1)]
    pub(crate) scopes: Scopes,
    #[n(2)]
    pub(crate) user_code: String,
    #[n(3)]
    pub(crate) expires: Timestamp,
    #[n(4)]
    pub(crate) decision: Option<DecisionRow>,
    #[n(5)]
    pub(crate) spent: Option<Spent>,
}

/// What somebody has decided.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) enum DecisionRow {
    #[n(0)]
    Denied,
    #[n(1)]
    Allowed(#[n(0)] ConsentRow),
}

impl Table for Devices {
    type Key = Digest;
    type Record = DeviceRow;
    const NAME: &'static str = "directory.oauth_devices";

    fn key(hash: &Digest) -> Bytes {
        table(b'v').bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<Digest> {
        array(key, b'v')
    }
}

/// The table of user codes.
pub(crate) struct UserCodes;

/// Which device a user code is of.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct UserCodeRow {
    #[n(0)]
    pub(crate) device: ByteArray<32>,
}

impl Table for UserCodes {
    type Key = String;
    type Record = UserCodeRow;
    const NAME: &'static str = "directory.oauth_user_codes";

    fn key(code: &String) -> Bytes {
        table(b'u').text(code).done()
    }

    fn parse(key: &[u8]) -> Option<String> {
        let mut key = reader(key, b'u')?;
        let code = key.text()?.to_owned();
        key.end().map(|()| code)
    }
}

/// The table of what is over when.
pub(crate) struct DueRows;

/// What is to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Token(Digest),
    Grant(GrantKey),
    Code(Digest),
    Device(Digest),
    /// A client that has registered itself, by the octets of its id.
    Client([u8; 12]),
}

impl DueRows {
    /// All that is due by now.
    pub(crate) fn until(now: Timestamp) -> KeyRange {
        let all = table(b'x');
        KeyRange { begin: all.clone().done(), end: all.u64(now.0.saturating_add(1)).done() }
    }
}

impl Table for DueRows {
    type Key = (Timestamp, Due);
    type Record = Mark;
    const NAME: &'static str = "directory.oauth_due";

    fn key((at, due): &Self::Key) -> Bytes {
        let key = table(b'x').u64(at.0);
        match due {
            Due::Token(hash) => key.u8(0).bytes(hash),
            Due::Grant(grant) => key.u8(1).bytes(grant),
            Due::Code(hash) => key.u8(2).bytes(hash),
            Due::Device(hash) => key.u8(3).bytes(hash),
            Due::Client(id) => key.u8(4).bytes(id),
        }
        .done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut key = reader(key, b'x')?;
        let at = Timestamp(key.u64()?);
        let due = match key.u8()? {
            0 => Due::Token(key.take()?),
            1 => Due::Grant(key.take()?),
            2 => Due::Code(key.take()?),
            3 => Due::Device(key.take()?),
            4 => Due::Client(key.take()?),
            _ => return None,
        };
        key.end().map(|()| (at, due))
    }
}
