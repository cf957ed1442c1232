//! Reads of single settlements by a process's handlers: those that wait together share one query.

use super::store::Settlement;
use crate::refusal::Problem;
use clawr_engine::coalesce::Coalescer;
use clawr_engine::db::{Db, DbError, Scope};
use clawr_engine::write::json as text;
use serde_json::json;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

clawr_engine::sql!(READ, "../sql/settlements_read.sql");

/// At most this many reads share a query.
const READS_MAX: usize = 100;
/// Queries side by side.
const LANES: usize = 2;

/// Cheap to clone; all clones share the queries.
#[derive(Clone)]
pub struct Reader {
    reads: Coalescer<String, Option<Settlement>>,
}

impl Reader {
    /// For the handlers of one process; needs a running tokio.
    pub fn start(db: Db) -> Self {
        let batch = Arc::new(move |ids: Vec<String>| -> Boxed {
            let db = db.clone();
            Box::pin(async move { read(&db, &ids).await })
        });
        Self { reads: Coalescer::start(READS_MAX, LANES, batch, |_, _| true) }
    }

    /// The settlement as it is stored now, whoever's it is.
    pub async fn read(&self, id: &str) -> Result<Settlement, Problem> {
        self.reads.call(id.to_owned()).await?.ok_or(Problem::NotFound("settlement"))
    }
}

type Boxed = Pin<Box<dyn Future<Output = Result<Vec<Option<Settlement>>, DbError>> + Send>>;

async fn read(db: &Db, ids: &[String]) -> Result<Vec<Option<Settlement>>, DbError> {
    let rows = text(&ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>());
    let found = db.query(&Scope::System, READ.with([rows.into()])).await?;
    let mut by_id = HashMap::with_capacity(found.len());
    for row in &found {
        let settlement = Settlement::from_row(row)?;
        by_id.insert(settlement.id.clone(), settlement);
    }
    Ok(ids.iter().map(|id| by_id.get(id).cloned()).collect())
}
