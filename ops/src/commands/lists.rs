//! `workers` and `queues`: two lists that need no more than showing.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::exit::Exit;
use crate::table::Table;
use clap::Args;

/// Arguments of both.
#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Worker processes.
pub async fn workers(args: WatchArgs, context: Context) -> anyhow::Result<Exit> {
    let list = Client::new(&args.remote, &context)?.get("v1/workers", &[]).await?;
    context.out.show(&list, || Table::of_list(&list, ["id", "name", "state", "host", "pid", "version", "queues", "running", "seen_at"]))?;
    Ok(Exit::Done)
}

/// Queues.
pub async fn queues(args: WatchArgs, context: Context) -> anyhow::Result<Exit> {
    let list = Client::new(&args.remote, &context)?.get("v1/queues", &[]).await?;
    context.out.show(&list, || Table::of_list(&list, ["name", "depth", "oldest_age_s", "states"]))?;
    Ok(Exit::Done)
}
