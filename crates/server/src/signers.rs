//! Signing what leaves (RFC 6376): with every key that is active of each author's domain, if the domain is ours.

use checks::{KeyKind, Signer, Signing, SigningError, SigningKey};
use directory::{Directory, DkimAlgorithm, DomainName};
use thiserror::Error;
use tokio::task::spawn_blocking;
use types::Timestamp;

/// Why a message cannot be signed. It is not sent without a signature: its readers would take it for forged.
#[derive(Debug, Error)]
pub(crate) enum Unsigned {
    #[error(transparent)]
    Directory(#[from] directory::Error),
    #[error("no key of {0} that signs can be used; create and activate another: `magpie dkim create {0}`")]
    Keys(DomainName),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("the server is going down")]
    Stopping,
}

/// The domains that sign, each once.
pub(crate) fn domains(authors: &[String]) -> Vec<DomainName> {
    let mut domains: Vec<DomainName> = Vec::new();
    for author in authors {
        let domain = author.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok());
        if let Some(domain) = domain
            && !domains.contains(&domain)
        {
            domains.push(domain);
        }
    }
    domains
}

/// The `DKIM-Signature:` fields for a header whose body has streamed through `signing`; none where no key is active.
pub(crate) async fn sign(
    directory: &Directory,
    domains: Vec<DomainName>,
    signing: Signing,
    header: Vec<u8>,
    at: Timestamp,
) -> Result<String, Unsigned> {
    let mut keys = Vec::new();
    for domain in domains {
        let secrets = directory.signing_keys(&domain).await?;
        keys.push((domain, secrets));
    }
    if keys.iter().all(|(_, secrets)| secrets.is_empty()) {
        return Ok(String::new());
    }
    let work = spawn_blocking(move || {
        let mut signers = Vec::new();
        for (domain, secrets) in keys {
            let before = signers.len();
            for secret in &secrets {
                match signer(&domain, secret) {
                    Ok(signer) => signers.push(signer),
                    Err(error) => {
                        tracing::error!(%domain, selector = %secret.selector, %error, "a DKIM key cannot sign");
                    }
                }
            }
            if signers.len() == before && !secrets.is_empty() {
                return Err(Unsigned::Keys(domain));
            }
        }
        Ok(signing.sign(&header, &signers, at)?)
    });
    work.await.map_err(|_stopping| Unsigned::Stopping)?
}

/// The `DKIM-Signature:` fields for a message that the server itself writes, in the name of a host: those of the host's own
/// domain, or of the nearest above it that has keys, which DMARC takes for the same (RFC 7489 §3.1.1).
pub(crate) async fn sign_for_host(
    directory: &Directory,
    host: &str,
    message: &[u8],
    at: Timestamp,
) -> Result<String, Unsigned> {
    let mut name = host;
    while name.contains('.') {
        if let Ok(domain) = DomainName::parse(name)
            && !directory.signing_keys(&domain).await?.is_empty()
        {
            let body = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |end| end + 4);
            let (header, body) = message.split_at(body);
            let mut signing = Signing::default();
            signing.body(body);
            return sign(directory, vec![domain], signing, header.to_vec(), at).await;
        }
        name = name.split_once('.').map_or("", |(_, above)| above);
    }
    Ok(String::new())
}

/// What signs with a key of a domain.
pub(crate) fn signer(domain: &DomainName, secret: &directory::DkimSecret) -> Result<Signer, SigningError> {
    let kind = match secret.algorithm {
        DkimAlgorithm::Rsa => KeyKind::Rsa,
        DkimAlgorithm::Ed25519 => KeyKind::Ed25519,
    };
    let key = SigningKey::from_pkcs8(kind, secret.private())?;
    Signer::new(domain.as_str(), secret.selector.as_str(), key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_signs_once() {
        let authors = ["a@x.test", "b@X.test", "c@y.test", "no address"].map(str::to_owned);
        let domains = domains(&authors);
        let names: Vec<&str> = domains.iter().map(DomainName::as_str).collect();
        assert_eq!(names, ["x.test", "y.test"]);
    }
}
