//! Limits against guessing and against floods, counted by peer for all nodes together. They are not those of passwords: an
//! app whose token has run out, and which goes on trying, must not shut out the people behind the same address. Nor are
//! tokens counted that were good once. User codes are counted by themselves: a link is enough to make somebody's browser try
//! one, which must not shut out the apps behind the same address.

use std::net::IpAddr;
use std::time::Duration;

use super::OAuthError;
use crate::directory::Directory;
use crate::login::peer_network;
use crate::options::Rate;

/// Devices that may begin from one peer.
const DEVICES: Rate = Rate { failures: 30, window: Duration::from_mins(10) };

/// Clients that may register themselves from one peer, and from all together.
const CLIENTS: Rate = Rate { failures: 10, window: Duration::from_hours(1) };
const ALL_CLIENTS: Rate = Rate { failures: 1000, window: Duration::from_hours(24) };

impl Directory {
    /// Refuses an attempt that comes after too many failures from the same peer.
    pub(super) async fn check_oauth_peer(&self, peer: IpAddr) -> Result<(), OAuthError> {
        self.check_failures(&key("failures", peer)).await
    }

    /// Counts something that was made up: a token, a code.
    pub(super) async fn oauth_failed(&self, peer: IpAddr) {
        self.failed(&key("failures", peer)).await;
    }

    /// Refuses a user code that comes after too many guesses from the same peer.
    pub(super) async fn check_user_code_peer(&self, peer: IpAddr) -> Result<(), OAuthError> {
        self.check_failures(&key("user-codes", peer)).await
    }

    /// Counts a user code that was made up.
    pub(super) async fn user_code_failed(&self, peer: IpAddr) {
        self.failed(&key("user-codes", peer)).await;
    }

    /// Counts a device that begins.
    pub(super) async fn oauth_device_begins(&self, peer: IpAddr) -> Result<(), OAuthError> {
        if self.count(&key("devices", peer), 1, DEVICES.window).await > DEVICES.failures {
            return Err(OAuthError::RateLimited { retry_after: DEVICES.window });
        }
        Ok(())
    }

    /// Counts a client that registers itself.
    pub(super) async fn oauth_client_registers(&self, peer: IpAddr) -> Result<(), OAuthError> {
        for (key, rate) in [(key("clients", peer), CLIENTS), (b"oauth/clients".to_vec(), ALL_CLIENTS)] {
            if self.count(&key, 1, rate.window).await > rate.failures {
                return Err(OAuthError::RateLimited { retry_after: rate.window });
            }
        }
        Ok(())
    }

    async fn check_failures(&self, key: &[u8]) -> Result<(), OAuthError> {
        match self.options.login_limits.per_peer {
            Some(rate) if self.count(key, 0, rate.window).await >= rate.failures => {
                Err(OAuthError::RateLimited { retry_after: rate.window })
            }
            _ => Ok(()),
        }
    }

    async fn failed(&self, key: &[u8]) {
        if let Some(rate) = self.options.login_limits.per_peer {
            self.count(key, 1, rate.window).await;
        }
    }

    async fn count(&self, key: &[u8], amount: u64, window: Duration) -> u64 {
        self.logins.bus().count(key, amount, window).await
    }
}

fn key(what: &str, peer: IpAddr) -> Vec<u8> {
    format!("oauth/{what}/{}", peer_network(peer)).into_bytes()
}
