//! Envelopes that come without a session, as by JMAP: what they may say is what MAIL and RCPT may, read by the same rules.

use types::Timestamp;

use crate::address::{ForwardPath, ReversePath};
use crate::auth::Submitter;
use crate::command::{mail, rcpt};
use crate::config::Config;
use crate::envelope::{BodyType, Origin, Recipient};
use crate::extension::Submission;
use crate::hello::{Greeting, Hello};
use crate::parameter::{Parameter, to_xtext};
use crate::peer::Client;
use crate::reply::{Refusal, RefusalCode};

/// Parameters by their names; some have no value. Values that are xtext in SMTP (RFC 3461 §4) are decoded.
pub type Parameters = [(String, Option<String>)];

/// Reads the parts of an envelope for somebody who has logged in.
pub struct HandedIn<'a> {
    /// What is on offer: that of a listener for submission.
    pub config: &'a Config,
    /// Who has logged in.
    pub submitter: Submitter,
    /// How they come, in a word that a log may show.
    pub by: &'a str,
    /// What FUTURERELEASE reckons from.
    pub now: Timestamp,
}

impl HandedIn<'_> {
    /// Where the message comes from.
    ///
    /// # Errors
    /// In the words with which MAIL is refused.
    pub fn origin(&self, sender: ReversePath, parameters: &Parameters) -> Result<Origin, Refusal> {
        let hello = Hello::new(Greeting::Ehlo, self.by).ok_or_else(|| bad_parameter(self.by))?;
        let mut origin = Origin {
            client: Client { address: None, name: None, hello, tls: None },
            sender,
            size: None,
            body: BodyType::default(),
            smtputf8: false,
            ret: None,
            envid: None,
            submission: Submission { submitter: Some(self.submitter.clone()), ..Submission::default() },
        };
        let encoded = encoded(parameters);
        // Whoever reached this has a channel that was found safe enough for a password.
        let terms = mail::Terms { config: self.config, now: self.now, encrypted: true };
        mail::read_parameters(&list(&encoded)?, &mut origin, &terms)?;
        Ok(origin)
    }

    /// A recipient.
    ///
    /// # Errors
    /// In the words with which RCPT is refused.
    pub fn recipient(
        &self,
        origin: &Origin,
        path: ForwardPath,
        parameters: &Parameters,
    ) -> Result<Recipient, Refusal> {
        let encoded = encoded(parameters);
        Ok(rcpt::read_parameters(path, &list(&encoded)?, origin, self.config)?)
    }
}

/// The values as they stand in a command.
fn encoded(parameters: &Parameters) -> Vec<(&str, Option<String>)> {
    let is = |name: &str, known: &str| name.eq_ignore_ascii_case(known);
    let value = |name: &str, value: &str| match value.split_once(';') {
        Some((kind, address)) if is(name, "ORCPT") && !is(kind, "utf-8") => {
            format!("{kind};{}", to_xtext(address))
        }
        _ if is(name, "ENVID") || is(name, "AUTH") => to_xtext(value),
        _ => value.to_owned(),
    };
    let pairs = parameters.iter();
    pairs.map(|(name, given)| (name.as_str(), given.as_deref().map(|given| value(name, given)))).collect()
}

fn list<'a>(encoded: &'a [(&'a str, Option<String>)]) -> Result<Vec<Parameter<'a>>, Refusal> {
    let mut list: Vec<Parameter<'_>> = Vec::with_capacity(encoded.len());
    for (name, value) in encoded {
        let parameter = Parameter::of(name, value.as_deref()).ok_or_else(|| bad_parameter(name))?;
        if list.iter().any(|other| other.is(name)) {
            return Err(bad_parameter(name));
        }
        list.push(parameter);
    }
    Ok(list)
}

fn bad_parameter(name: &str) -> Refusal {
    let name: String = name.chars().take(40).collect();
    let text = format!("{name} is no parameter, is there twice, or has a value that cannot be one");
    Refusal::new(RefusalCode::NameNotAllowed, 5, 4, &text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Protocol;

    const NOW: Timestamp = Timestamp(1_795_359_480_000);

    fn config() -> Config {
        let mut config = Config::new("mx.example.test", Protocol::Submission);
        config.dsn = true;
        config.extensions.future_release = Some(Duration::from_secs(3_600));
        config
    }

    fn parameters(list: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    fn origin(list: &[(&str, Option<&str>)]) -> Result<Origin, Refusal> {
        let config = config();
        let submitter = Submitter::proven(1, "alice@example.test");
        let handed_in = HandedIn { config: &config, submitter, by: "jmap", now: NOW };
        let sender = ReversePath::Mailbox("alice@example.test".parse().unwrap());
        handed_in.origin(sender, &parameters(list))
    }

    #[test]
    fn parameters_mean_what_they_mean_in_a_session() {
        let read =
            origin(&[("envid", Some("a b+c=")), ("HOLDFOR", Some("60")), ("RET", Some("FULL"))]).unwrap();
        assert_eq!(read.envid.as_deref(), Some("a b+c="));
        assert_eq!(read.submission.hold_until, Some(NOW.plus(Duration::from_secs(60))));
        let until = origin(&[("HOLDUNTIL", Some("2026-11-22T15:00:00Z"))]).unwrap();
        assert_eq!(until.submission.hold_until, Some(NOW.plus(Duration::from_secs(120))));
        for bad in [
            &[("HOLDFOR", Some("3601"))][..],
            &[("HOLDFOR", Some("6 0"))],
            &[("HOLDFOR", None)],
            &[("HOLDFOR", Some("1")), ("holdfor", Some("2"))],
            &[("SIZE=1 X", None)],
            &[("MT-PRIORITY", Some("3"))],
            &[("X", Some("1"))],
        ] {
            assert!(origin(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn recipients_too() {
        let config = config();
        let submitter = Submitter::proven(1, "alice@example.test");
        let handed_in = HandedIn { config: &config, submitter, by: "jmap", now: NOW };
        let path = || ForwardPath::Mailbox("bob@example.com".parse().unwrap());
        let origin = origin(&[]).unwrap();
        let list =
            parameters(&[("NOTIFY", Some("SUCCESS,DELAY")), ("ORCPT", Some("rfc822;b+b@example.com"))]);
        let read = handed_in.recipient(&origin, path(), &list).unwrap();
        assert_eq!(read.orcpt.unwrap().address, "b+b@example.com");
        assert!(read.notify.unwrap().success);
        assert!(handed_in.recipient(&origin, path(), &parameters(&[("X", None)])).is_err());
    }
}
