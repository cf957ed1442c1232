//! Opening the store. An embedded one that is new makes itself at home: its folder, its peppers, its schema. Every other
//! store is somebody's, and is only changed by `clawr migrate up`.

use crate::config::{Config, Peppers};
use anyhow::Context;
use clawr_domain::Page;
use clawr_engine::clock::Clock;
use clawr_engine::db::migrate::{self, Status};
use clawr_engine::db::{Db, OpenError, Scope, StoreUrl};
use clawr_engine::manage::Filter;
use clawr_engine::queue::Queue;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the first start of another process may take to apply all migrations.
const MAKING: Duration = Duration::from_secs(2);

/// The store, ready for use, and its peppers.
pub async fn open(config: &Config) -> anyhow::Result<(Db, Peppers)> {
    match &config.store.url {
        StoreUrl::Sqlite(path) => embedded(config, path).await,
        _ => {
            let peppers = Peppers::load(config, false)?;
            Ok((Db::open(&config.store).await?, peppers))
        }
    }
}

async fn embedded(config: &Config, path: &Path) -> anyhow::Result<(Db, Peppers)> {
    make_place(config, path)?;
    let db = Db::open_for_migration(&config.store).await?;
    let is_new = migrate::status(&db).await?.iter().all(|(_, status)| *status == Status::Pending);
    if !is_new {
        current(&db).await?;
    }
    // peppers first: a store with a schema and without them would look like one that lost them
    let peppers = Peppers::load(config, is_new || is_empty(&db).await?)?;
    if is_new {
        migrate::up(&db).await?;
        tracing::info!("made a new embedded store in {}", path.display());
    }
    migrate::require_current(&db).await?;
    Ok((db, peppers))
}

/// Another process may be in the middle of making this very store; one that is really older stays so.
async fn current(db: &Db) -> Result<(), OpenError> {
    let started = Instant::now();
    loop {
        match migrate::require_current(db).await {
            Err(OpenError::SchemaOld(_)) if started.elapsed() < MAKING => tokio::time::sleep(MAKING / 20).await,
            answer => return answer,
        }
    }
}

/// The default folder, and a file that only its owner can read.
pub fn make_place(config: &Config, path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent()
        && config.source("store.url") == "default"
    {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("failed to make {}", folder.display()))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("failed to make {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Nothing was hashed yet, so nothing is lost with the peppers.
async fn is_empty(db: &Db) -> anyhow::Result<bool> {
    let looker = Queue::new(db.clone(), Clock::host(), Vec::new());
    let no_jobs = looker.jobs(&Scope::System, &Filter::default(), 1).await?.is_empty();
    let keys = clawr_domain::access::keys::list(db, &Scope::System, &Page::default()).await?;
    Ok(no_jobs && keys.items.is_empty())
}
