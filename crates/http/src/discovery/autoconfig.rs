//! Settings for mail apps in the form of Thunderbird's, which most others read as well (draft-ietf-mailmaint-autoconfig).

use directory::DomainName;

use super::xml::Writer;
use super::{Discovery, MailService, ServiceKind};

/// The settings of a domain; nothing if there is no way to its mail.
pub(super) fn config(discovery: &Discovery, domain: &DomainName) -> Option<String> {
    let reads = discovery.of(ServiceKind::Imap).chain(discovery.of(ServiceKind::Pop3));
    let mut reads = reads.peekable();
    reads.peek()?;
    let mut xml = Writer::new();
    xml.begin("clientConfig", &[("version", "1.1")]);
    xml.begin("emailProvider", &[("id", domain.as_str())]);
    xml.leaf("domain", domain.as_str());
    xml.leaf("displayName", &domain.to_unicode());
    xml.leaf("displayShortName", &domain.to_unicode());
    for service in reads {
        server(&mut xml, "incomingServer", &discovery.host, service);
    }
    for service in discovery.of(ServiceKind::Submission) {
        server(&mut xml, "outgoingServer", &discovery.host, service);
    }
    Some(xml.finish())
}

fn server(xml: &mut Writer, element: &'static str, host: &str, service: &MailService) {
    let kind = match service.kind {
        ServiceKind::Imap => "imap",
        ServiceKind::Pop3 => "pop3",
        ServiceKind::Submission => "smtp",
    };
    xml.begin(element, &[("type", kind)]);
    xml.leaf("hostname", host);
    xml.leaf("port", &service.port.to_string());
    xml.leaf("socketType", if service.implicit_tls { "SSL" } else { "STARTTLS" });
    // Inside TLS; the app puts the address in by itself.
    xml.leaf("authentication", "password-cleartext");
    xml.leaf("username", "%EMAILADDRESS%");
    xml.end();
}
