//! Objects in a change: their rows, and what the change log tells of them.

use types::{AccountId, ObjectId};

use super::Edit;
use crate::Error;
use crate::table::{Changed, ObjectChange, ObjectTable};

impl Edit {
    /// The id of an object that this change makes: one at most of each kind.
    pub(crate) const fn new_object(&self) -> ObjectId {
        ObjectId(self.modseq().0)
    }

    /// Reads an object.
    pub(crate) async fn object<T: ObjectTable>(&self, object: ObjectId) -> Result<Option<T::Record>, Error> {
        Ok(self.tx().load::<T>(&self.object_key(object)).await?)
    }

    /// Writes an object that was read as `before`, which is none if it is new. Nothing happens to one that is the same.
    pub(crate) fn put_object<T: ObjectTable>(
        &mut self,
        object: ObjectId,
        before: Option<&T::Record>,
        after: &T::Record,
    ) -> Result<(), Error> {
        if before == Some(after) {
            return Ok(());
        }
        self.tx().save::<T>(&self.object_key(object), after)?;
        let changed = if before.is_some() { Changed::Updated } else { Changed::Created };
        self.objects.push(T::KIND, ObjectChange { object, changed });
        Ok(())
    }

    /// Removes an object that is there.
    pub(crate) fn remove_object<T: ObjectTable>(&mut self, object: ObjectId) -> Result<(), Error> {
        self.tx().remove::<T>(&self.object_key(object))?;
        self.objects.push(T::KIND, ObjectChange { object, changed: Changed::Destroyed });
        Ok(())
    }

    const fn object_key(&self, object: ObjectId) -> (AccountId, ObjectId) {
        (self.account(), object)
    }
}
