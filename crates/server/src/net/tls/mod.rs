//! TLS: the certificates of a server, and what each listener makes of them.

mod certificate;
mod certificates;
mod dane;
mod self_signed;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::TlsAcceptor;

pub(crate) use self::certificates::Certificates;
pub(crate) use self::dane::key_hashes;
use crate::problem::{Kind, Problem};

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TlsMode {
    /// Never.
    Off,
    /// When the client asks for it.
    StartTls,
    /// Before anything is said.
    Implicit,
}

/// Makes the process's cryptography known to rustls. Once, before any TLS.
pub(crate) fn install_provider() {
    // An error only says that it was done before.
    let _already_done = default_provider().install_default();
}

/// The TLS side of one listener. Each has tickets of its own: one of them is worth nothing to another listener, so what
/// a client was allowed there carries over nowhere. `alpn` is what the listener calls itself to clients that ask.
pub(crate) fn acceptor(certificates: &Arc<Certificates>, alpn: &[&[u8]]) -> Result<TlsAcceptor, Problem> {
    let broken =
        |error: rustls::Error| Problem::new(Kind::Internal, format!("TLS cannot be set up: {error}"));
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificates.clone());
    config.ticketer = Ticketer::new().map_err(broken)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
