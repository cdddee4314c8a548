//! Where log lines go: to standard error, as much of them as was asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::problem::Problem;

/// What the storage engine says of its daily work is of no use to an operator, unless asked for.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// Starts logging. `filter` is in the form of `info` or `warn,smtp=debug`.
pub(crate) fn start(filter: &str) -> Result<(), Problem> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).map_err(|error| {
        Problem::invalid(format!(
            "--log {filter:?} cannot be understood ({error}): try info, or warn,magpie=debug"
        ))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    subscriber.try_init().map_err(|error| Problem::unavailable(format!("logging cannot start: {error}")))
}
