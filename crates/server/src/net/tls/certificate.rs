//! One certificate: its chain, its key, the names that it is for, and when it expires.

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use thiserror::Error;
use types::Timestamp;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that can be shown.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case; some may begin with `*.`.
    pub(super) names: Vec<String>,
    pub(super) expires: Timestamp,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(super) enum Unusable {
    #[error("the chain cannot be read: {0}")]
    Chain(pem::Error),
    #[error("the chain holds no certificate")]
    NoChain,
    #[error("the key cannot be read: {0}; it must be PEM without a password")]
    Key(pem::Error),
    #[error("the key does not belong to the certificate")]
    Mismatch,
    #[error("the certificate cannot be understood: {0}")]
    Content(String),
}

impl Certificate {
    /// Reads a chain and its key, both PEM.
    pub(super) fn parse(chain: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(Unusable::Chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(Unusable::Key)?;
        let (names, expires) = read(chain.first().ok_or(Unusable::NoChain)?)?;
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unusable::Mismatch,
            other => Unusable::Content(other.to_string()),
        })?;
        Ok(Self { key: Arc::new(key), names, expires })
    }

    /// How well it fits a name, which is in lower case; `None` if it does not.
    pub(super) fn fits(&self, name: &str) -> Option<Fit> {
        if self.names.iter().any(|own| own == name) {
            return Some(Fit::Exactly);
        }
        let (_, parent) = name.split_once('.')?;
        let wild = |own: &String| own.strip_prefix("*.") == Some(parent);
        self.names.iter().any(wild).then_some(Fit::ByWildcard)
    }
}

/// How well a certificate fits a name; the better one is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fit {
    ByWildcard,
    Exactly,
}

fn read(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, Timestamp), Unusable> {
    let content = |error: &dyn std::fmt::Display| Unusable::Content(error.to_string());
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|e| content(&e))?;
    let names = names_of(&certificate).map_err(|e| content(&e))?;
    let expires = Timestamp::from_secs(certificate.validity().not_after.timestamp());
    Ok((names, expires))
}

/// The names that a certificate is for, in lower case.
pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Result<Vec<String>, X509Error> {
    let alternative = certificate.subject_alternative_name()?;
    let names = alternative.map_or(&[][..], |names| &names.value.general_names);
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::super::self_signed::generate;
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        generate(&names).unwrap()
    }

    #[test]
    fn names_and_their_fit() {
        let (chain, key) = made(&["Mail.Example.com", "*.example.org"]);
        let certificate = Certificate::parse(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(certificate.fits("mail.example.com"), Some(Fit::Exactly));
        assert_eq!(certificate.fits("imap.example.org"), Some(Fit::ByWildcard));
        for other in ["example.org", "a.b.example.org", "example.com", "", "com"] {
            assert_eq!(certificate.fits(other), None, "{other}");
        }
        assert!(certificate.expires > Timestamp::from_secs(1_800_000_000));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let ((chain, key), (_, other)) = (made(&["a.example"]), made(&["b.example"]));
        let why = |chain: &str, key: &str| {
            Certificate::parse(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
        };
        assert_eq!(why(&chain, &other), "the key does not belong to the certificate");
        assert_eq!(why("", &key), "the chain holds no certificate");
        assert!(why(&chain, "").starts_with("the key cannot be read"));
        assert!(why(&chain[..chain.len() / 2], &key).starts_with("the chain"));
        assert!(why(&chain, &key[..key.len() / 2]).starts_with("the key cannot be read"));
    }
}
