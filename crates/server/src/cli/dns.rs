//! `magpie domain dns` and `magpie dkim dns`: what an operator puts into DNS.

use clap::Args;
use directory::DomainName;
use http_api::{MailService, ServiceKind};

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::dkim;
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::net::tls::key_hashes;
use crate::problem::Problem;
use crate::public;
use crate::zone::{Facts, Key, Service, Zone};

/// Print the DNS records that a domain needs, as a zone file
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Such as example.com
    name: String,
    /// The server's own name [default: the hostname of the configuration]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

impl Arguments {
    pub(super) async fn run(
        self,
        desk: &mut Desk,
        data: &DataDir,
        settings: Option<Settings>,
        output: Output,
    ) -> Result<(), Problem> {
        let domain = DomainName::parse(&self.name)?;
        let keys = desk.ask(dkim::List { domain: self.name }).await?;
        let host = self.host.or_else(|| settings.as_ref().map(|settings| settings.hostname.clone()));
        let host = host.ok_or_else(|| {
            Problem::invalid(
                "the server's own name is not known, as there is no configuration: give --host mail.example.com",
            )
        })?;
        let host = DomainName::parse(&host)?.to_string();
        let settings = settings.unwrap_or_else(|| Settings::new(&host, data.path().to_owned()));
        let facts = Facts {
            domain: domain.to_string(),
            services: services(&settings),
            keys: keys.into_iter().map(key).collect(),
            certificates: key_hashes(&settings.tls, &data.tls(), &host),
            reports: settings.reports.local_part,
            web: public::has_web(&settings.listeners),
            policy: settings.sts.id(&host),
            host,
        };
        let zone = Zone::new(&facts);
        output.answer(&zone, || zone.to_string());
        Ok(())
    }
}

/// Prints the records of a domain's keys.
pub(super) fn print_keys(domain: &str, keys: Vec<dkim::View>, output: Output) -> Result<(), Problem> {
    let domain = DomainName::parse(domain)?;
    let keys: Vec<Key> = keys.into_iter().map(key).collect();
    let zone = Zone::of_keys(domain.as_str(), &keys);
    output.answer(&zone, || match keys.is_empty() {
        true => format!("{domain} has no DKIM keys yet: create them with `magpie dkim create {domain}`.\n"),
        false => zone.to_string(),
    });
    Ok(())
}

fn key(view: dkim::View) -> Key {
    Key { name: view.name, record: view.record, state: view.state }
}

/// The names under which clients look for services (RFC 6186, RFC 8314 §5.1, RFC 8620 §2.2).
fn services(settings: &Settings) -> Vec<Service> {
    let name = |service: &MailService| match (service.kind, service.implicit_tls) {
        (ServiceKind::Submission, true) => "submissions",
        (ServiceKind::Submission, false) => "submission",
        (ServiceKind::Imap, true) => "imaps",
        (ServiceKind::Imap, false) => "imap",
        (ServiceKind::Pop3, true) => "pop3s",
        (ServiceKind::Pop3, false) => "pop3",
    };
    let mail = public::services(&settings.listeners);
    let mut services: Vec<Service> =
        mail.iter().map(|service| Service { name: name(service), port: service.port }).collect();
    if settings.jmap.enabled && public::has_web(&settings.listeners) {
        services.push(Service { name: "jmap", port: 443 });
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListenerSettings, Protocol};
    use crate::net::{Bind, TlsMode};

    #[test]
    fn services_have_the_names_that_clients_look_for() {
        let mut settings = Settings::new("mail.example.com", "/".into());
        let names = |settings: &Settings| -> Vec<&str> {
            services(settings).into_iter().map(|service| service.name).collect()
        };
        let mail = ["submissions", "imaps", "pop3s", "submission", "imap", "pop3"];
        assert_eq!(names(&settings), mail);
        // JMAP is found at the port where everybody looks for web pages, or not at all.
        settings.jmap.enabled = true;
        assert_eq!(names(&settings), mail);
        let https = ListenerSettings::new("https", Protocol::Http, Bind::Everywhere(443), TlsMode::Implicit);
        settings.listeners.push(https);
        assert_eq!(names(&settings), [&mail[..], &["jmap"]].concat());
    }
}
