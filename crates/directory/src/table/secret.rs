//! Table `secrets`: random bytes that all nodes share and nobody else knows.
//!
//! Key: `d` `k` which secret (1 byte)

use bytes::Bytes;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use store::kv::{self, KeyReader, KeyWriter, Table, Transaction};
use types::Randomness;

use super::{DIRECTORY, Hidden};

const PREFIX: [u8; 2] = [DIRECTORY, b'k'];

/// The table.
pub(crate) struct Secrets;

/// Which secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Secret {
    /// What SCRAM salts are made from.
    Salts = 0,
    /// What senders of forwarded mail are sealed with.
    Senders = 1,
    /// What the forms on our pages are sealed with.
    Forms = 2,
}

/// The secret.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct SecretRow {
    #[n(0)]
    bytes: Hidden<ByteArray<32>>,
}

impl Secrets {
    /// The secret, made now if there is none.
    pub(crate) async fn ensure(tx: &Transaction, secret: Secret) -> Result<Hidden<[u8; 32]>, kv::Error> {
        if let Some(row) = tx.load::<Self>(&secret).await? {
            return Ok(Hidden(*row.bytes.0));
        }
        let bytes = Randomness::bytes();
        tx.save::<Self>(&secret, &SecretRow { bytes: Hidden(bytes.into()) })?;
        Ok(Hidden(bytes))
    }
}

impl Table for Secrets {
    type Key = Secret;
    type Record = SecretRow;
    const NAME: &'static str = "directory.secrets";

    fn key(secret: &Secret) -> Bytes {
        KeyWriter::new(&PREFIX).u8(*secret as u8).done()
    }

    fn parse(key: &[u8]) -> Option<Secret> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let secret = match key.u8()? {
            0 => Secret::Salts,
            1 => Secret::Senders,
            2 => Secret::Forms,
            _ => return None,
        };
        key.end().map(|()| secret)
    }
}
