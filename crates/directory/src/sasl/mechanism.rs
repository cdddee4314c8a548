//! The mechanisms by their names.

/// A way to prove who one is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// SCRAM-SHA-256 bound to the TLS channel: nobody in between can pass it on.
    ScramSha256Plus,
    /// SCRAM-SHA-256: the password is not sent, and both sides prove that they know it.
    ScramSha256,
    /// An access token (RFC 7628).
    OAuthBearer,
    /// An access token, in the form that was there before the standard.
    XOAuth2,
    /// The password itself.
    Plain,
    /// The password itself, in two steps, for old clients.
    Login,
}

impl Mechanism {
    /// All of them, the best first.
    pub const ALL: [Self; 6] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of this name, in any case.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }
}
