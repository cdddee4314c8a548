//! How much one user does at once.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::gauge;
use parking_lot::Mutex;
use types::AccountId;

/// What is counted apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Request,
    Upload,
    Download,
    Events,
    Poll,
    Socket,
}

impl Kind {
    /// Its name among the channels by which clients hear of changes, if it is one.
    const fn channel(self) -> Option<&'static str> {
        match self {
            Self::Request | Self::Upload | Self::Download => None,
            Self::Events => Some("events"),
            Self::Poll => Some("poll"),
            Self::Socket => Some("websocket"),
        }
    }

    /// So many more or fewer of them are taken.
    fn count(self, more: f64) {
        if let Some(channel) = self.channel() {
            gauge!("magpie_push_channels", "kind" => channel).increment(more);
        }
    }
}

type Taken = HashMap<(AccountId, Kind), usize>;

/// The places that are taken. All clones are the same.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// A place; it is given back when this is dropped.
pub(super) struct Place {
    places: Places,
    key: (AccountId, Kind),
}

impl Places {
    /// Takes a place of so many, if there is one.
    pub(super) fn take(&self, account: AccountId, kind: Kind, most: usize) -> Option<Place> {
        let key = (account, kind);
        let mut taken = self.0.lock();
        let count = taken.get(&key).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert(key, count + 1);
        kind.count(1.0);
        Some(Place { places: self.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.key.1.count(-1.0);
        let mut taken = self.places.0.lock();
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Places::default();
        let take = |account| places.take(AccountId(account), Kind::Request, 2);
        let (one, two) = (take(1), take(1));
        assert!(one.is_some() && two.is_some() && take(1).is_none());
        assert!(take(2).is_some() && places.take(AccountId(1), Kind::Upload, 1).is_some());
        drop(one);
        assert!(take(1).is_some());
        drop(two);
        assert!(places.0.lock().is_empty());
    }
}
