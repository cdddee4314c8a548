//! A seal on a form: that it was given to this browser, lately, and that what it says is what was shown. Another page cannot
//! make its visitor send one (fault 51): it has neither the cookie nor the key.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use directory::OAuthError;
use types::{Randomness, Timestamp};

use super::OAuth;

/// How long a form may lie open.
const VALID: Duration = Duration::from_hours(1);

/// A browser, as its cookie names it.
pub(super) struct Browser {
    id: String,
    is_new: bool,
}

impl OAuth {
    /// The browser that asks: as it was named before, or with a new name.
    pub(super) fn browser(&self, headers: &HeaderMap) -> Browser {
        match self.known_browser(headers) {
            Some(id) => Browser { id, is_new: false },
            None => Browser { id: hex(&Randomness::bytes::<16>()), is_new: true },
        }
    }

    fn known_browser(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let id = pairs.find(|(name, _)| *name == self.cookie_name())?.1;
        let fits = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| id.to_owned())
    }

    /// What sets the cookie, if it is not set.
    pub(super) fn cookie(&self, browser: &Browser) -> Option<HeaderValue> {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let text = format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", self.cookie_name(), browser.id);
        browser.is_new.then(|| HeaderValue::from_str(&text).ok()).flatten()
    }

    /// A cookie that no other host of our domain, and nobody without TLS, can set (RFC 6265bis §4.1.3.2).
    fn cookie_name(&self) -> &'static str {
        if self.is_secure() { "__Host-magpie-form" } else { "magpie-form" }
    }

    fn is_secure(&self) -> bool {
        self.encrypted || self.issuer.starts_with("https://")
    }

    /// The seal of a form that says this.
    pub(super) async fn seal(&self, browser: &Browser, says: &[&str]) -> Result<String, OAuthError> {
        let key = self.directory.form_key().await?;
        let now = self.clock.now();
        Ok(format!("{:x}.{}", now.0, tag(&key, now, &browser.id, says).to_hex()))
    }

    /// Whether this form was given to this browser lately.
    pub(super) async fn is_sealed(
        &self,
        headers: &HeaderMap,
        seal: Option<&str>,
        says: &[&str],
    ) -> Result<bool, OAuthError> {
        let Some(browser) = self.known_browser(headers) else { return Ok(false) };
        let Some((time, found)) = seal.and_then(|seal| seal.split_once('.')) else { return Ok(false) };
        let (Ok(time), Ok(found)) = (u64::from_str_radix(time, 16), blake3::Hash::from_hex(found)) else {
            return Ok(false);
        };
        let (made, now) = (Timestamp(time), self.clock.now());
        let key = self.directory.form_key().await?;
        // Hashes compare in constant time.
        Ok(tag(&key, made, &browser, says) == found && made <= now.plus(VALID) && now < made.plus(VALID))
    }
}

fn tag(key: &[u8; 32], made: Timestamp, browser: &str, says: &[&str]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&made.0.to_be_bytes());
    for part in std::iter::once(&browser).chain(says) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_time_browser_and_text() {
        let seal = |time, browser, says: &[&str]| tag(&[7; 32], Timestamp(time), browser, says);
        let one = seal(1, "a", &["x", "y"]);
        assert_eq!(one, seal(1, "a", &["x", "y"]));
        for other in [seal(2, "a", &["x", "y"]), seal(1, "b", &["x", "y"]), seal(1, "a", &["xy", ""])] {
            assert_ne!(one, other);
        }
    }
}
