//! `effects`: what jobs did outside, and a person's word on those nobody else can tell of.

use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  clawr effects --state needs_person
  clawr effects show eff_…
  clawr effects resolve eff_… --verdict confirmed --evidence 'tx 0x12… in block 7' --reason 'looked at the explorer'";

/// Arguments of `effects`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EffectsArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<EffectsCommand>,
}

#[derive(Debug, Subcommand)]
enum EffectsCommand {
    /// Newest first
    List {
        /// intended, confirmed, rejected, unknown, absent or needs_person
        #[arg(long)]
        state: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One, with everything that was seen of it
    Show {
        /// eff_…
        id: String,
    },
    /// Say what became of one in doubt; where money moves, two people must say the same
    Resolve {
        /// eff_…
        id: String,
        /// confirmed (it happened), rejected (refused for good) or absent (it did not happen and cannot any more)
        #[arg(long)]
        verdict: String,
        /// What shows it, in words a colleague can check
        #[arg(long)]
        evidence: String,
        /// Why you say it
        #[arg(long)]
        reason: String,
    },
}

/// Runs it.
pub async fn run(args: EffectsArgs, context: Context) -> anyhow::Result<Exit> {
    let client = Client::new(&args.remote, &context)?;
    match args.command.unwrap_or(EffectsCommand::List { state: None, limit: 50 }) {
        EffectsCommand::List { state, limit } => {
            let query: Vec<(&str, &str)> = state.iter().map(|state| ("state", state.as_str())).collect();
            let list = client.list("v1/effects", &query, limit).await?;
            let fields = ["id", "state", "class", "kind", "key", "job_id", "open_s", "tries"];
            context.out.show(&list, || Table::of_list(&list, fields))?;
        }
        EffectsCommand::Show { id } => {
            let one = client.get(&format!("v1/effects/{}", segment(&id)?), &[]).await.with_context(|| id.clone())?;
            context.out.show(&one, || Table::of_object(&one))?;
        }
        EffectsCommand::Resolve { id, verdict, evidence, reason } => {
            let path = format!("v1/effects/{}/resolve", segment(&id)?);
            let body = json!({ "verdict": verdict, "evidence": evidence, "reason": reason });
            let judged = client.post(&path, &body).await.with_context(|| id.clone())?;
            context.out.show(&judged, || Table::of_object(&judged["effect"]))?;
            if judged["needs_second_person"] == true {
                say("kept; money moves by this effect, so a second person must say the same");
            }
        }
    }
    Ok(Exit::Done)
}
