//! `settlements`: payments as they were reported.

use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::exit::Exit;
use crate::table::Table;
use anyhow::Context as _;
use clap::{Args, Subcommand};

/// Arguments of `settlements`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  clawr settlements\n  clawr settlements list --state unknown --tenant acme\n  clawr settlements show stl_…"
)]
pub struct SettlementsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<SettlementsCommand>,
}

#[derive(Debug, Subcommand)]
enum SettlementsCommand {
    /// Newest first
    List {
        /// reported, unknown, confirmed or void
        #[arg(long)]
        state: Option<String>,
        /// A tenant's slug
        #[arg(long)]
        tenant: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One, with everything that was said of it
    Show {
        /// stl_…
        id: String,
    },
}

/// Runs it.
pub async fn run(args: SettlementsArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    match args.command.unwrap_or(SettlementsCommand::List { state: None, tenant: None, limit: 50 }) {
        SettlementsCommand::List { state, tenant, limit } => {
            let filters = [("state", state), ("tenant", tenant)];
            let query: Vec<(&str, &str)> = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
            let list = client.list("v1/settlements", &query, limit).await?;
            let fields = ["id", "state", "tenant", "api", "amount_micros", "network", "payer", "received_at"];
            context.out.show(&list, || Table::of_list(&list, fields))?;
        }
        SettlementsCommand::Show { id } => {
            let one = client.get(&format!("v1/settlements/{}", segment(&id)?), &[]).await.with_context(|| id.clone())?;
            context.out.show(&one, || Table::of_object(&one))?;
        }
    }
    Ok(Exit::Done)
}
