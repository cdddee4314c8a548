//! Quotas: what an account holds and may hold, as its clients follow it (RFC 9425). The limits are set elsewhere, and hold from
//! then on; whoever sets or reads them has them written down here, so that the change log tells of them. What is used stands in
//! the account's row, and the log names the emails that came or went.

use store::kv::Transaction;
use types::{AccountId, ModSeq, ObjectId};

use crate::edit::Edit;
use crate::follow::{Followed, Standing, follow, follow_any};
use crate::table::{self, AccountStates, Changed, QuotaKind, QuotaRow, Quotas, read_many};
use crate::{Error, Mail, ObjectKind, Quota, Usage};

impl Mail {
    /// What an account holds, the limits that its clients were told of, and the modseq at which it is so. One round.
    pub async fn quotas(&self, account: AccountId) -> Result<(ModSeq, Usage, Quota), Error> {
        self.look(|tx| async move {
            let state = tx.snapshot_load::<AccountStates>(&account).await?;
            let limits = limits_in(&tx, account).await?;
            let usage = state.as_ref().map(|state| Usage { bytes: state.bytes, emails: state.emails });
            Ok((state.map_or(ModSeq(0), |state| state.modseq), usage.unwrap_or_default(), limits))
        })
        .await
    }

    /// Writes down what an account may hold, if its clients were told something else. An account that has no rows yet has no
    /// clients either.
    pub async fn note_limits(&self, account: AccountId, limits: Quota) -> Result<(), Error> {
        let (modseq, _, told) = self.quotas(account).await?;
        if told == limits || modseq.0 == 0 {
            return Ok(());
        }
        let _turn = self.turn(account).await;
        let work = |tx: Transaction| async move {
            let mut edit = Edit::open(&tx, account, self.now()).await?;
            for kind in QuotaKind::ALL {
                let object = kind.object();
                let before = edit.object::<Quotas>(object).await?;
                match (limits.of(kind), before) {
                    (Some(limit), before) => {
                        edit.put_object::<Quotas>(object, before.as_ref(), &QuotaRow { limit })?;
                    }
                    (None, Some(_)) => edit.remove_object::<Quotas>(object)?,
                    (None, None) => {}
                }
            }
            edit.finish().await
        };
        let modseq = self.kv().run(work).await?;
        self.announce(account, modseq).await;
        Ok(())
    }

    /// Quotas that have changed, at most `max`, and whether of all that were updated only what is used has (RFC 9425 §4.3
    /// `updatedProperties`).
    pub async fn follow_quotas(
        &self,
        account: AccountId,
        since: Standing,
        max: usize,
    ) -> Result<(Followed<QuotaKind>, bool), Error> {
        self.look(|tx| async move {
            let limited = |change: &table::Change| !change.objects_of(ObjectKind::Quota).is_empty();
            let named = |change: &table::Change| {
                let used = QuotaKind::ALL.into_iter().filter(|_| change.counts());
                let limits = change.objects_of(ObjectKind::Quota).iter();
                let limits = limits.filter_map(|o| Some((QuotaKind::of(o.object)?, o.changed)));
                used.map(|kind| (kind, Changed::Updated)).chain(limits).collect::<Vec<_>>()
            };
            let mut followed = follow(&tx, account, since, max, &named).await?;
            let told = limits_in(&tx, account).await?;
            // Emails count towards both, whether there is a limit or not.
            followed.updated.retain(|kind| told.of(*kind).is_some());
            let only_used = match followed.updated.is_empty() {
                true => false,
                false => !follow_any(&tx, account, since, followed.to, &limited).await?,
            };
            Ok((followed, only_used))
        })
        .await
    }
}

impl Quota {
    /// The limit of a kind.
    pub const fn of(&self, kind: QuotaKind) -> Option<u64> {
        match kind {
            QuotaKind::Octets => self.bytes,
            QuotaKind::Emails => self.emails,
        }
    }
}

async fn limits_in(tx: &Transaction, account: AccountId) -> Result<Quota, Error> {
    let keys: [(AccountId, ObjectId); 2] = QuotaKind::ALL.map(|kind| (account, kind.object()));
    let mut rows = read_many::<Quotas>(tx, &keys).await?.into_iter();
    let mut next = || rows.next().flatten().map(|row| row.limit);
    Ok(Quota { bytes: next(), emails: next() })
}
