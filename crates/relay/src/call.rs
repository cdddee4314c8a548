//! One address of one host: a connection, new or kept, and all that is to be sent over it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::Status;
use crate::attempt::{Attempt, Delivery, Try};
use crate::connection::{Connection, TlsSetup};
use crate::form::Form;
use crate::pool::Line;
use crate::relay::Inner;
use crate::round::Round;
use crate::route::{Plan, RouteTls, Target};
use crate::session::{Failure, FailureKind, SessionConfig, Stage, Standing, Tls, Transaction, Transcript};
use crate::tls::{
    Demand, HostPolicy, PolicyError, PolicyKind, Proof, TlsFacts, TlsProblem, TlsReason, Watched, server_name,
};
use crate::window::Window;

/// One address that is called.
pub(crate) struct Call<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) plan: &'a Plan,
    pub(crate) address: SocketAddr,
    pub(crate) policy: &'a HostPolicy,
    pub(crate) line: Line,
    pub(crate) name: String,
}

impl Call<'_> {
    /// Calls, and sends what is to be sent.
    pub(crate) async fn make(&self, attempt: &Attempt, round: &mut Round) {
        if let Some(connection) = self.inner.pool.take(&self.line).await
            && !self.use_connection(connection, true, attempt, round).await
        {
            return;
        }
        let begun = Instant::now();
        match self.open(self.tls_mode()).await {
            Ok(connection) => {
                self.use_connection(connection, false, attempt, round).await;
            }
            Err((failure, transcript)) => {
                round.problems.extend(self.problem(&failure));
                let insecure = self.policy.demand == Demand::IfOffered && is_about_tls(&failure);
                self.note(round, begun, Some(&failure), transcript, None, false);
                if insecure {
                    // TLS that fails must not be worse than TLS that is not offered.
                    match self.open(Tls::Never).await {
                        Ok(connection) => {
                            self.use_connection(connection, false, attempt, round).await;
                        }
                        Err((failure, transcript)) => {
                            self.note(round, begun, Some(&failure), transcript, None, false);
                        }
                    }
                }
            }
        }
    }

    fn tls_mode(&self) -> Tls {
        match (&self.policy.demand, self.plan.route.tls) {
            (_, RouteTls::VerifyImmediate) => Tls::Immediate,
            (Demand::Never, _) => Tls::Never,
            (Demand::IfOffered, _) => Tls::IfOffered,
            (Demand::Encrypted | Demand::WebPki(_) | Demand::Dane(_), _) => Tls::Required,
        }
    }

    async fn open(&self, tls: Tls) -> Result<Connection, (Failure, Transcript)> {
        let options = &self.inner.options;
        let connecting = self.inner.network.connect(self.address, self.line.source);
        let failed = |kind| (Failure { stage: Stage::Connect, kind }, Transcript::default());
        let stream = match timeout(options.connect, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if is_ours(&error) => return Err(failed(FailureKind::Unable(error.to_string()))),
            Ok(Err(error)) => return Err(failed(FailureKind::Lost(error.to_string()))),
            Err(_late) => return Err(failed(FailureKind::TimedOut)),
        };
        let config = SessionConfig {
            hello: options.hello.clone(),
            protocol: self.line.protocol,
            tls,
            credentials: self.line.credentials.clone(),
            plaintext_login: options.plaintext_login,
            patience: options.patience,
        };
        let name = match (&self.policy.demand, &self.line.host.target) {
            (Demand::Dane(records), _) => records.names().first().map(server_name),
            (_, Target::Name(name)) => Some(server_name(name)),
            (_, Target::Address(address)) => Some(Ok((*address).into())),
        };
        let name = match name {
            Some(Ok(name)) => name,
            _ => rustls::pki_types::ServerName::from(self.address.ip()),
        };
        let setup = TlsSetup { client: &self.inner.tls, demand: &self.policy.demand, name };
        Connection::open(stream, Arc::new(config), self.inner.nonce(), &setup).await
    }

    /// Sends over a connection all that is to be sent to it. Whether the connection had been closed behind our back, so
    /// that a new one should be tried.
    async fn use_connection(
        &self,
        mut connection: Connection,
        reused: bool,
        attempt: &Attempt,
        round: &mut Round,
    ) -> bool {
        let begun = Instant::now();
        // What a connection is not is told to a destination once for all that it carries for it.
        let watched = self.policy.watched.is_some();
        if watched && connection.watched_for.as_ref() != Some(&self.plan.destination) {
            round.problems.extend(self.watch(&connection));
            connection.watched_for = Some(self.plan.destination.clone());
        }
        let failure = loop {
            let (numbers, envelope) = round.open(&attempt.envelope);
            if numbers.is_empty() {
                break None;
            }
            let secured = connection.tls().is_some();
            let form = match Form::choose(&round.survey, &envelope, connection.capabilities(), secured) {
                Ok(form) => form,
                Err(outcome) if outcome.status == Status::permanent(7, 30) => {
                    // Another host of the domain may promise what this one does not (RFC 8689 §4.2.1).
                    round.blame(Delivery { outcome, host: Some(self.name.clone()) }, None);
                    break None;
                }
                Err(outcome) => {
                    round.decide(&numbers, vec![outcome; numbers.len()], &self.name, None);
                    break None;
                }
            };
            let size = (!form.converted).then_some(round.survey.size);
            let transaction = Transaction { envelope: Arc::new(envelope), form, size };
            let (outcomes, failure) = connection.send(transaction, &*attempt.source, &round.survey).await;
            if reused && failure.as_ref().is_some_and(Failure::is_stale) {
                self.note(
                    round,
                    begun,
                    failure.as_ref(),
                    connection.take_transcript(),
                    connection.tls(),
                    reused,
                );
                return true;
            }
            if outcomes.iter().any(|outcome| matches!(outcome.standing, Standing::Delivered { .. })) {
                self.inner.with_window(&self.plan.destination, Window::succeeded);
            }
            let more = round.decide(&numbers, outcomes, &self.name, failure.as_ref());
            if failure.is_some() || !more {
                break failure;
            }
        };
        self.note(round, begun, failure.as_ref(), connection.take_transcript(), connection.tls(), reused);
        if failure.is_none() {
            self.inner.pool.park(self.line.clone(), connection).await;
            self.inner.parked.notify_one();
        }
        false
    }

    /// Writes down what was tried, and what that means.
    fn note(
        &self,
        round: &mut Round,
        begun: Instant,
        failure: Option<&Failure>,
        transcript: Transcript,
        tls: Option<&TlsFacts>,
        reused: bool,
    ) {
        if let Some(failure) = failure {
            if failure.kind.is_crowded() {
                self.inner.with_window(&self.plan.destination, Window::crowded);
            }
            let mut outcome = failure.outcome();
            // Whoever is left over behind a message that was answered is so for what the answer says.
            let told = failure.stage == Stage::Idle || matches!(outcome.standing, Standing::Unknown);
            if !told {
                outcome.text = format!("{} [{}]: {}", self.name, self.address.ip(), outcome.text);
                round.blame(Delivery { outcome, host: Some(self.name.clone()) }, failure.barrier());
            }
        }
        round.tries.push(Try {
            host: self.name.clone(),
            address: Some(self.address),
            source: self.line.source,
            reused,
            tls: tls.cloned(),
            policy: self.policy.kind,
            took: begun.elapsed(),
            failure: failure.map(ToString::to_string),
            transcript,
        });
    }

    /// What a policy that only watches wants to know of a connection.
    fn watch(&self, connection: &Connection) -> Option<TlsProblem> {
        let name = match self.policy.watched.as_ref()? {
            Watched::Named(name) => name,
            Watched::Unnamed(name) => return PolicyError::NotNamed(name.clone()).problem(),
        };
        let (reason, detail) = match connection.tls() {
            None => (TlsReason::StartTlsNotSupported, "the connection is not encrypted"),
            Some(facts) if facts.proof == Proof::None => {
                (TlsReason::CertificateNotTrusted, "nobody vouches for the certificate and the name")
            }
            Some(_) => return None,
        };
        Some(TlsProblem { kind: PolicyKind::Sts, host: name.to_string(), reason, detail: detail.to_owned() })
    }

    fn problem(&self, failure: &Failure) -> Option<TlsProblem> {
        let reason = match &failure.kind {
            FailureKind::NoTls | FailureKind::TlsRefused(_) => TlsReason::StartTlsNotSupported,
            FailureKind::Handshake { reason, .. } => *reason,
            _ => return None,
        };
        Some(TlsProblem {
            kind: self.policy.kind,
            host: self.name.clone(),
            reason,
            detail: failure.to_string(),
        })
    }
}

/// Whether this machine is the reason that there is no connection: the address to send from is not its own, or it has no
/// more files.
fn is_ours(error: &std::io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    error.kind() == std::io::ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

fn is_about_tls(failure: &Failure) -> bool {
    failure.stage == Stage::StartTls
}
