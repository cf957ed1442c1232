//! `migrate`: a store's schema, brought up to this binary by somebody who says so.

use crate::cli::Context;
use crate::compose::make_place;
use crate::config::{Config, Peppers};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use clap::{Args, Subcommand};
use clawr_engine::db::migrate::{self, Status};
use clawr_engine::db::{Db, StoreUrl};
use serde_json::{Value as Json, json};

/// Arguments of `migrate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  clawr migrate status\n  clawr migrate plan --sql\n  clawr migrate up")]
pub struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Apply what is pending, each file in one transaction
    Up {
        /// Only say what would be applied
        #[arg(long)]
        dry_run: bool,
    },
    /// Every migration and where it stands; exit 1 unless all are applied
    Status,
    /// What `up` would apply
    Plan {
        /// Print the statements
        #[arg(long)]
        sql: bool,
    },
}

/// Runs it.
pub async fn run(args: MigrateArgs, context: Context) -> anyhow::Result<Exit> {
    let config = context.config()?;
    if let StoreUrl::Sqlite(path) = &config.store.url {
        make_place(&config, path)?;
    }
    let db = Db::open_for_migration(&config.store).await?;
    let ended = match args.command {
        MigrateCommand::Up { dry_run: false } => up(&db, &config, &context).await,
        MigrateCommand::Up { dry_run: true } | MigrateCommand::Plan { sql: false } => plan(&db, &context).await,
        MigrateCommand::Plan { sql: true } => sql(&db, &context).await,
        MigrateCommand::Status => status(&db, &context).await,
    };
    db.close().await;
    ended
}

async fn up(db: &Db, config: &Config, context: &Context) -> anyhow::Result<Exit> {
    let is_new = pending(db).await?.len() == migrate::scripts(db.engine()).len();
    if is_new && matches!(config.store.url, StoreUrl::Sqlite(_)) {
        Peppers::load(config, true)?;
    }
    let done = migrate::up(db).await?;
    for name in &done {
        say(&format!("applied {name}"));
    }
    if done.is_empty() {
        say("nothing to apply");
    }
    if context.out.is_json() {
        context.out.json(&json!({ "applied": done }))?;
    }
    Ok(Exit::Done)
}

async fn plan(db: &Db, context: &Context) -> anyhow::Result<Exit> {
    let pending = pending(db).await?;
    let mut table = Table::new(["pending"]);
    pending.iter().for_each(|name| table.row([name.clone()]));
    context.out.show(&json!({ "pending": pending }), || table)?;
    Ok(Exit::Done)
}

async fn sql(db: &Db, context: &Context) -> anyhow::Result<Exit> {
    let pending = pending(db).await?;
    let mut scripts = migrate::scripts(db.engine());
    scripts.retain(|s| pending.iter().any(|name| name == s.name));
    let text: String = scripts.iter().map(|s| format!("-- {} {}\n{}\n", s.name, s.checksum, s.text)).collect();
    let items: Vec<Json> = scripts.iter().map(|s| json!({ "name": s.name, "checksum": s.checksum, "sql": s.text })).collect();
    context.out.text(&text, &json!({ "pending": pending, "items": items }))?;
    Ok(Exit::Done)
}

async fn status(db: &Db, context: &Context) -> anyhow::Result<Exit> {
    let all = migrate::status(db).await?;
    let is_current = all.iter().all(|(_, status)| matches!(status, Status::Applied | Status::Additive));
    let items: Vec<Json> = all.iter().map(|(name, status)| json!({ "name": name, "status": word(status) })).collect();
    let value = json!({ "current": is_current, "items": items });
    context.out.show(&value, || Table::of_list(&value, ["name", "status"]))?;
    if is_current {
        return Ok(Exit::Done);
    }
    for (name, status) in all.iter().filter(|(_, status)| *status != Status::Applied) {
        say(&format!("{name} is {}", word(status)));
    }
    Ok(Exit::Failed)
}

async fn pending(db: &Db) -> anyhow::Result<Vec<String>> {
    let all = migrate::status(db).await?;
    Ok(all.into_iter().filter(|(_, status)| *status == Status::Pending).map(|(name, _)| name).collect())
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Applied => "applied",
        Status::Pending => "pending",
        Status::Changed => "changed",
        Status::Additive => "additive",
        Status::Unknown => "unknown",
    }
}
