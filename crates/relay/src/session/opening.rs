//! From the greeting to the moment that messages can be sent.

use super::{Capabilities, Expect, FailureKind, Phase, Protocol, Session, Tls};
use crate::reply::Reply;
use crate::sasl::Exchange;

impl Session {
    /// An answer on the way to the first message.
    pub(super) fn opened(&mut self, expect: Expect, reply: &Reply) {
        match expect {
            Expect::Greeting if reply.is_positive() => self.say_hello(),
            Expect::Ehlo if reply.is_positive() => {
                self.peer = Capabilities::read(reply);
                self.protect();
            }
            // A server of before 1995, or one that does not want to be asked (RFC 5321 §3.2).
            Expect::Ehlo if reply.is_permanent() && self.config.protocol == Protocol::Smtp => {
                self.peer = Capabilities::default();
                self.command(&format!("HELO {}", self.config.hello.clone()), Expect::Helo);
            }
            Expect::Helo if reply.is_positive() => self.protect(),
            Expect::StartTls => self.tls_answered(reply),
            Expect::Login => self.login_answered(reply),
            _ => self.refuse(FailureKind::Refused(reply.to_string())),
        }
    }

    pub(super) fn say_hello(&mut self) {
        let verb = match self.config.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        self.command(&format!("{verb} {}", self.config.hello.clone()), Expect::Ehlo);
    }

    fn protect(&mut self) {
        if self.secured {
            return self.login();
        }
        match self.config.tls {
            Tls::Required | Tls::Immediate if !self.peer.starttls => self.refuse(FailureKind::NoTls),
            Tls::Required | Tls::Immediate => self.command("STARTTLS", Expect::StartTls),
            Tls::IfOffered if self.peer.starttls => self.command("STARTTLS", Expect::StartTls),
            Tls::IfOffered | Tls::Never => self.login(),
        }
    }

    fn tls_answered(&mut self, reply: &Reply) {
        if !reply.is_positive() {
            return match self.config.tls {
                Tls::IfOffered => self.login(),
                _ => self.refuse(FailureKind::TlsRefused(reply.to_string())),
            };
        }
        if !self.input.is_empty() {
            // What came before the handshake may be anybody's; under TLS it would look like the peer's.
            return self
                .lost(FailureKind::OutOfTurn("more than its go-ahead came before the handshake".to_owned()));
        }
        self.peer = Capabilities::default();
        self.phase = Phase::Handshake;
    }

    fn login(&mut self) {
        let Some(credentials) = &self.config.credentials else {
            self.phase = Phase::Serving;
            return;
        };
        if !self.secured && !self.config.plaintext_login {
            let why = "nothing protects the connection, and the password is not sent in plain text";
            return self.refuse(FailureKind::Login(why.to_owned()));
        }
        match Exchange::begin(&self.peer.auth, credentials, &self.nonce) {
            Some((command, shown, exchange)) => {
                self.transcript.says(shown);
                self.phase = Phase::Opening(Some(exchange));
                self.line(&command, Expect::Login);
            }
            None => {
                let offers = self.peer.auth.join(" ");
                let why = format!("it offers none of SCRAM-SHA-256, PLAIN and LOGIN, but: {offers}");
                self.refuse(FailureKind::Login(why));
            }
        }
    }

    fn login_answered(&mut self, reply: &Reply) {
        let exchange = match &mut self.phase {
            Phase::Opening(exchange) => exchange.take(),
            _ => None,
        };
        let Some(exchange) = exchange else {
            return self.refuse(FailureKind::Login("nobody had begun it".to_owned()));
        };
        if reply.is_positive() {
            match exchange.is_complete() {
                true => self.phase = Phase::Serving,
                false => self
                    .refuse(FailureKind::Login("it agreed without proving that it is the server".to_owned())),
            }
        } else if reply.is_intermediate() {
            let challenge = reply.lines().first().map(String::as_str).unwrap_or_default();
            match exchange.answer(challenge) {
                Ok((answer, next)) => {
                    self.transcript.says("…");
                    self.phase = Phase::Opening(Some(next));
                    self.line(&answer, Expect::Login);
                }
                Err(why) => self.refuse(FailureKind::Login(why.to_owned())),
            }
        } else {
            self.refuse(FailureKind::Login(reply.to_string()));
        }
    }

    /// Ends a connection that cannot be used, politely.
    fn refuse(&mut self, kind: FailureKind) {
        self.lost(kind);
        self.output.extend_from_slice(b"QUIT\r\n");
        self.transcript.says("QUIT");
    }
}
