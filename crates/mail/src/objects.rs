//! What operations on objects of all kinds have in common: one transaction each, with a modseq and a row in the change log.

use store::kv::{Range, Transaction};
use types::{AccountId, ModSeq, ObjectId};

use crate::edit::Edit;
use crate::table::{AccountStates, ObjectTable};
use crate::{Error, Mail};

impl Mail {
    /// All objects of a kind, the oldest first, and the modseq at which they are so. Only for kinds of which there are
    /// few.
    pub(crate) async fn all_objects<T: ObjectTable>(
        &self,
        account: AccountId,
    ) -> Result<(ModSeq, Vec<(ObjectId, T::Record)>), Error> {
        self.look(|tx| async move {
            let state = tx.snapshot_load::<AccountStates>(&account).await?;
            let rows = tx.rows::<T>(Range::new(T::all(account)).snapshot()).all().await?;
            let objects = rows.into_iter().map(|((_, object), record)| (object, record)).collect();
            Ok((state.map_or(ModSeq(0), |state| state.modseq), objects))
        })
        .await
    }

    /// Adds an object, if there are fewer than `most` of its kind.
    pub(crate) async fn create_object<T: ObjectTable>(
        &self,
        account: AccountId,
        record: &T::Record,
        most: usize,
    ) -> Result<ObjectId, Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            let range = Range::new(T::all(account)).limit(most);
            let count = tx.rows::<T>(range).all().await?.len();
            if count >= most {
                return Err(Error::TooMany { what: T::NAME, asked: count + 1, limit: most });
            }
            let object = edit.new_object();
            edit.put_object::<T>(object, None, record)?;
            edit.finish().await?;
            Ok::<_, Error>(object)
        };
        let object = self.kv().run(work).await?;
        self.announce(account, ModSeq(object.0)).await;
        Ok(object)
    }

    /// Changes an object: `change` says what it shall be, from what it is. It may be asked again.
    pub(crate) async fn update_object<T: ObjectTable>(
        &self,
        account: AccountId,
        object: ObjectId,
        change: &(dyn Fn(&T::Record) -> Result<T::Record, Error> + Sync),
    ) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            let before = edit.object::<T>(object).await?.ok_or(Error::NoSuchObject)?;
            edit.put_object::<T>(object, Some(&before), &change(&before)?)?;
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }

    /// Removes an object.
    pub(crate) async fn destroy_object<T: ObjectTable>(
        &self,
        account: AccountId,
        object: ObjectId,
    ) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            edit.object::<T>(object).await?.ok_or(Error::NoSuchObject)?;
            edit.remove_object::<T>(object)?;
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }
}
