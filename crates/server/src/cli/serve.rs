//! `magpie serve`

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Common, block_on};
use crate::config::{EXAMPLE, LogSettings, Settings, USUAL_PLACE};
use crate::log;
use crate::net::tls::{Certificates, install_provider};
use crate::problem::Problem;
use crate::server::{HangUp, Server};
use crate::service_manager::notify;

use super::output;

/// Everything that can be set stands in the configuration, one TOML file. SIGTERM stops the server in order: sessions
/// are told and get time to finish. SIGHUP makes it look at its certificates.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only look whether the configuration and the certificates that it names are right
    #[arg(long, conflicts_with = "example")]
    check: bool,
    /// Print a configuration that explains every key, to begin with
    #[arg(long)]
    example: bool,
}

impl Arguments {
    pub(super) fn run(self, mut common: Common) -> Result<(), Problem> {
        if self.example {
            output::write(EXAMPLE);
            return Ok(());
        }
        let path = common.config.get_or_insert_with(|| PathBuf::from(USUAL_PLACE)).clone();
        let mut settings = Settings::load(&path)?;
        if let Some(data) = common.data {
            settings.data = data;
        }
        if let Some(filter) = common.log {
            settings.log = LogSettings { filter, ..settings.log };
        }
        log::start(&settings.log)?;
        if self.check {
            return check(&path, &settings);
        }
        block_on(async {
            let hostname = settings.hostname.clone();
            let data = settings.data.clone();
            let listeners = settings.listeners.clone();
            let mut server = Server::open(settings, HangUp::Reloads).await?;
            server.start()?;
            for listener in &listeners {
                let addresses: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
                let protocol = listener.protocol.name();
                tracing::info!(
                    listener = listener.name,
                    protocol,
                    addresses = addresses.join(" "),
                    "listening"
                );
            }
            tracing::info!(hostname, data = %data.display(), version = env!("CARGO_PKG_VERSION"), "ready");
            output::write("ready\n");
            notify("READY=1\nSTATUS=ready");
            let stopped = server.until_stopped().await?;
            tracing::info!(cut = stopped.cut, "stopped");
            Ok(())
        })
    }
}

/// Reads what the server would read, and writes nothing.
fn check(path: &Path, settings: &Settings) -> Result<(), Problem> {
    install_provider();
    if !settings.tls.certificates.is_empty() {
        Certificates::load(&settings.tls, Path::new(""), types::Clock::system())?.warn();
    }
    output::write(&format!("{}: no mistakes found.\n", path.display()));
    Ok(())
}
