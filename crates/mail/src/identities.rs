//! Identities: from whom an account sends mail, and how it is signed (RFC 8621 §6). Which addresses an account may use is
//! not known here; whoever knows says so.

use store::kv::{Range, Transaction};
use types::{AccountId, ModSeq, ObjectId};

use crate::edit::Edit;
use crate::table::{Identities, Identity, ObjectTable};
use crate::{Error, Mail};

impl Mail {
    /// The most identities of an account.
    pub const IDENTITIES: usize = 100;
    /// Octets that all texts of an identity may have together.
    pub const IDENTITY_SIZE: usize = 64 << 10;

    /// All identities, the oldest first, and the modseq at which they are so.
    pub async fn identities(&self, account: AccountId) -> Result<(ModSeq, Vec<(ObjectId, Identity)>), Error> {
        self.all_objects::<Identities>(account).await
    }

    /// Adds an identity.
    pub async fn create_identity(&self, account: AccountId, identity: &Identity) -> Result<ObjectId, Error> {
        check(identity)?;
        self.create_object::<Identities>(account, identity, Self::IDENTITIES).await
    }

    /// Sees to it that there is an identity for an address of the account's own, unless it was there already.
    pub async fn own_identity(&self, account: AccountId, identity: &Identity) -> Result<(), Error> {
        check(identity)?;
        let identity = &Identity { is_own: true, ..identity.clone() };
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            let rows = tx.rows::<Identities>(Range::new(Identities::all(account))).all().await?;
            if !rows.iter().any(|(_, other)| other.is_own && other.email == identity.email) {
                edit.put_object::<Identities>(edit.new_object(), None, identity)?;
            }
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }

    /// Changes an identity: `change` says what it shall be, from what it is. It may be asked again.
    pub async fn update_identity(
        &self,
        account: AccountId,
        identity: ObjectId,
        change: &(dyn Fn(&Identity) -> Identity + Sync),
    ) -> Result<(), Error> {
        let change = |before: &Identity| {
            let after = change(before);
            check(&after).map(|()| after)
        };
        self.update_object::<Identities>(account, identity, &change).await
    }

    /// Removes an identity.
    pub async fn destroy_identity(&self, account: AccountId, identity: ObjectId) -> Result<(), Error> {
        self.destroy_object::<Identities>(account, identity).await
    }
}

fn check(identity: &Identity) -> Result<(), Error> {
    let (size, limit) = (identity.size(), Mail::IDENTITY_SIZE);
    if size > limit { Err(Error::ObjectTooLarge { size, limit }) } else { Ok(()) }
}
