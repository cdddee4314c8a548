//! Limits against guessing and against floods, counted by peer for all nodes together. They are not those of passwords: an
//! app whose token has run out, and which goes on trying, must not shut out the people behind the same address. Nor are
//! tokens counted that were good once.

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
        match self.options.login_limits.per_peer {
            Some(rate) if self.count(&key("failures", peer), 0, rate.window).await >= rate.failures => {
                Err(OAuthError::RateLimited { retry_after: rate.window })
            }
            _ => Ok(()),
        }
    }

    /// Counts something that was made up: a token, a code, a user code.
    pub(super) async fn oauth_failed(&self, peer: IpAddr) {
        if let Some(rate) = self.options.login_limits.per_peer {
            self.count(&key("failures", peer), 1, rate.window).await;
        }
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

    async fn count(&self, key: &[u8], amount: u64, window: Duration) -> u64 {
        self.logins.bus().count(key, amount, window).await
    }
}

fn key(what: &str, peer: IpAddr) -> Vec<u8> {
    format!("oauth/{what}/{}", peer_network(peer)).into_bytes()
}
