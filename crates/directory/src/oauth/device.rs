//! Devices without a browser (RFC 8628): they show a short code, which their owner types on a page of this server.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use store::kv;
use types::{Randomness, Timestamp};

use super::client::find_client;
use super::grant::{Fresh, Outcome, end_grant, open_grant};
use super::secret::{Secret, device_hash};
use super::{OAuthClient, OAuthError, Owner, Tokens};
use crate::directory::Directory;
use crate::password::Scopes;
use crate::table::{
    DecisionRow, DeviceRow, Devices, Digest, Due, DueRows, Mark, Spent, UserCodeRow, UserCodes,
};

/// How long a device waits.
const LIFETIME: Duration = Duration::from_mins(10);
/// How long a device code is recognised that comes again.
const KEPT: Duration = Duration::from_hours(1);
/// How long a device waits between two questions, and what is added when it does not.
const INTERVAL: Duration = Duration::from_secs(5);
/// The letters of user codes: no vowels, so that they are no words (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many letters a code has: 34 bits, for ten minutes, and guesses are counted.
const LENGTH: usize = 8;

const UNKNOWN: OAuthError = OAuthError::Grant("the device code is unknown or too old");

/// What a device gets to begin with.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCodes {
    /// What it asks with.
    pub device: String,
    /// What it shows to its owner.
    pub user: String,
    /// How long both hold.
    pub lifetime: Duration,
    /// How long it waits between two questions.
    pub interval: Duration,
}

/// What the owner of a device is to decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceQuestion {
    /// The code that the device shows.
    pub user_code: String,
    /// Who asks.
    pub client: OAuthClient,
    /// For what.
    pub scopes: Scopes,
}

impl Directory {
    /// Begins with a device.
    pub async fn begin_device(
        &self,
        client: &OAuthClient,
        scopes: Scopes,
        peer: IpAddr,
    ) -> Result<DeviceCodes, OAuthError> {
        if self.options.oauth.is_none() {
            return Err(OAuthError::Off);
        }
        if !client.device {
            return Err(OAuthError::ClientUse);
        }
        self.oauth_device_begins(peer).await?;
        let device = &Secret::device();
        let expires = self.clock.now().plus(LIFETIME);
        loop {
            let user_code = user_code();
            let row = &DeviceRow {
                client: client.reference(),
                scopes,
                user_code: user_code.clone(),
                expires,
                decision: None,
                spent: None,
            };
            let code = &user_code;
            let is_free = self
                .kv
                .run(|tx| async move {
                    if tx.load::<UserCodes>(code).await?.is_some_and(|other| *other.device != device.hash) {
                        return Ok(false);
                    }
                    tx.save::<UserCodes>(code, &UserCodeRow { device: device.hash.into() })?;
                    tx.save::<Devices>(&device.hash, row)?;
                    tx.save::<DueRows>(&(expires.plus(KEPT), Due::Device(device.hash)), &Mark)?;
                    Ok::<_, kv::Error>(true)
                })
                .await?;
            if is_free {
                let (first, second) = user_code.split_at(LENGTH / 2);
                let user = format!("{first}-{second}");
                return Ok(DeviceCodes {
                    device: device.text.clone(),
                    user,
                    lifetime: LIFETIME,
                    interval: INTERVAL,
                });
            }
        }
    }

    /// What the device with this user code asks for. Guesses are counted by themselves.
    pub async fn device_question(&self, user_code: &str, peer: IpAddr) -> Result<DeviceQuestion, OAuthError> {
        self.check_user_code_peer(peer).await?;
        let now = self.clock.now();
        let found = match &typed(user_code) {
            None => None,
            Some(code) => {
                self.kv
                    .run(|tx| async move {
                        let Some((_, row)) = waiting(&tx, code, now).await? else { return Ok(None) };
                        let client = find_client(&tx, &row.client.id).await?;
                        let client = client.filter(|client| client.reference() == row.client);
                        Ok::<_, kv::Error>(client.map(|client| (client, row)))
                    })
                    .await?
            }
        };
        match found {
            Some((client, row)) => {
                let (first, second) = row.user_code.split_at_checked(LENGTH / 2).unwrap_or_default();
                Ok(DeviceQuestion { user_code: format!("{first}-{second}"), client, scopes: row.scopes })
            }
            None => {
                self.user_code_failed(peer).await;
                Err(OAuthError::UserCode)
            }
        }
    }

