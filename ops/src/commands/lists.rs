//! `workers`: a list that needs no more than showing.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::exit::Exit;
use crate::table::Table;
use clap::Args;

/// Arguments of it.
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
