//! The client's side of TLS, with whatever proof is demanded.

use std::sync::Arc;

use dns::Name;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use thiserror::Error;

use super::{DaneMatch, DaneRecords, Demand, TlsReason};

/// Who the peer has proved to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Nobody: the connection is encrypted, to whomever.
    None,
    /// The host, to a public certification authority.
    WebPki,
    /// The host, to DNSSEC.
    Dane,
}

/// What protects a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFacts {
    /// The version, as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: String,
    /// Who the peer has proved to be.
    pub proof: Proof,
}

/// Makes the configuration of each connection.
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    roots: Arc<WebPkiServerVerifier>,
}

/// The certificate is not what DNS says.
#[derive(Debug, Error)]
#[error("no TLSA record matches the certificate")]
pub(super) struct DaneMismatch;

impl TlsClient {
    /// A client that trusts these authorities where one is asked for.
    ///
    /// # Errors
    /// [`rustls::server::VerifierBuilderError`] if there is none.
    pub fn new(roots: RootCertStore) -> Result<Self, rustls::server::VerifierBuilderError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        Ok(Self { provider, roots })
    }

    /// The configuration for one connection, and where the proof will be found after the handshake.
    ///
    /// # Errors
    /// [`Error`] if the provider has none of the versions.
    pub(crate) fn connection(&self, demand: &Demand) -> Result<(ClientConfig, Arc<Mutex<Proof>>), Error> {
        let proof = Arc::new(Mutex::new(Proof::None));
        let verifier = Verifier {
            demand: demand.clone(),
            roots: self.roots.clone(),
            provider: self.provider.clone(),
            proof: proof.clone(),
        };
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok((config, proof))
    }
}

#[derive(Debug)]
struct Verifier {
    demand: Demand,
    roots: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    proof: Arc<Mutex<Proof>>,
}

impl Verifier {
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        asked: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Proof, Error> {
        match &self.demand {
            Demand::Never | Demand::IfOffered | Demand::Encrypted => {
                // Whether it could prove itself is worth knowing, but decides nothing.
                let proved = self.roots.verify_server_cert(own, above, asked, &[], now);
                Ok(proved.map_or(Proof::None, |_| Proof::WebPki))
            }
            Demand::WebPki(name) => {
                let name = server_name(name)?;
                self.roots.verify_server_cert(own, above, &name, &[], now).map(|_| Proof::WebPki)
            }
            Demand::Dane(records) => self.dane(records, own, above, now).map(|()| Proof::Dane),
        }
    }

    fn dane(
        &self,
        records: &DaneRecords,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let chain: Vec<&[u8]> = std::iter::once(own).chain(above).map(|one| one.as_ref()).collect();
        let mut anchors = RootCertStore::empty();
        match records.check(&chain) {
            DaneMatch::EndEntity => return Ok(()),
            DaneMatch::Anchors(numbers) => {
                for anchor in numbers.into_iter().filter_map(|number| chain.get(number)) {
                    anchors.add(CertificateDer::from(anchor.to_vec()))?;
                }
            }
            DaneMatch::None => {}
        }
        for anchor in records.whole_anchors() {
            // One that cannot be read matches nothing.
            let _unreadable = anchors.add(CertificateDer::from(anchor.to_vec()));
        }
        let mismatch =
            || Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(DaneMismatch))));
        if anchors.is_empty() {
            return Err(mismatch());
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors), self.provider.clone())
            .build()
            .map_err(|_| mismatch())?;
        let mut last = mismatch();
        for name in records.names() {
            match verifier.verify_server_cert(own, above, &server_name(name)?, &[], now) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl TlsReason {
    /// What an error of a handshake is in a report.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let Some(Error::InvalidCertificate(error)) = inner else { return Self::ValidationFailure };
        match error {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateHostMismatch
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
            CertificateError::UnknownIssuer => Self::CertificateNotTrusted,
            CertificateError::Other(other) if other.0.is::<DaneMismatch>() => Self::TlsaInvalid,
            _ => Self::ValidationFailure,
        }
    }
}

pub(crate) fn server_name(name: &Name) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.as_str().to_owned())
        .map_err(|_| Error::General(format!("{name} is no host name")))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        asked: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.proof.lock() = self.judge(own, above, asked, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}
