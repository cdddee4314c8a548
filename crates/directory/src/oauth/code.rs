//! Authorization codes (RFC 6749 §4.1, RFC 7636): from the browser to the app, for a minute, once.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::kv;

use super::grant::{Fresh, Outcome, end_grant, open_grant};
use super::secret::{Secret, code_hash};
use super::{OAuthClient, OAuthError, Owner, Tokens};
use crate::directory::Directory;
use crate::password::Scopes;
use crate::table::{CodeRow, Codes, Due, DueRows, Mark, Spent};

/// How long a code holds.
const LIFETIME: Duration = Duration::from_mins(1);
const UNKNOWN: OAuthError = OAuthError::Grant("the code is unknown or too old");

/// How long a code is recognised that comes again.
const KEPT: Duration = Duration::from_hours(1);

/// The challenge of PKCE, by `S256`: what the SHA-256 of the verifier has to be (RFC 7636 §4.2). `plain` is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Reads a challenge: 43 characters of base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        octets.try_into().ok().map(Self)
    }

    /// Whether this is the verifier. It has 43 to 128 characters (RFC 7636 §4.1).
    fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        (43..=128).contains(&verifier.len())
            && verifier.bytes().all(unreserved)
            && verify_slices_are_equal(digest(&SHA256, verifier.as_bytes()).as_ref(), &self.0).is_ok()
    }
}

/// What an owner has agreed to.
#[derive(Clone, Copy, Debug)]
pub struct CodeRequest<'r> {
    /// Who asks.
    pub client: &'r OAuthClient,
    /// Where the answer goes: the client must allow it.
    pub redirect: &'r str,
    /// Who will redeem the code.
    pub challenge: Challenge,
    /// For what.
    pub scopes: Scopes,
}

impl Directory {
    /// Makes a code for what an owner has agreed to.
    pub async fn create_oauth_code(
        &self,
        owner: &Owner,
        request: &CodeRequest<'_>,
    ) -> Result<String, OAuthError> {
        if !request.client.allows(request.redirect) {
            return Err(OAuthError::ClientUse);
        }
        let code = &Secret::code();
        let expires = self.clock.now().plus(LIFETIME);
        let row = &CodeRow {
            consent: owner.agrees(request.scopes),
            client: request.client.reference(),
            redirect: request.redirect.to_owned(),
            challenge: request.challenge.0.into(),
            expires,
            spent: None,
        };
        self.kv
            .run(|tx| async move {
                tx.save::<Codes>(&code.hash, row)?;
                tx.save::<DueRows>(&(expires.plus(KEPT), Due::Code(code.hash)), &Mark)?;
                Ok::<_, kv::Error>(())
            })
            .await?;
        Ok(code.text.clone())
    }

    /// Redeems a code. However it is presented, it is worth nothing afterwards. One that comes again ends what became of it
    /// (RFC 6749 §4.1.2).
    pub async fn redeem_oauth_code(
        &self,
        client: &str,
        code: &str,
        redirect: &str,
        verifier: &str,
        peer: IpAddr,
    ) -> Result<Tokens, OAuthError> {
        let options = self.options.oauth.as_ref().ok_or(OAuthError::Off)?;
        self.check_oauth_peer(peer).await?;
        let Some(hash) = code_hash(code) else {
            self.oauth_failed(peer).await;
            return Err(UNKNOWN);
        };
        let now = self.clock.now();
        let fresh = &Fresh::new(now, options);
        let outcome = self
            .kv
            .run(|tx| async move {
                let Some(mut row) = tx.load::<Codes>(&hash).await? else { return Ok(Outcome::Unknown) };
                if let Some(spent) = row.spent {
                    if let Some(grant) = spent.grant {
                        if *grant == fresh.grant {
                            return Ok(Outcome::Granted(row.consent.scopes));
                        }
                        end_grant(&tx, &grant).await?;
                    }
                    return Ok(Outcome::Reused(row.client.id, row.consent.account));
                }
                let good = row.client.id == client
                    && row.redirect == redirect
                    && now < row.expires
                    && Challenge(*row.challenge).is_met_by(verifier);
                let granted = good && open_grant(&tx, fresh, &row.consent, &row.client).await?;
                row.spent = Some(Spent { grant: granted.then(|| fresh.grant.into()) });
                let scopes = row.consent.scopes;
                tx.save::<Codes>(&hash, &row)?;
                Ok::<_, kv::Error>(if granted { Outcome::Granted(scopes) } else { Outcome::Wrong })
            })
            .await?;
        match outcome {
            Outcome::Granted(scopes) => Ok(fresh.tokens(scopes)),
            Outcome::Wrong => Err(OAuthError::Grant(
                "the client, the redirect URI or the verifier is not that of the code, or it is too old",
            )),
            Outcome::Reused(client, account) => {
                tracing::warn!(client, %account, "an authorization code was used twice: what it granted has ended");
                Err(OAuthError::Grant("the code was used before: what became of it has ended"))
            }
            Outcome::Unknown => {
                self.oauth_failed(peer).await;
                Err(UNKNOWN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_verifier_meets_its_challenge() {
        let challenge = Challenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        assert!(!challenge.is_met_by("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl"));
        assert!(!challenge.is_met_by("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        for bad in ["", "abc", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", &"A".repeat(44)] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
        let short = digest(&SHA256, b"short");
        assert!(!Challenge(short.as_ref().try_into().unwrap()).is_met_by("short"));
    }
}
