//! Logs go to stderr: readable on a terminal, one JSON object a line elsewhere.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging for this process; the second call changes nothing.
pub fn start(log: &Log, no_colour: bool) {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_new(quieted(&log.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_json = match log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let started = if is_json { builder.json().try_init() } else { builder.with_ansi(terminal && !no_colour).try_init() };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// A bare level is meant for us: libraries underneath say only what is wrong with them.
fn quieted(level: &str) -> String {
    let is_bare = ["off", "error", "warn", "info", "debug", "trace"].contains(&level);
    if is_bare { format!("warn,clawr={level}") } else { level.to_owned() }
}

/// True for a level or a filter such as `info,clawr_engine=debug`.
pub fn is_filter(text: &str) -> bool {
    EnvFilter::try_new(text).is_ok()
}
