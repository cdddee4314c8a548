//! Where log lines go: to standard error, as much of them as was asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::LogSettings;
use crate::problem::Problem;

/// What the storage engine says of its daily work is of no use to an operator, unless asked for.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// How a line is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: an object on each line.
    Json,
}

/// What is logged, from a text in the form of `info` or `warn,smtp=debug`.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{text}"))
}

/// Starts logging.
pub(crate) fn start(settings: &LogSettings) -> Result<(), Problem> {
    let text = &settings.filter;
    let filter = filter(text).map_err(|error| {
        Problem::invalid(format!(
            "--log {text:?} cannot be understood ({error}): try info, or warn,magpie=debug"
        ))
    })?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match settings.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
    };
    started.map_err(|error| Problem::unavailable(format!("logging cannot start: {error}")))
}