    /// Decides on the device with this user code: its owner lets it in, or somebody says no. The code is used up.
    pub async fn decide_device(&self, user_code: &str, owner: Option<&Owner>) -> Result<(), OAuthError> {
        let code = &typed(user_code).ok_or(OAuthError::UserCode)?;
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let Some((hash, mut row)) = waiting(&tx, code, now).await? else {
                    return Err(OAuthError::UserCode);
                };
                row.decision = Some(match owner {
                    Some(owner) => DecisionRow::Allowed(owner.agrees(row.scopes)),
                    None => DecisionRow::Denied,
                });
                tx.remove::<UserCodes>(code)?;
                Ok(tx.save::<Devices>(&hash, &row)?)
            })
            .await
    }

    /// The device asks whether it is let in.
    pub async fn redeem_device_code(
        &self,
        client: &str,
        code: &str,
        peer: IpAddr,
    ) -> Result<Tokens, OAuthError> {
        let options = self.options.oauth.as_ref().ok_or(OAuthError::Off)?;
        self.check_oauth_peer(peer).await?;
        let Some(hash) = device_hash(code) else {
            self.oauth_failed(peer).await;
            return Err(UNKNOWN);
        };
        let now = self.clock.now();
        let fresh = &Fresh::new(now, options);
        let outcome = self
            .kv
            .run(|tx| async move {
                let Some(mut row) = tx.load::<Devices>(&hash).await? else { return Ok(Outcome::Unknown) };
                if row.client.id != client {
                    return Ok(Outcome::Wrong);
                }
                if let Some(spent) = row.spent {
                    let account = match &row.decision {
                        Some(DecisionRow::Allowed(consent)) => consent.account,
                        _ => return Ok(Outcome::Wrong),
                    };
                    if let Some(grant) = spent.grant {
                        if *grant == fresh.grant {
                            return Ok(Outcome::Granted(row.scopes));
                        }
                        end_grant(&tx, &grant).await?;
                    }
                    return Ok(Outcome::Reused(row.client.id, account));
                }
                if now >= row.expires {
                    return Err(OAuthError::Expired);
                }
                let consent = match &row.decision {
                    None => return Err(OAuthError::Pending),
                    Some(DecisionRow::Denied) => return Err(OAuthError::Denied),
                    Some(DecisionRow::Allowed(consent)) => consent,
                };
                let granted = open_grant(&tx, fresh, consent, &row.client).await?;
                row.spent = Some(Spent { grant: granted.then(|| fresh.grant.into()) });
                tx.save::<Devices>(&hash, &row)?;
                Ok(if granted { Outcome::Granted(row.scopes) } else { Outcome::Wrong })
            })
            .await;
        match outcome {
            Err(OAuthError::Pending) => Err(self.too_soon(&hash, now).await),
            Err(error) => Err(error),
            Ok(Outcome::Granted(scopes)) => Ok(fresh.tokens(scopes)),
            Ok(Outcome::Wrong) => {
                Err(OAuthError::Grant("the device code is not this client's, or what was granted has ended"))
            }
            Ok(Outcome::Reused(client, account)) => {
                tracing::warn!(client, %account, "a device code was used twice: what it granted has ended");
                Err(OAuthError::Grant("the device code was used before: what became of it has ended"))
            }
            Ok(Outcome::Unknown) => {
                self.oauth_failed(peer).await;
                Err(UNKNOWN)
            }
        }
    }

    /// Whether a device that has to wait has asked too soon. That is known for as long as nothing else is more important:
    /// a device that is not told is let in no earlier.
    async fn too_soon(&self, hash: &Digest, now: Timestamp) -> OAuthError {
        let bus = self.logins.bus();
        let key = [b"oauth/poll/".as_slice(), hash].concat();
        let last = bus.cached(&key).await.and_then(|value| Asked::read(&value));
        let (interval, is_early) = match last {
            Some(last) if now.since(last.at) < last.interval => (last.interval + INTERVAL, true),
            Some(last) => (last.interval, false),
            None => (INTERVAL, false),
        };
        bus.cache(&key, Asked { at: now, interval }.written(), LIFETIME).await;
        if is_early { OAuthError::SlowDown { interval } } else { OAuthError::Pending }
    }
}

/// When a device has asked, and how long it has to wait.
struct Asked {
    at: Timestamp,
    interval: Duration,
}

impl Asked {
    fn read(value: &[u8]) -> Option<Self> {
        let (at, interval) = value.split_first_chunk()?;
        let interval = Duration::from_secs(u64::from_be_bytes(interval.try_into().ok()?));
        Some(Self { at: Timestamp(u64::from_be_bytes(*at)), interval })
    }

    fn written(&self) -> Bytes {
        [self.at.0.to_be_bytes(), self.interval.as_secs().to_be_bytes()].concat().into()
    }
}

/// The device that waits with this user code.
async fn waiting(
    tx: &kv::Transaction,
    code: &String,
    now: Timestamp,
) -> Result<Option<(Digest, DeviceRow)>, kv::Error> {
    let Some(row) = tx.load::<UserCodes>(code).await? else { return Ok(None) };
    let device = tx.load::<Devices>(&row.device).await?;
    let waits = |device: &DeviceRow| now < device.expires && device.decision.is_none();
    Ok(device.filter(waits).map(|device| (*row.device, device)))
}

/// A new user code. Each letter is as likely as any other.
fn user_code() -> String {
    let mut code = String::with_capacity(LENGTH);
    while code.len() < LENGTH {
        let even = Randomness::bytes::<16>().into_iter().filter(|byte| *byte < 240);
        let letters = even.filter_map(|byte| LETTERS.get(usize::from(byte) % LETTERS.len()));
        code.extend(letters.map(|letter| char::from(*letter)).take(LENGTH - code.len()));
    }
    code
}

/// The code that somebody has typed: case, hyphens and spaces make no difference.
fn typed(text: &str) -> Option<String> {
    if text.len() > 64 {
        return None;
    }
    let letters = text.bytes().filter(|b| !matches!(b, b'-' | b' ')).map(|b| b.to_ascii_uppercase());
    let code: Vec<u8> = letters.collect();
    let fits = code.len() == LENGTH && code.iter().all(|b| LETTERS.contains(b));
    if fits { String::from_utf8(code).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_typed_in_many_ways() {
        let made = user_code();
        assert_eq!(made.len(), LENGTH);
        let (first, second) = made.split_at(4);
        for text in
            [&made, &made.to_lowercase(), &format!("{first}-{second}"), &format!(" {first} {second} ")]
        {
            assert_eq!(typed(text).as_ref(), Some(&made), "{text}");
        }
        for bad in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJ1", "BCDFGHJKL", &"-".repeat(99)] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_remembered_of_a_question() {
        let asked = Asked { at: Timestamp(7), interval: Duration::from_secs(10) };
        let read = Asked::read(&asked.written()).unwrap();
        assert_eq!((read.at, read.interval), (asked.at, asked.interval));
        assert!(Asked::read(b"x").is_none());
    }
}
