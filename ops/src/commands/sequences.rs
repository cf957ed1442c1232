//! `sequences`: jobs that run one after the other, where they do not go on.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::exit::Exit;
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  clawr sequences list
  clawr sequences unblock 'invoice/ada' --tenant acme --job job_… --reason 'paid by hand'";

/// Arguments of `sequences`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SequencesArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: SequencesCommand,
}

#[derive(Debug, Subcommand)]
enum SequencesCommand {
    /// Those that jobs wait in, or that a dead job stops: behind which job, how many, since when
    List {
        /// Only this tenant's, by slug
        #[arg(long)]
        tenant: Option<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = 50)]
        limit: usize,
    },
    /// Let one go on past the dead job that stops it first; the job stays dead (`clawr jobs retry` brings it back to its place)
    Unblock {
        /// The sequence
        key: String,
        /// Whose it is (global keys; without it that of no tenant)
        #[arg(long)]
        tenant: Option<String>,
        /// Only past this job
        #[arg(long)]
        job: Option<String>,
        /// For whoever asks why
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Runs it.
pub async fn run(args: SequencesArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    match args.command {
        SequencesCommand::List { tenant, limit } => {
            let query: Vec<(&str, &str)> = tenant.as_deref().map(|slug| ("tenant", slug)).into_iter().collect();
            let list = client.list("v1/sequences", &query, limit).await?;
            context.out.show(&list, || Table::of_list(&list, ["key", "tenant", "waiting", "job_id", "state", "since"]))?;
        }
        SequencesCommand::Unblock { key, tenant, job, reason } => {
            let body = json!({ "key": key, "tenant": tenant, "job": job, "reason": reason });
            let answer = client.post("v1/sequences/unblock", &body).await?;
            context.out.show(&answer, || Table::of_object(&answer))?;
        }
    }
    Ok(Exit::Done)
}
