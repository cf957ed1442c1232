//! What a job says of itself: its lines, and how far it is.

use super::look;
use crate::api::Api;
use crate::auth::{Can, Read};
use crate::page::{self, Wanted};
use crate::path::Id;
use crate::problem::Problem;
use crate::query::Query;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_engine::db::{DbError, Row};
use serde_json::{Value, json};

pub(super) async fn logs(State(api): State<Api>, caller: Can<Read>, Id(id): Id, mut query: Query) -> Result<Json<Value>, Problem> {
    let wanted = Wanted::take(&mut query)?;
    query.finish()?;
    let after = place(&wanted.after).ok_or_else(|| Problem::query("cursor", "is not a cursor of this list"))?;
    look::found(&api, &caller, &id).await?;
    let rows = api.queue().logs(caller.scope(), &id, after, wanted.limit + 1).await?;
    let progress = api.queue().progress(caller.scope(), &id).await?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let lines = rows.iter().take(limit).map(line).collect::<Result<Vec<_>, _>>()?;
    let next = match rows.get(limit) {
        Some(_) => rows.get(limit - 1).map(|row| Ok::<_, DbError>(format!("{}:{}", row.int("attempt")?, row.int("seq")?))).transpose()?,
        None => None,
    };
    let Json(mut body) = page::page_of(lines, next.as_deref());
    body["progress"] = progress.map(|(percent, note, at)| json!({"percent": percent, "note": note, "at": shown(at)})).into();
    Ok(Json(body))
}

/// `attempt:line`, nothing for the beginning.
fn place(after: &str) -> Option<(i64, i64)> {
    if after.is_empty() {
        return Some((0, 0));
    }
    let (attempt, seq) = after.split_once(':')?;
    Some((attempt.parse().ok()?, seq.parse().ok()?))
}

fn line(row: &Row) -> Result<Value, DbError> {
    Ok(json!({"attempt": row.int("attempt")?, "line": row.text("line")?, "at": shown(row.int("at")?)}))
}
