//! `signals`: tells waiting jobs what they wait for.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::exit::Exit;
use crate::table::Table;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

const EXAMPLES: &str = "\
Examples:
  clawr signals send paid order-7 --payload '{\"tx\":\"0x12…\"}' --id tx-0x12…
  clawr signals send approval payout-3";

/// Arguments of `signals`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SignalsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: SignalsCommand,
}

#[derive(Debug, Subcommand)]
enum SignalsCommand {
    /// Wake the job that has waited for it longest; without one it is kept for the next
    Send {
        /// What happened
        name: String,
        /// To what
        key: String,
        /// JSON that the job is told
        #[arg(long)]
        payload: Option<String>,
        /// The same id twice is one signal
        #[arg(long)]
        id: Option<String>,
        /// Whose jobs may hear it (global keys; without it those of no tenant)
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Runs it.
pub async fn run(args: SignalsArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    let SignalsCommand::Send { name, key, payload, id, tenant } = args.command;
    let payload: Option<Json> = payload.map(|text| serde_json::from_str(&text).context("--payload is not JSON")).transpose()?;
    let body = json!({ "name": name, "key": key, "payload": payload, "id": id, "tenant": tenant });
    let sent = client.post("v1/signals", &body).await?;
    context.out.show(&sent, || Table::of_object(&sent))?;
    Ok(Exit::Done)
}
