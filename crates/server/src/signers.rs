//! Signing what leaves with the keys of our domains (RFC 6376, RFC 8617).

use bytes::Bytes;
use checks::{KeyKind, Signer, Signing, SigningError, SigningKey};
use directory::{Directory, DkimAlgorithm, DkimSecret, DomainName};
use memchr::memmem;
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

/// The `DKIM-Signature:` fields for a header whose body has streamed through `signing`: with every key that is active of
/// each domain. None where no key is active.
pub(crate) async fn sign(
    directory: &Directory,
    domains: Vec<DomainName>,
    signing: Signing,
    header: Vec<u8>,
    at: Timestamp,
) -> Result<String, Unsigned> {
    with_signers(directory, domains, move |signers| signing.sign(&header, signers, at)).await
}

/// The same for a message that is all there.
pub(crate) async fn sign_whole(
    directory: &Directory,
    domains: Vec<DomainName>,
    message: Bytes,
    at: Timestamp,
) -> Result<String, Unsigned> {
    let work = move |signers: &[Signer]| {
        let end = memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |end| end + 4);
        let (header, body) = message.split_at(end);
        let mut signing = Signing::default();
        signing.body(body);
        signing.sign(header, signers, at)
    };
    with_signers(directory, domains, work).await
}

/// The same for a message that the server itself writes, in the name of a host: by the keys of the host's own domain, or of the
/// nearest above it that has any, which DMARC takes for the same (RFC 7489 §3.1.1).
pub(crate) async fn sign_for_host(
    directory: &Directory,
    host: &str,
    message: &Bytes,
    at: Timestamp,
) -> Result<String, Unsigned> {
    let mut name = host;
    while name.contains('.') {
        if let Ok(domain) = DomainName::parse(name) {
            let fields = sign_whole(directory, vec![domain], message.clone(), at).await?;
            if !fields.is_empty() {
                return Ok(fields);
            }
        }
        name = name.split_once('.').map_or("", |(_, above)| above);
    }
    Ok(String::new())
}

/// What seals in the name of a domain (ARC): its RSA key, for other algorithms are not known there. None where no such key
/// is active.
pub(crate) async fn sealer(directory: &Directory, domain: &DomainName) -> Result<Option<Signer>, Unsigned> {
    let mut secrets = directory.signing_keys(domain).await?;
    secrets.retain(|secret| secret.algorithm == DkimAlgorithm::Rsa);
    Ok(usable(domain, &secrets)?.into_iter().next())
}

async fn with_signers<F>(directory: &Directory, domains: Vec<DomainName>, work: F) -> Result<String, Unsigned>
where
    F: FnOnce(&[Signer]) -> Result<String, SigningError> + Send + 'static,
{
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
            signers.extend(usable(&domain, &secrets)?);
        }
        Ok(work(&signers)?)
    });
    work.await.map_err(|_stopping| Unsigned::Stopping)?
}

/// What signs with the keys of a domain. One that cannot be used is left out, as long as there is another.
fn usable(domain: &DomainName, secrets: &[DkimSecret]) -> Result<Vec<Signer>, Unsigned> {
    let mut signers = Vec::new();
    for secret in secrets {
        match signer(domain, secret) {
            Ok(signer) => signers.push(signer),
            Err(error) => {
                tracing::error!(%domain, selector = %secret.selector, %error, "a DKIM key cannot sign");
            }
        }
    }
    if signers.is_empty() && !secrets.is_empty() {
        return Err(Unsigned::Keys(domain.clone()));
    }
    Ok(signers)
}

fn signer(domain: &DomainName, secret: &DkimSecret) -> Result<Signer, SigningError> {
    let kind = match secret.algorithm {
        DkimAlgorithm::Rsa => KeyKind::Rsa,
        DkimAlgorithm::Ed25519 => KeyKind::Ed25519,
    };
    let key = SigningKey::from_pkcs8(kind, secret.private())?;
    Signer::new(domain.as_str(), secret.selector.as_str(), key)
}
