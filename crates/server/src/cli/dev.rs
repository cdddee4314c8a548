//! `magpie dev`

use std::net::SocketAddr;

use clap::Args;
use relay::Host;

use crate::config::host;
use crate::data_dir::DataDir;
use crate::dev::{self, Plan};
use crate::inbound::InboundOptions;
use crate::problem::Problem;

use super::account::make_password;
use super::output;

/// Everything is on loopback: nobody else can reach it. Ports are the base plus the protocol's own: smtp +25,
/// lmtp +24, http +80, pop3 +110, imap +143, https +443, submissions +465, submission +587, imaps +993, pop3s +995.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The number to which each protocol's own port is added
    #[arg(long, value_name = "PORT", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(0..=61_345))]
    port_base: u16,
    /// The password of all test accounts [default: one that is made at the first start and kept]
    #[arg(long)]
    password: Option<String>,
    /// How many accounts user1, user2 … there are besides alice, bob and carol
    #[arg(long, value_name = "N", default_value_t = 0)]
    users: u32,
    /// How many deliveries under way send further messages to the inbound queue; 0 sends all
    #[arg(long, hide = true, value_name = "N")]
    inbound_mark: Option<usize>,
    /// Check incoming mail (SPF, DKIM, DMARC, ARC) and send mail to other servers, asking this DNS server [default: no
    /// checks, no DNS, and nothing leaves]
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns: Vec<SocketAddr>,
    /// The port at which the servers take mail that DNS names
    #[arg(long, value_name = "PORT", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    relay_port: u16,
    /// Send all mail for other domains to this host
    #[arg(long, value_name = "HOST:PORT", value_parser = host)]
    smarthost: Option<Host>,
}

impl Arguments {
    pub(super) async fn run(self, data: DataDir) -> Result<(), Problem> {
        let usual = InboundOptions::default();
        let inbound = InboundOptions { deliveries: self.inbound_mark.unwrap_or(usual.deliveries), ..usual };
        let plan = Plan {
            data,
            port_base: self.port_base,
            password: self.password,
            make_password,
            users: self.users,
            inbound,
            dns: self.dns,
            relay_port: self.relay_port,
            smarthost: self.smarthost,
        };
        dev::run(plan, output::write).await
    }
}
