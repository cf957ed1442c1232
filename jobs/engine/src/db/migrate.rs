//! Migrations: embedded, checksummed, each in one transaction. A schema newer than this binary is refused, because an
//! old binary would write rows without the columns the new one relies on. A migration whose first line begins with
//! `-- additive` promises that it does not: binaries that never heard of it serve beside newer ones, so that a deploy can
//! roll and roll back. The promise is recorded with the checksum, where the old binary finds it.

use super::{Db, DbError, Engine, OpenError, Scope};
use sha2::{Digest, Sha256};

crate::sql!(LIST, "../sql/migrations_list.sql");

/// One migration file of one dialect.
#[derive(Clone, Debug)]
pub struct Script {
    /// `NNNN_{engine|app}_name`.
    pub name: &'static str,
    /// SHA-256 of the text, hex.
    pub checksum: String,
    /// Whether it promises that older binaries may serve on.
    pub additive: bool,
    /// The whole file.
    pub text: &'static str,
}

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Applied with this very text.
    Applied,
    /// Will be applied by `migrate up`.
    Pending,
    /// Applied with another text.
    Changed,
    /// Applied by a newer binary, which may serve beside this one.
    Additive,
    /// Applied by a newer binary, beside which this one would do harm.
    Unknown,
}

const ADDITIVE: &str = " additive";

impl Script {
    /// What is recorded of it when it is applied: the checksum, and the promise behind it.
    pub fn record(&self) -> String {
        format!("{}{}", self.checksum, if self.additive { ADDITIVE } else { "" })
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name,
            include_str!(concat!("../../../../migrations/postgres/", $name, ".sql")),
            include_str!(concat!("../../../../migrations/sqlite/", $name, ".sql")))),*]
    };
}

const FILES: &[(&str, &str, &str)] = &files![
    "0001_engine_core",
    "0002_app_first_slice",
    "0003_engine_running_by_worker",
    "0004_engine_effects",
    "0005_engine_pauses",
    "0006_engine_unique",
    "0007_engine_limits",
    "0008_engine_waits",
    "0009_engine_notes",
    "0010_engine_shares",
    "0011_engine_sequences",
    "0012_engine_retention",
    "0013_engine_sealed",
];

/// The migrations of `engine`, in order.
pub fn scripts(engine: Engine) -> Vec<Script> {
    let pick = |&(name, postgres, lite): &(&'static str, &'static str, &'static str)| {
        let text = if engine == Engine::Postgres { postgres } else { lite };
        Script { name, checksum: hex(&Sha256::digest(text.as_bytes())), additive: text.starts_with("-- additive"), text }
    };
    FILES.iter().map(pick).collect()
}

/// Every known or applied migration with its status, in order of names.
pub async fn status(db: &Db) -> Result<Vec<(String, Status)>, DbError> {
    let applied = applied(db).await?;
    let scripts = scripts(db.engine());
    let judge = |s: &Script| match applied.iter().find(|(name, _)| name == s.name) {
        None => Status::Pending,
        Some((_, checksum)) if *checksum == s.record() => Status::Applied,
        Some(_) => Status::Changed,
    };
    let mut all: Vec<(String, Status)> = scripts.iter().map(|s| (s.name.to_owned(), judge(s))).collect();
    let foreign = |checksum: &str| if checksum.ends_with(ADDITIVE) { Status::Additive } else { Status::Unknown };
    let unknown = applied.iter().filter(|(name, _)| !scripts.iter().any(|s| s.name == name));
    all.extend(unknown.map(|(name, checksum)| (name.clone(), foreign(checksum))));
    Ok(all)
}

/// Applies what is pending; returns the names. Refuses a store that a newer binary migrated or whose files changed.
pub async fn up(db: &Db) -> Result<Vec<&'static str>, OpenError> {
    let state = status(db).await?;
    refuse_foreign(&state)?;
    let mut done = Vec::new();
    for script in scripts(db.engine()) {
        if state.iter().any(|(name, s)| name == script.name && *s == Status::Pending) {
            match db.run_script(&script).await {
                Ok(()) => done.push(script.name),
                // another process was faster: its record is there
                Err(error) => match applied(db).await?.iter().any(|(name, _)| name == script.name) {
                    true => tracing::info!(script.name, "applied by another process"),
                    false => return Err(error.into()),
                },
            }
        }
    }
    Ok(done)
}

/// Refuses to serve on any schema but ours, and one that only has more.
pub async fn require_current(db: &Db) -> Result<(), OpenError> {
    let state = status(db).await?;
    refuse_foreign(&state)?;
    match state.into_iter().find(|(_, s)| *s == Status::Pending) {
        Some((name, _)) => Err(OpenError::SchemaOld(name)),
        None => Ok(()),
    }
}

fn refuse_foreign(state: &[(String, Status)]) -> Result<(), OpenError> {
    for (name, status) in state {
        match status {
            Status::Unknown => return Err(OpenError::SchemaNew(name.clone())),
            Status::Changed => return Err(OpenError::Checksum(name.clone())),
            Status::Applied | Status::Pending | Status::Additive => {}
        }
    }
    Ok(())
}

async fn applied(db: &Db) -> Result<Vec<(String, String)>, DbError> {
    match db.query(&Scope::System, LIST.with([])).await {
        Ok(rows) => rows.iter().map(|r| Ok((r.text("name")?, r.text("checksum")?))).collect(),
        Err(DbError::Bug(text)) if text.contains("no such table") || text.contains("does not exist") => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
