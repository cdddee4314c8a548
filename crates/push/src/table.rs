//! The rows. All keys begin with `p` and the letter of the table.

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::{AccountId, ModSeq, Timestamp};

use crate::SubscriptionId;

/// Accounts are dealt out to nodes in so many parts.
pub(crate) const SHARDS: u8 = 16;

/// The part that an account belongs to.
pub(crate) const fn shard_of(account: AccountId) -> u8 {
    (account.0 % SHARDS as u64) as u8
}

/// A subscription: whose, and which.
pub(crate) type Place = (AccountId, SubscriptionId);

fn table(letter: u8) -> KeyWriter {
    KeyWriter::new(b"p").u8(letter)
}

fn place(letter: u8, (account, id): &Place) -> Bytes {
    table(letter).u8(shard_of(*account)).u64(account.0).u64(id.0).done()
}

fn place_of(key: &[u8], letter: u8) -> Option<Place> {
    let mut reader = KeyReader::new(key, b"p")?;
    let fits = reader.u8()? == letter;
    let _shard = reader.u8()?;
    let place = (AccountId(reader.u64()?), SubscriptionId(reader.u64()?));
    reader.end().filter(|()| fits).map(|()| place)
}

/// `s` shard, account, id: a subscription.
pub(crate) enum Subscriptions {}

/// A subscription as it is kept. Its URL and its keys are secrets of the app and its push service.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SubscriptionRow {
    /// What the app calls the device that it runs on.
    #[n(0)]
    pub(crate) device: String,
    #[n(1)]
    pub(crate) url: String,
    #[n(2)]
    pub(crate) keys: Option<KeysRow>,
    /// What the app must say in order to have it verified.
    #[n(3)]
    pub(crate) code: String,
    #[n(4)]
    #[cbor(default)]
    pub(crate) verified: bool,
    #[n(5)]
    pub(crate) expires: Timestamp,
    /// The types that it is for; none for all.
    #[n(6)]
    pub(crate) types: Option<Vec<String>>,
    #[n(7)]
    pub(crate) created: Timestamp,
    /// The credentials that it was made with.
    #[n(8)]
    pub(crate) app_password: Option<u32>,
    #[n(9)]
    pub(crate) credential_changed: Timestamp,
    #[n(10)]
    #[cbor(default)]
    pub(crate) grant: Option<GrantedRow>,
}

/// The grant of an app that had logged in by a token.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct GrantedRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) grant: [u8; 16],
    #[n(1)]
    pub(crate) client: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KeysRow {
    #[n(0)]
    pub(crate) p256dh: ByteVec,
    #[n(1)]
    pub(crate) auth: ByteVec,
}

impl Subscriptions {
    pub(crate) fn of_shard(shard: u8) -> KeyRange {
        table(b's').u8(shard).range()
    }

    pub(crate) fn of(account: AccountId) -> KeyRange {
        table(b's').u8(shard_of(account)).u64(account.0).range()
    }
}

impl Table for Subscriptions {
    type Key = Place;
    type Record = SubscriptionRow;
    const NAME: &'static str = "push subscription";

    fn key(key: &Place) -> Bytes {
        place(b's', key)
    }

    fn parse(key: &[u8]) -> Option<Place> {
        place_of(key, b's')
    }
}

/// `t` shard, account, id: what the app was told. Apart from the subscription, so that neither write undoes the other.
pub(crate) enum Tolds {}

/// What an app was told.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ToldRow {
    /// The account's change log, up to here.
    #[n(0)]
    pub(crate) to: ModSeq,
    /// Whether the code is on its way.
    #[n(1)]
    #[cbor(default)]
    pub(crate) code_sent: bool,
    /// When each type changed last, of those that have since the subscription was made.
    #[n(2)]
    #[cbor(default)]
    pub(crate) states: Vec<(String, ModSeq)>,
}

impl Table for Tolds {
    type Key = Place;
    type Record = ToldRow;
    const NAME: &'static str = "what a push subscription was told";

    fn key(key: &Place) -> Bytes {
        place(b't', key)
    }

    fn parse(key: &[u8]) -> Option<Place> {
        place_of(key, b't')
    }
}

/// `l` shard: which node sends what there is to send for its accounts.
pub(crate) enum Leases {}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct LeaseRow {
    /// The node, while it runs.
    #[n(0)]
    pub(crate) holder: u64,
    #[n(1)]
    pub(crate) until: Timestamp,
}

impl Table for Leases {
    type Key = u8;
    type Record = LeaseRow;
    const NAME: &'static str = "lease of push subscriptions";

    fn key(shard: &u8) -> Bytes {
        table(b'l').u8(*shard).done()
    }

    fn parse(key: &[u8]) -> Option<u8> {
        let mut reader = KeyReader::new(key, b"p")?;
        let fits = reader.u8()? == b'l';
        let shard = reader.u8()?;
        reader.end().filter(|()| fits).map(|()| shard)
    }
}

/// `k`: the key by which push services know us.
pub(crate) enum Vapids {}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(crate) struct VapidRow {
    /// Both halves, as PKCS #8.
    #[n(0)]
    pub(crate) pkcs8: ByteVec,
    #[n(1)]
    pub(crate) created: Timestamp,
}

impl Table for Vapids {
    type Key = ();
    type Record = VapidRow;
    const NAME: &'static str = "key for push services";

    fn key(_: &()) -> Bytes {
        table(b'k').done()
    }

    fn parse(key: &[u8]) -> Option<()> {
        (key == b"pk").then_some(())
    }
}

/// `g` shard: counts the subscriptions that were ever made in a shard, so that a node that has missed the word of one sees that it
/// has.
pub(crate) fn made_key(shard: u8) -> Bytes {
    table(b'g').u8(shard).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let place = (AccountId(18), SubscriptionId(7));
        assert_eq!(&Subscriptions::key(&place)[..3], b"ps\x02");
        assert_eq!(Subscriptions::parse(&Subscriptions::key(&place)), Some(place));
        assert_eq!(Tolds::parse(&Tolds::key(&place)), Some(place));
        assert_eq!(Subscriptions::parse(&Tolds::key(&place)), None);
        assert_eq!(Leases::parse(&Leases::key(&3)), Some(3));
        assert!(Subscriptions::of(place.0).begin < Subscriptions::key(&place));
        assert!(Subscriptions::key(&place) < Subscriptions::of_shard(2).end);
    }

    /// Fields of later releases are skipped, and what older ones did not write is as it was then.
    #[test]
    fn a_row_of_another_release_is_read() {
        let told: ToldRow = minicbor::decode(&[0xa2, 0x00, 0x07, 0x18, 0x63, 0x61, 0x78]).unwrap();
        assert_eq!(told, ToldRow { to: ModSeq(7), code_sent: false, states: Vec::new() });
        let lease: LeaseRow = minicbor::decode(&[0xa2, 0x00, 0x01, 0x01, 0x02]).unwrap();
        assert_eq!(lease, LeaseRow { holder: 1, until: Timestamp(2) });
    }
}
