//! The certificate that a server on loopback shows, and the TLS settings of each listener.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::data_dir::write_secret;
use crate::problem::{Kind, Problem};

/// A certificate chain and its private key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Makes the process's cryptography known to rustls. Once, before any TLS.
pub(crate) fn install_provider() {
    // An error only says that it was done before.
    let _already_done = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Identity {
    /// The certificate kept in `directory`; made and signed by itself if there is none, so that a client that
    /// was told to trust it goes on doing so.
    pub(crate) fn self_signed(directory: &Path, domain: &str) -> Result<Self, Problem> {
        let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        if !chain.exists() || !key.exists() {
            let (chain_pem, key_pem) = generate(domain).map_err(|error| {
                Problem::new(Kind::Internal, format!("a certificate could not be made: {error}"))
            })?;
            write_secret(&key, key_pem.as_bytes())?;
            write_secret(&chain, chain_pem.as_bytes())?;
        }
        Self::load(&chain, &key)
    }

    fn load(chain: &Path, key: &Path) -> Result<Self, Problem> {
        let unusable = |path: &Path, error: rustls::pki_types::pem::Error| {
            Problem::new(
                Kind::Damaged,
                format!(
                    "{} cannot be used ({error}): remove {0} and its neighbour, and new ones are made",
                    path.display()
                ),
            )
        };
        let certificates = CertificateDer::pem_file_iter(chain).map_err(|e| unusable(chain, e))?;
        Ok(Self {
            chain: certificates.collect::<Result<_, _>>().map_err(|e| unusable(chain, e))?,
            key: PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, e))?,
        })
    }

    /// The TLS side of one listener. Each has settings of its own: a session ticket of one is worth nothing to
    /// another, so what a client was allowed there carries over nowhere.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, Problem> {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| {
                Problem::new(Kind::Damaged, format!("the TLS certificate cannot be used: {error}"))
            })?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A certificate for loopback and `domain`, and its key, in PEM.
fn generate(domain: &str) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), domain.to_owned(), format!("*.{domain}")];
    let mut params = CertificateParams::new(names)?;
    params.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    params.subject_alt_names.push(SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()));
    params.distinguished_name.push(DnType::CommonName, "Magpie on this machine");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_made_once() {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        let first = Identity::self_signed(directory.path(), "example.test").unwrap();
        let second = Identity::self_signed(directory.path(), "example.test").unwrap();
        assert_eq!(first.chain, second.chain);
        assert!(first.acceptor().is_ok());
    }

    #[test]
    fn a_damaged_certificate_is_told_apart() {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        Identity::self_signed(directory.path(), "example.test").unwrap();
        std::fs::write(directory.path().join("key.pem"), "rubbish").unwrap();
        let problem = Identity::self_signed(directory.path(), "example.test").err().unwrap();
        assert_eq!(problem.kind, Kind::Damaged);
    }
}
