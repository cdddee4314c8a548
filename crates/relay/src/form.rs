//! In which form a message can be sent over a connection: what the message is, against what the peer can do.

use crate::body::Survey;
use crate::envelope::{Envelope, Protection};
use crate::session::{Capabilities, Outcome};

/// The form of a message on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Form {
    /// The parameter BODY of MAIL.
    pub body: Option<&'static str>,
    /// With BDAT instead of DATA.
    pub chunked: bool,
    /// With the parameter SMTPUTF8.
    pub smtputf8: bool,
    /// Converted to seven bits on the way.
    pub converted: bool,
}

impl Form {
    /// The form for a peer, over a connection that TLS protects or not.
    ///
    /// # Errors
    /// The outcome for every recipient, where there is no form in which this peer can take the message.
    pub fn choose(
        survey: &Survey,
        envelope: &Envelope,
        peer: &Capabilities,
        secured: bool,
    ) -> Result<Self, Outcome> {
        if let Some(limit) = peer.size.filter(|limit| *limit < survey.size) {
            let text = format!(
                "the message has {} octets, and the other side takes no more than {limit}",
                survey.size
            );
            return Err(Outcome::permanent(3, 4, text));
        }
        if envelope.protection == Protection::Required && !(secured && peer.require_tls) {
            let text = "the sender wants the message to go only where everybody uses TLS (REQUIRETLS), which the other \
                        side does not promise";
            return Err(Outcome::permanent(7, 30, text));
        }
        let smtputf8 = envelope.is_international() || (survey.header && envelope.smtputf8);
        if smtputf8 && survey.header && !peer.smtputf8 {
            let text = "the header needs SMTPUTF8, which the other side does not have";
            return Err(Outcome::permanent(6, 9, text));
        }
        let form = Self { smtputf8: smtputf8 && peer.smtputf8, ..Self::default() };
        if survey.binary && peer.binary {
            return Ok(Self { body: Some("BINARYMIME"), chunked: true, ..form });
        }
        let eight_bit = survey.eight_bit || survey.header;
        if !survey.binary && (!eight_bit || peer.eight_bit) {
            return Ok(Self { body: eight_bit.then_some("8BITMIME"), ..form });
        }
        if survey.header && !peer.eight_bit {
            let text = "the header holds octets beyond ASCII, which the other side cannot take, and which cannot be converted";
            return Err(Outcome::permanent(6, 3, text));
        }
        if survey.sealed {
            let text = "the message is not plain ASCII, which the other side cannot take, and parts that are signed, \
                        encrypted or coded already cannot be converted without damage";
            return Err(Outcome::permanent(6, 2, text));
        }
        let body = (survey.header && peer.eight_bit).then_some("8BITMIME");
        Ok(Self { converted: true, body, ..form })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Recipient;

    fn peer(words: &str) -> Capabilities {
        let has = |word: &str| words.split(' ').any(|one| one == word);
        Capabilities {
            eight_bit: has("8"),
            binary: has("b"),
            chunking: has("b"),
            smtputf8: has("u"),
            require_tls: has("t"),
            size: has("s").then_some(100),
            ..Capabilities::default()
        }
    }

    #[test]
    fn what_fits_and_what_does_not() {
        let plain = Survey { size: 100, ..Survey::default() };
        let eight = Survey { eight_bit: true, ..plain.clone() };
        let header = Survey { header: true, ..plain.clone() };
        let binary = Survey { binary: true, ..plain.clone() };
        let sealed = Survey { sealed: true, ..eight.clone() };
        let large = Survey { size: 101, ..plain.clone() };
        let ascii = Envelope { recipients: vec![Recipient::default()], ..Envelope::default() };
        let utf8 = Envelope { smtputf8: true, ..ascii.clone() };
        let strict = Envelope { protection: Protection::Required, ..ascii.clone() };
        let hangul = Envelope { sender: "\u{d55c}@x.test".to_owned(), ..utf8.clone() };
        let table = [
            (&plain, &ascii, "", "-"),
            (&plain, &ascii, "s", "-"),
            (&large, &ascii, "s", "5.3.4"),
            (&eight, &ascii, "8", "8BITMIME"),
            (&eight, &ascii, "", "converted"),
            (&sealed, &ascii, "8", "8BITMIME"),
            (&sealed, &ascii, "", "5.6.2"),
            (&binary, &ascii, "8 b", "BINARYMIME"),
            (&binary, &ascii, "8", "converted"),
            (&header, &ascii, "8", "8BITMIME"),
            (&header, &ascii, "", "5.6.3"),
            (&header, &utf8, "8 u", "8BITMIME utf8"),
            (&header, &utf8, "8", "5.6.9"),
            (&plain, &utf8, "", "-"),
            (&plain, &hangul, "u 8", "- utf8"),
            (&plain, &hangul, "", "-"),
            (&plain, &strict, "t", "-"),
            (&plain, &strict, "", "5.7.30"),
        ];
        for (survey, envelope, can, wanted) in table {
            let found = match Form::choose(survey, envelope, &peer(can), true) {
                Ok(form) if form.converted => "converted".to_owned(),
                Ok(form) => {
                    format!("{}{}", form.body.unwrap_or("-"), if form.smtputf8 { " utf8" } else { "" })
                }
                Err(outcome) => outcome.status.to_string(),
            };
            assert_eq!(found, wanted, "{survey:?} {envelope:?} {can}");
        }
        assert!(Form::choose(&plain, &strict, &peer("t"), false).is_err(), "not under TLS");
    }
}
