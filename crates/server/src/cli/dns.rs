//! `magpie domain dns` and `magpie dkim dns`: what an operator puts into DNS.

use clap::Args;
use directory::DomainName;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::dkim;
use crate::config::{ListenerSettings, Protocol, Settings};
use crate::data_dir::DataDir;
use crate::net::tls::key_hashes;
use crate::net::{Bind, TlsMode};
use crate::problem::Problem;
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
            services: services(&settings.listeners),
            keys: keys.into_iter().map(key).collect(),
            certificates: key_hashes(&settings.tls, &data.tls(), &host),
            host,
            reports: settings.reports.local_part,
            // Neither policies nor settings are served yet.
            web: false,
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

/// What clients from elsewhere can reach.
fn services(listeners: &[ListenerSettings]) -> Vec<Service> {
    let name = |listener: &ListenerSettings| match (listener.protocol, listener.tls) {
        (Protocol::Submission, TlsMode::Implicit) => Some("submissions"),
        (Protocol::Submission, TlsMode::StartTls) => Some("submission"),
        (Protocol::Imap, TlsMode::Implicit) => Some("imaps"),
        (Protocol::Imap, TlsMode::StartTls) => Some("imap"),
        (Protocol::Pop3, TlsMode::Implicit) => Some("pop3s"),
        (Protocol::Pop3, TlsMode::StartTls) => Some("pop3"),
        _ => None,
    };
    let port = |listener: &ListenerSettings| {
        listener.addresses.iter().find_map(|address| match address {
            Bind::Everywhere(port) => Some(*port),
            Bind::One(address) => (!address.ip().is_loopback()).then(|| address.port()),
            Bind::Loopback(_) => None,
        })
    };
    let service = |listener| Some(Service { name: name(listener)?, port: port(listener)? });
    listeners.iter().filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_reach_is_on_offer() {
        let usual = services(&ListenerSettings::usual());
        let found: Vec<_> = usual.iter().map(|service| (service.name, service.port)).collect();
        assert_eq!(
            found,
            [
                ("submission", 587),
                ("submissions", 465),
                ("imap", 143),
                ("imaps", 993),
                ("pop3", 110),
                ("pop3s", 995)
            ]
        );
        let inside = ListenerSettings::new("imaps", Protocol::Imap, Bind::Loopback(993), TlsMode::Implicit);
        assert!(services(&[inside]).is_empty());
    }
}
