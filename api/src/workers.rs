//! Queues and workers as operators see them.

use crate::api::Api;
use crate::auth::{Can, Global, Read};
use crate::metrics::oldest_due;
use crate::openapi::Doc;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_engine::db::{DbError, Row, Rows};
use clawr_engine::job::State as JobState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/queues",
            queues,
            Doc::new("queues", "Queues with depth and oldest age, within what the caller sees").needs("read").gives(200, "QueueList"),
        ),
        Route::get(
            "/v1/workers",
            workers,
            Doc::new("queues", "Worker processes, newest first").needs("read").global().gives(200, "WorkerList"),
        ),
    ]
}

async fn queues(State(api): State<Api>, caller: Can<Read>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let live = api.queue().queue_stats(caller.scope()).await?;
    let items: Vec<Value> = summed(&live, api.clock().now())?.iter().map(Depth::view).collect();
    Ok(Json(json!({"items": items, "next": null})))
}

async fn workers(State(api): State<Api>, _: Can<Global<Read>>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let rows = api.queue().workers().await?;
    let items = rows.iter().map(worker).collect::<Result<Vec<Value>, DbError>>()?;
    Ok(Json(json!({"items": items, "next": null})))
}

/// One queue's live jobs.
pub struct Depth {
    /// Its name.
    pub queue: String,
    /// How many, by state.
    pub by_state: BTreeMap<String, i64>,
    /// How long the oldest due job has waited, in seconds; none if nothing is due.
    pub oldest_age_s: Option<i64>,
}

impl Depth {
    /// All live jobs.
    pub fn total(&self) -> i64 {
        self.by_state.values().sum()
    }

    fn view(&self) -> Value {
        let live = JobState::ALL.iter().filter(|s| !s.is_ended());
        let states: Map<String, Value> =
            live.map(|s| (s.as_str().to_owned(), self.by_state.get(s.as_str()).copied().unwrap_or(0).into())).collect();
        json!({"name": self.queue, "depth": self.total(), "states": states, "oldest_age_s": self.oldest_age_s})
    }
}

/// Live jobs per queue, in order of names.
pub fn summed(live: &Rows, now: i64) -> Result<Vec<Depth>, DbError> {
    let mut queues: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for row in live {
        queues.entry(row.text("queue")?).or_default().insert(row.text("state")?, row.int("jobs")?);
    }
    let oldest = oldest_due(live)?;
    let depth = |(queue, by_state): (String, BTreeMap<String, i64>)| {
        let oldest_age_s = oldest.get(&queue).filter(|at| **at <= now).map(|at| (now - at) / 1_000_000);
        Depth { queue, by_state, oldest_age_s }
    };
    Ok(queues.into_iter().map(depth).collect())
}

fn worker(row: &Row) -> Result<Value, DbError> {
    Ok(json!({
        "id": row.text("id")?,
        "name": row.text("name")?,
        "host": row.text("host")?,
        "pid": row.int("pid")?,
        "version": row.text("version")?,
        "queues": row.text("queues")?.split(',').filter(|q| !q.is_empty()).collect::<Vec<_>>(),
        "state": row.text("state")?,
        "running": row.int("running")?,
        "beat": row.int("beat")?,
        "started_at": shown(row.int("started_at")?),
        "seen_at": shown(row.int("seen_at")?),
    }))
}
