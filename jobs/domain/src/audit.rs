//! The audit trail: append-only entries, chained by hash after the fact.
//!
//! An entry is written in the commit of the act it speaks of, together with a row in `audit_unsealed`. A sealer (any
//! process, any number) hashes what is unsealed into `audit_seals`. Sealing "everything after the last id" would skip
//! entries that commit late with a smaller id, and the hash cannot be part of the row: rows are never updated.

mod chain;
mod list;
mod verify;

use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Scope};
use clawr_engine::ids::new_id;
use clawr_engine::write::{Write, statements};
use serde_json::{Value as Json, json};
use std::time::Duration;

pub use chain::seal;
pub use list::{Entry, Filter, list};
pub use verify::{Finding, Report, verify};

clawr_engine::sql!(INSERT, "sql/audit_insert.sql");
clawr_engine::sql!(UNSEALED_INSERT, "sql/audit_unsealed_insert.sql");

/// How long a record with an unknown outcome is repeated.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who acts, and in which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Key id, wallet address or `system`.
    pub id: String,
    /// The request's id; empty for duties and jobs.
    pub request_id: String,
}

impl Actor {
    /// A duty or a job.
    pub fn system() -> Self {
        Self { id: "system".into(), request_id: String::new() }
    }

    /// Somebody with a credential, in a request.
    pub fn new(id: impl Into<String>, request_id: impl Into<String>) -> Self {
        Self { id: id.into(), request_id: request_id.into() }
    }
}

/// The id and time of an entry that will be written.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// `aud_…`
    pub id: String,
    /// Microseconds since 1970 UTC.
    pub now: i64,
}

impl Stamp {
    /// A new id at the clock's time.
    pub fn new(clock: &Clock) -> Self {
        Self { id: new_id("aud", clock), now: clock.now() }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Dotted: `settlement.posted`.
    pub action: &'static str,
    /// Id of what it happened to; empty if it never came to be.
    pub object: &'a str,
    /// Whose it is; empty for nobody's.
    pub tenant_id: &'a str,
    /// A JSON object.
    pub metadata: Json,
}

/// The rows of one entry. Pure: belongs into the commit of the act itself.
pub fn entry(actor: &Actor, stamp: &Stamp, event: Event<'_>) -> Vec<Write> {
    let row = row(actor, stamp, event);
    let mark = json!({"id": row["id"], "stream": row["stream"]});
    vec![Write::new(&INSERT, row), Write::new(&UNSEALED_INSERT, mark)]
}

/// Writes one entry in a commit of its own: for refusals, which have no act to go with.
pub async fn record(db: &Db, actor: &Actor, stamp: &Stamp, event: Event<'_>) -> Result<(), DbError> {
    let writes = entry(actor, stamp, event);
    match db.commit_until_known(&Scope::System, statements(&writes), PATIENCE).await {
        (Ok(_), _) => Ok(()),
        (Err(DbError::Unique(name)), true) if name == "audit_log_id" => Ok(()),
        (Err(error), _) => Err(error),
    }
}

/// An entry as the statements take it.
pub(crate) fn row(actor: &Actor, stamp: &Stamp, event: Event<'_>) -> Json {
    let mut metadata = event.metadata;
    if let (Json::Object(fields), false) = (&mut metadata, actor.request_id.is_empty()) {
        fields.insert("by_request".into(), actor.request_id.as_str().into());
    }
    json!({
        "id": stamp.id,
        "stream": stream(event.tenant_id),
        "user_id": actor.id,
        "tenant_id": event.tenant_id,
        "action": event.action,
        "object": event.object,
        "metadata": metadata.to_string(),
        "created_at": stamp.now,
    })
}

/// One chain per tenant, one for what belongs to nobody.
pub(crate) fn stream(tenant_id: &str) -> &str {
    if tenant_id.is_empty() { "system" } else { tenant_id }
}
