//! A certificate that nobody has signed, for a server that was given none.

use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair, KeyUsagePurpose, SanType};

use super::certificate::Certificate;
use crate::config::{CertificateSettings, Material};
use crate::data_dir::write_secret;
use crate::problem::{Kind, Problem};

/// The certificate kept in `directory`; made there if there is none for these names, so that a client that was told to
/// trust it goes on doing so.
pub(super) fn ensure(directory: &Path, names: &[String]) -> Result<CertificateSettings, Problem> {
    let (chain, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if !is_for(&chain, &key, names) {
        let (chain_pem, key_pem) = generate(names).map_err(|error| {
            Problem::new(Kind::Internal, format!("a certificate could not be made: {error}"))
        })?;
        write_secret(&key, key_pem.as_bytes())?;
        write_secret(&chain, chain_pem.as_bytes())?;
    }
    Ok(CertificateSettings { chain: Material::File(chain), key: Material::File(key) })
}

/// Whether the files are there. Those that are damaged or of other names are made anew: nobody else has made them.
fn is_for(chain: &Path, key: &Path, names: &[String]) -> bool {
    let read = |path| std::fs::read(path).unwrap_or_default();
    Certificate::parse(&read(chain), &read(key))
        .is_ok_and(|certificate| names.iter().all(|name| certificate.names.contains(name)))
}

/// A certificate for loopback and some names, and its key, in PEM.
pub(super) fn generate(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
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
    fn the_certificate_is_made_once_for_its_names() {
        let directory = tempfile::tempdir().unwrap();
        let names = |name: &str| vec!["localhost".to_owned(), name.to_owned()];
        let ensured = |name: &str| {
            ensure(directory.path(), &names(name)).unwrap();
            std::fs::read(directory.path().join("cert.pem")).unwrap()
        };
        let first = ensured("example.test");
        assert_eq!(ensured("example.test"), first);
        assert_ne!(ensured("mail.example.test"), first);
        std::fs::write(directory.path().join("key.pem"), "rubbish").unwrap();
        ensured("mail.example.test");
        assert!(is_for(
            &directory.path().join("cert.pem"),
            &directory.path().join("key.pem"),
            &names("localhost")
        ));
    }
}
