//! Reading the trail.

use crate::page::{Listed, Page};
use crate::refusal::Problem;
use clawr_engine::db::{Db, DbError, Row, Scope};
use serde_json::{Value as Json, json};

clawr_engine::sql!(LIST, "../sql/audit_list.sql");

/// One entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `aud_…`
    pub id: String,
    /// The chain it belongs to.
    pub stream: String,
    /// Who: key id, wallet address or `system`.
    pub user_id: String,
    /// Whose; empty for nobody's.
    pub tenant_id: String,
    /// What: `settlement.posted`.
    pub action: String,
    /// To what.
    pub object: String,
    /// JSON text, as written.
    pub metadata: String,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
}

impl Entry {
    pub(super) fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.text("id")?,
            stream: row.text("stream")?,
            user_id: row.text("user_id")?,
            tenant_id: row.text("tenant_id")?,
            action: row.text("action")?,
            object: row.text("object")?,
            metadata: row.text("metadata")?,
            created_at: row.int("created_at")?,
        })
    }

    /// What is hashed: a JSON array of the columns in order, without blanks. Never changes for stored entries.
    pub(super) fn canonical(&self) -> String {
        json!([self.id, self.stream, self.user_id, self.tenant_id, self.action, self.object, self.metadata, self.created_at]).to_string()
    }

    /// The metadata as JSON; null if a hand wrote something else.
    pub fn metadata(&self) -> Json {
        serde_json::from_str(&self.metadata).unwrap_or(Json::Null)
    }
}

/// What a list of entries is narrowed by; empty = not.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Exactly this action.
    pub action: String,
    /// Exactly this object.
    pub object: String,
}

/// One page, newest first.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, page: &Page) -> Result<Listed<Entry>, Problem> {
    let params = [scope.param(), filter.action.as_str().into(), filter.object.as_str().into(), page.after(), page.fetch()];
    let rows = db.query(scope, LIST.with(params)).await?;
    page.listed(rows, Entry::from_row, |e| e.id.clone())
}
