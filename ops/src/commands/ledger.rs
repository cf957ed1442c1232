//! `ledger`: balances as the API shows them, and proof, from the store itself, that they follow from the entries.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::compose::House;
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

/// Arguments of `ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Every account with its balance
    Balances {
        #[command(flatten)]
        remote: Remote,
        /// How many
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Replay all entries and compare; opens the store. Exit 1 if anything differs
    Verify,
}

/// Runs it.
pub async fn run(args: LedgerArgs, context: Context) -> anyhow::Result<Exit> {
    match args.command {
        LedgerCommand::Balances { remote, limit } => balances(&remote, limit, &context).await,
        LedgerCommand::Verify => verify(&context).await,
    }
}

async fn balances(remote: &Remote, limit: usize, context: &Context) -> anyhow::Result<Exit> {
    let list = Client::new(remote, context)?.list("v1/ledger/accounts", &[], limit).await?;
    context.out.show(&list, || Table::of_list(&list, ["id", "tenant", "normal", "balance_micros", "debits_micros", "credits_micros"]))?;
    Ok(Exit::Done)
}

async fn verify(context: &Context) -> anyhow::Result<Exit> {
    let house = House::open(&context.config()?).await?;
    let report = clawr_domain::ledger::verify(&house.db).await?;
    house.db.close().await;
    let mut value = json!(report);
    value["balanced"] = report.is_balanced().into();
    // money in JSON is text
    for field in ["debits_micros", "credits_micros"] {
        value[field] = Json::String(value[field].to_string());
    }
    context.out.show(&value, || Table::of_object(&value))?;
    Ok(verdict(report.is_balanced(), report.broken))
}

/// The exit code of a proof, and a word about it.
pub fn verdict(is_whole: bool, broken: u64) -> Exit {
    if is_whole {
        return Exit::Done;
    }
    say(&format!("{broken} findings"));
    Exit::Failed
}
