//! Settings for Outlook (MS-OXDSCLI, "plain old XML"): it asks with an address, and wants to hear of one way for each
//! protocol.

use directory::Address;

use super::xml::{Writer, leaves};
use super::{Discovery, MailService, ServiceKind};

/// The answer that settings are told in.
const SETTINGS: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
/// What is around it.
const ANSWER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// Whose settings.
    pub(super) address: String,
    /// In which form.
    form: Option<String>,
}

impl Asked {
    pub(super) fn read(text: &str) -> Option<Self> {
        let leaves = leaves(text)?;
        let leaf = |name: &str| {
            let found = leaves.iter().find(|(leaf, _)| leaf.eq_ignore_ascii_case(name));
            found.map(|(_, text)| text.clone())
        };
        Some(Self { address: leaf("EMailAddress")?, form: leaf("AcceptableResponseSchema") })
    }

    /// Phones ask for ActiveSync in the same way, which is not here.
    pub(super) fn wants_settings(&self) -> bool {
        self.form.as_deref().is_none_or(|form| form == SETTINGS)
    }
}

/// The settings of an address; nothing if there is no way to its mail.
pub(super) fn settings(discovery: &Discovery, address: &Address) -> Option<String> {
    let first = |kind| discovery.of(kind).next();
    let (imap, pop3) = (first(ServiceKind::Imap), first(ServiceKind::Pop3));
    imap.or(pop3)?;
    let mut xml = Writer::new();
    xml.begin("Autodiscover", &[("xmlns", ANSWER)]);
    xml.begin("Response", &[("xmlns", SETTINGS)]);
    xml.begin("Account", &[]);
    xml.leaf("AccountType", "email");
    xml.leaf("Action", "settings");
    for service in [imap, pop3, first(ServiceKind::Submission)].into_iter().flatten() {
        protocol(&mut xml, &discovery.host, &address.to_string(), service);
    }
    Some(xml.finish())
}

fn protocol(xml: &mut Writer, host: &str, login: &str, service: &MailService) {
    let kind = match service.kind {
        ServiceKind::Imap => "IMAP",
        ServiceKind::Pop3 => "POP3",
        ServiceKind::Submission => "SMTP",
    };
    xml.begin("Protocol", &[]);
    xml.leaf("Type", kind);
    xml.leaf("Server", host);
    xml.leaf("Port", &service.port.to_string());
    xml.leaf("DomainRequired", "off");
    xml.leaf("LoginName", login);
    xml.leaf("SPA", "off");
    xml.leaf("SSL", if service.implicit_tls { "on" } else { "off" });
    xml.leaf("Encryption", if service.implicit_tls { "SSL" } else { "TLS" });
    xml.leaf("AuthRequired", "on");
    if service.kind == ServiceKind::Submission {
        xml.leaf("UsePOPAuth", "off");
        xml.leaf("SMTPLast", "off");
    }
    xml.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_outlook_asks() {
        let asked = |form: &str| {
            Asked::read(&format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/\
                 autodiscover/outlook/requestschema/2006\">\n  <Request>\n    <EMailAddress> user@example.com \
                 </EMailAddress>\n{form}  </Request>\n</Autodiscover>"
            ))
            .unwrap()
        };
        let form = |name: &str| format!("<AcceptableResponseSchema>{name}</AcceptableResponseSchema>");
        for (form, settings) in [
            (String::new(), true),
            (form(SETTINGS), true),
            (
                form("http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"),
                false,
            ),
        ] {
            let asked = asked(&form);
            assert_eq!((asked.address.as_str(), asked.wants_settings()), ("user@example.com", settings));
        }
        assert_eq!(Asked::read("<Autodiscover/>"), None);
    }
}
