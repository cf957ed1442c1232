//! `bench`: what this machine can do, measured.

use crate::config::Config;
use crate::exit::{Exit, Failure};
use clap::{Args, Subcommand};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Jobs made, claimed and finished per second
    Queue,
    /// Settlement reports taken in per second
    Intake,
}

/// Runs it.
pub async fn run(args: BenchArgs, _config: Config) -> anyhow::Result<Exit> {
    let what = match args.command {
        BenchCommand::Queue => "queue",
        BenchCommand::Intake => "intake",
    };
    Err(Failure::new(Exit::Failed, format!("bench {what} is not part of this build")).into())
}
