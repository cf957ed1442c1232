//! The binary `clawr`: reads the command line, hands it to a command, says how it ended.

mod bench;
mod cli;
mod client;
mod commands;
mod compose;
mod config;
mod demo;
mod exit;
mod logging;
mod out;
mod signals;
mod table;

fn main() -> std::process::ExitCode {
    let environment = config::Environment::read();
    exit::status(cli::run(std::env::args_os(), &environment))
}
