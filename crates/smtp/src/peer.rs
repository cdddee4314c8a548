//! Who is on the other end: what the driver knows of the connection, and what the session learns.

use std::net::IpAddr;

use types::Timestamp;

use crate::hello::Hello;

/// What the driver knows about a connection when it opens.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The peer's address; none on a Unix socket.
    pub address: Option<IpAddr>,
    /// The peer's host name, if its reverse look-up was confirmed by a forward one.
    pub name: Option<String>,
    /// Set if the connection was encrypted from its first byte.
    pub tls: Option<Tls>,
    /// When the connection was opened. Only FUTURERELEASE reckons with it, until [`Session::at`] knows better.
    ///
    /// [`Session::at`]: crate::Session::at
    pub since: Timestamp,
}

/// The protection of a connection, as the trace field states it (RFC 8314 §7.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    version: String,
    cipher: String,
    bindable: bool,
}

impl Tls {
    /// From the names of the protocol version (`TLSv1.3`) and the cipher suite (`TLS_AES_256_GCM_SHA384`);
    /// anything but letters, digits, `.`, `_` and `-` is left out.
    pub fn new(version: &str, cipher: &str) -> Self {
        let token = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(64).collect()
        };
        Self { version: token(version), cipher: token(cipher), bindable: false }
    }

    /// The same, knowing whether logins can be bound to the channel (RFC 5056): whether the driver has channel bindings.
    #[must_use]
    pub fn bindable(self, bindable: bool) -> Self {
        Self { bindable, ..self }
    }

    /// Whether logins can be bound to the channel.
    pub fn is_bindable(&self) -> bool {
        self.bindable
    }

    /// The protocol version's name.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The cipher suite's name.
    pub fn cipher(&self) -> &str {
        &self.cipher
    }
}

/// A client as it stands when it opens a mail transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The client's address; none on a Unix socket.
    pub address: Option<IpAddr>,
    /// The client's confirmed host name.
    pub name: Option<String>,
    /// How the client introduced itself.
    pub hello: Hello,
    /// The protection of the connection.
    pub tls: Option<Tls>,
}
