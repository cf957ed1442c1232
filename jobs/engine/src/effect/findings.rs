//! Findings: what contradicts itself and needs somebody to look.

use crate::db::{DbError, Rows, Scope};
use crate::ids::new_id;
use crate::job::Claimed;
use crate::queue::Queue;
use crate::write::Write;
use serde_json::{Value as Json, json};

crate::sql!(INSERT, "../sql/findings_insert.sql");
crate::sql!(LIST, "../sql/findings_list.sql");

/// The finding of a job that dies although its effect `key` happened: the world moved and our books could not follow.
pub fn dead_after_effect(queue: &Queue, job: &Claimed, key: &str, reason: &str) -> Write {
    finding(queue, job, "dead_after_effect", json!({ "effect_key": key, "reason": reason }))
}

/// The finding of a job whose sealed args are not those it was made with: somebody wrote to the store past us.
pub fn sealed_args(queue: &Queue, job: &Claimed, reason: &str) -> Write {
    finding(queue, job, "sealed_args", json!({ "reason": reason }))
}

fn finding(queue: &Queue, job: &Claimed, what: &str, detail: Json) -> Write {
    let row = json!({
        "id": new_id("fnd", queue.clock()), "what": what, "object": job.id, "tenant": job.tenant, "detail": detail.to_string(),
        "now": queue.clock().now(),
    });
    Write::new(&INSERT, row)
}

impl Queue {
    /// Open findings, newest first, below the id `before` (empty = from the newest), at most `limit` (≤ 201):
    /// `id what object tenant detail created_at`.
    pub async fn findings(&self, scope: &Scope, before: &str, limit: i64) -> Result<Rows, DbError> {
        let before = if before.is_empty() { "~" } else { before };
        self.db.query(scope, LIST.with([scope.param(), before.into(), limit.clamp(1, 201).into()])).await
    }
}
