//! Logging in to send (RFC 4954). What the mechanisms mean is in [`directory::sasl`].

use std::net::IpAddr;

use directory::sasl::{ChannelBindings, Error, Exchange, Mechanism, Progress, Response};
use directory::{AuthError, Authenticated, Protocol};
use smtp::{AuthRefusal, AuthStep};

use super::super::SmtpServer;

/// How a login goes on.
pub(super) enum Answer {
    /// The client is to answer a challenge.
    Challenge(Exchange),
    /// It has proven who it is.
    Admitted(Authenticated),
}

/// Takes the client's next words. `under_way` is the exchange that they belong to, if they do not begin one.
pub(super) async fn answer(
    server: &SmtpServer,
    client: IpAddr,
    bindings: &ChannelBindings,
    under_way: Option<Exchange>,
    step: AuthStep,
) -> Result<Answer, AuthRefusal> {
    let (exchange, response) = match (step, under_way) {
        (AuthStep::Begin(name, initial), _) => {
            let mechanism = Mechanism::named(name.as_bytes()).ok_or(AuthRefusal::Malformed)?;
            let exchange = Exchange::new(mechanism, bindings);
            let Some(initial) = initial else { return Ok(Answer::Challenge(exchange)) };
            (exchange, Response::from_command(initial.as_str().as_bytes()))
        }
        (AuthStep::Respond(line), Some(exchange)) => {
            (exchange, Response::from_line(line.as_str().as_bytes()))
        }
        (AuthStep::Respond(_), None) => return Err(AuthRefusal::Malformed),
    };
    let response = response.map_err(|error| refusal(&error))?;
    match server.carrier.directory.respond(exchange, response, client, Protocol::Submission).await {
        Ok(Progress::Challenge(exchange)) => Ok(Answer::Challenge(exchange)),
        Ok(Progress::Admitted(who)) => Ok(Answer::Admitted(who)),
        Err(error) => Err(refusal(&error)),
    }
}

/// A failure in the session's words.
fn refusal(error: &Error) -> AuthRefusal {
    match error {
        Error::Cancelled | Error::Malformed(_) => AuthRefusal::Malformed,
        Error::Authorization | Error::Channel(_) | Error::Login(AuthError::Refused) => AuthRefusal::Wrong,
        Error::Login(AuthError::RateLimited { .. }) => AuthRefusal::TooMany,
        Error::Login(AuthError::SendingBlocked) => AuthRefusal::SendingBlocked,
        Error::Login(AuthError::Busy) => AuthRefusal::Unavailable,
        Error::Login(AuthError::Store(why)) => {
            tracing::error!(error = %why, "a login cannot be looked at");
            AuthRefusal::Unavailable
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use store::kv;

    use super::*;

    #[test]
    fn every_failure_has_its_words() {
        let retry_after = Duration::from_secs(1);
        for (error, wanted) in [
            (Error::Cancelled, AuthRefusal::Malformed),
            (Error::Malformed("x"), AuthRefusal::Malformed),
            (Error::Authorization, AuthRefusal::Wrong),
            (Error::Channel("x"), AuthRefusal::Wrong),
            (AuthError::Refused.into(), AuthRefusal::Wrong),
            (AuthError::RateLimited { retry_after }.into(), AuthRefusal::TooMany),
            (AuthError::SendingBlocked.into(), AuthRefusal::SendingBlocked),
            (AuthError::Busy.into(), AuthRefusal::Unavailable),
            (AuthError::Store(kv::Error::CommitUnknown).into(), AuthRefusal::Unavailable),
        ] {
            assert_eq!(refusal(&error), wanted, "{error}");
        }
    }
}
