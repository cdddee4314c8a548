//! What DNS may say about the certificates of a server (RFC 6698, RFC 7672): hashes of their public keys.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::names_of;
use crate::config::{Material, TlsSettings};

/// SHA-256 of the public keys of the certificates that are shown for a name, in hexadecimal. What cannot be read by
/// whoever asks is left out.
pub(crate) fn key_hashes(settings: &TlsSettings, directory: &Path, name: &str) -> Vec<String> {
    let made_here = Material::File(directory.join("cert.pem"));
    let mut chains: Vec<&Material> = settings.certificates.iter().map(|one| &one.chain).collect();
    if chains.is_empty() {
        chains.push(&made_here);
    }
    let mut hashes = Vec::new();
    for chain in chains {
        let pem = match chain {
            Material::File(path) => std::fs::read(path).ok(),
            Material::Environment(name) => std::env::var(name).ok().map(String::into_bytes),
        };
        if let Some(hash) = pem.and_then(|pem| key_hash(&pem, name))
            && !hashes.contains(&hash)
        {
            hashes.push(hash);
        }
    }
    hashes
}

fn key_hash(pem: &[u8], name: &str) -> Option<String> {
    let first = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (_, certificate) = X509Certificate::from_der(&first).ok()?;
    let parent = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let fits = |own: &String| own == name || Some(own) == parent.as_ref();
    if !names_of(&certificate).ok()?.iter().any(fits) {
        return None;
    }
    let hash = digest(&SHA256, certificate.public_key().raw);
    Some(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::self_signed::generate;
    use super::*;

    #[test]
    fn keys_of_certificates_for_the_name() {
        let (chain, _) = generate(&["mail.example.com".to_owned(), "*.example.org".to_owned()]).unwrap();
        let hash = |name| key_hash(chain.as_bytes(), name);
        assert_eq!(hash("mail.example.com").unwrap().len(), 64);
        assert_eq!(hash("mail.example.com"), hash("imap.example.org"));
        assert_eq!(hash("other.example.com"), None);
        assert_eq!(key_hash(b"rubbish", "mail.example.com"), None);
    }
}
