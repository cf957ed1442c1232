//! `audit`: who did what, and proof, from the store itself, that nothing was taken out.

use super::ledger::verdict;
use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::compose::House;
use crate::exit::Exit;
use crate::signals::Signals;
use crate::table::Table;
use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// How often `--follow` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// The newest entries
    Tail {
        #[command(flatten)]
        remote: Remote,
        /// Only this action, such as settlement.rejected
        #[arg(long)]
        action: Option<String>,
        /// How many to begin with
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
        /// Keep looking until Ctrl-C
        #[arg(long, short)]
        follow: bool,
    },
    /// Recompute every hash; opens the store. Exit 1 if anything is missing or changed
    Verify,
}

/// Runs it.
pub async fn run(args: AuditArgs, context: Context) -> anyhow::Result<Exit> {
    match args.command {
        AuditCommand::Tail { remote, action, limit, follow } => {
            let client = Client::new(&remote, &context)?;
            let query: Vec<(&str, &str)> = action.as_deref().map(|a| ("action", a)).into_iter().collect();
            let tail = Tail { client, path: "v1/audit", query, limit, follow };
            tail.run(&context, |items| Table::of(items, ["created_at", "action", "object", "actor", "tenant", "id"])).await
        }
        AuditCommand::Verify => verify(&context).await,
    }
}

async fn verify(context: &Context) -> anyhow::Result<Exit> {
    let house = House::open(&context.config()?).await?;
    let report = clawr_domain::audit::verify(&house.db, house.clock.now()).await?;
    house.db.close().await;
    let mut value = json!(report);
    value["whole"] = report.is_whole().into();
    context.out.show(&value, || Table::of_object(&value))?;
    Ok(verdict(report.is_whole(), report.broken))
}

/// The end of a list that is newest first, shown oldest first, and what is added to it.
pub struct Tail<'q> {
    /// Whom to ask.
    pub client: Client,
    /// The list.
    pub path: &'static str,
    /// Its filter.
    pub query: Vec<(&'q str, &'q str)>,
    /// How many to begin with.
    pub limit: usize,
    /// Until Ctrl-C.
    pub follow: bool,
}

impl Tail<'_> {
    /// Shows it; with `--json` one object a line.
    pub async fn run(&self, context: &Context, table: impl Fn(&[Json]) -> Table) -> anyhow::Result<Exit> {
        let mut last = String::new();
        let show = async |last: &mut String, limit: usize| -> anyhow::Result<()> {
            let items = self.newer(last, limit).await?;
            if let Some(newest) = items.last().and_then(|i| i["id"].as_str()) {
                *last = newest.to_owned();
            }
            if context.out.is_json() {
                return items.iter().try_for_each(|item| context.out.line(&item.to_string()));
            }
            context.out.raw(&table(&items).tabbed())
        };
        show(&mut last, self.limit).await?;
        if !self.follow {
            return Ok(Exit::Done);
        }
        let stopped = Signals::catch()?.wait();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                stop = &mut stopped => return Ok(stop.exit()),
                () = tokio::time::sleep(EVERY) => show(&mut last, 200).await?,
            }
        }
    }

    /// What came after `last`, oldest first.
    async fn newer(&self, last: &str, limit: usize) -> anyhow::Result<Vec<Json>> {
        let mut list = self.client.list(self.path, &self.query, limit.max(1)).await?;
        let Json::Array(mut items) = list["items"].take() else { return Ok(Vec::new()) };
        items.retain(|item| item["id"].as_str().unwrap_or_default() > last);
        items.reverse();
        Ok(items)
    }
}
