//! Whose turn it is to ask a push service something. There are so many turns for all accounts together, and one account has
//! a few of them at most: its push services may take their time, and only its own messages wait for them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use types::AccountId;

/// The turns that there are.
pub(crate) struct Turns {
    all: Semaphore,
    each: usize,
    shares: Mutex<HashMap<AccountId, Share>>,
}

/// What one account may have of them. It is kept while somebody waits for a turn of the account or has one.
struct Share {
    turns: Arc<Semaphore>,
    members: usize,
}

/// A turn; it is given back when this is dropped.
pub(crate) struct Turn<'t> {
    // In this order: the share goes when nothing of it is taken any more.
    _of_all: Option<SemaphorePermit<'t>>,
    _of_account: Option<OwnedSemaphorePermit>,
    _member: Member<'t>,
}

/// Somebody who waits for a turn of an account, or has one.
struct Member<'t> {
    turns: &'t Turns,
    account: AccountId,
}

impl Turns {
    /// So many for all accounts together, and for each at most.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self { all: Semaphore::new(all.max(1)), each: each.max(1), shares: Mutex::default() }
    }

    /// Waits for a turn of an account. Whoever gives up waiting has taken nothing.
    pub(crate) async fn take(&self, account: AccountId) -> Turn<'_> {
        let (member, share) = self.join(account);
        // The account's first: who waits for that keeps nobody else's place. Closed these never are; and if they were,
        // nothing would be gained by not sending.
        let of_account = share.acquire_owned().await.ok();
        let of_all = self.all.acquire().await.ok();
        Turn { _of_all: of_all, _of_account: of_account, _member: member }
    }

    fn join(&self, account: AccountId) -> (Member<'_>, Arc<Semaphore>) {
        let mut shares = self.shares.lock();
        let share = shares
            .entry(account)
            .or_insert_with(|| Share { turns: Arc::new(Semaphore::new(self.each)), members: 0 });
        share.members += 1;
        (Member { turns: self, account }, share.turns.clone())
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut shares = self.turns.shares.lock();
        match shares.get_mut(&self.account) {
            Some(share) if share.members > 1 => share.members -= 1,
            _ => {
                shares.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use super::*;

    const ALICE: AccountId = AccountId(1);
    const BOB: AccountId = AccountId(2);

    #[test]
    fn an_account_has_its_share_and_leaves_the_rest_to_others() {
        let turns = Turns::new(3, 2);
        let take = |account| turns.take(account).now_or_never();
        let (first, second) = (take(ALICE).unwrap(), take(ALICE).unwrap());
        let mut third = pin!(turns.take(ALICE));
        assert!(third.as_mut().now_or_never().is_none(), "two of an account");
        let other = take(BOB).unwrap();
        assert!(take(BOB).is_none(), "three in all");
        drop(first);
        let third = third.now_or_never().unwrap();
        assert!(take(BOB).is_none(), "three in all");
        drop(second);
        assert!(take(BOB).is_some());
        drop((third, other));
        assert!(turns.shares.lock().is_empty());
    }

    #[test]
    fn whoever_gives_up_waiting_leaves_nothing_behind() {
        let turns = Turns::new(2, 1);
        let first = turns.take(ALICE).now_or_never().unwrap();
        assert!(turns.take(ALICE).now_or_never().is_none(), "gave up waiting for the account");
        assert_eq!(turns.shares.lock().get(&ALICE).unwrap().members, 1);
        let second = turns.take(BOB).now_or_never().unwrap();
        let carol = AccountId(3);
        assert!(turns.take(carol).now_or_never().is_none(), "gave up waiting for all");
        assert_eq!(turns.shares.lock().len(), 2);
        drop(first);
        assert!(turns.take(carol).now_or_never().is_some());
        drop(second);
        assert!(turns.shares.lock().is_empty());
    }
}
