//! Queues and workers as operators see them.

use crate::api::Api;
use crate::auth::{Can, Global, Read};
use crate::metrics::oldest_due;
use crate::openapi::Doc;
use crate::pauses;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_engine::db::{DbError, Row, Rows};
use clawr_engine::job::State as JobState;
use clawr_engine::pauses::{Pause, What};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/queues",
            queues,
            Doc::new("queues", "Queues with depth, oldest age and pauses, within what the caller sees")
                .needs("read")
                .gives(200, "QueueList"),
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
    let in_force = pauses::seen(&api, &caller).await?;
    let depths = with_idle(summed(&live, api.clock().now())?, &api.queue().served().await?, &in_force);
    let mut shown = Vec::with_capacity(in_force.len());
    for pause in &in_force {
        shown.push(pauses::view(&api, &caller, pause).await?);
    }
    let items: Vec<Value> = depths.iter().map(|depth| depth.view(&shown)).collect();
    Ok(Json(json!({"items": items, "pauses": shown, "next": null})))
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

    /// `pauses` as they are answered; the queue's own is among them.
    fn view(&self, pauses: &[Value]) -> Value {
        let live = JobState::ALL.iter().filter(|s| !s.is_ended());
        let states: Map<String, Value> =
            live.map(|s| (s.as_str().to_owned(), self.by_state.get(s.as_str()).copied().unwrap_or(0).into())).collect();
        let own: Vec<&Value> = pauses.iter().filter(|p| p["what"] == "queue" && p["value"] == self.queue.as_str()).collect();
        json!({"name": self.queue, "depth": self.total(), "states": states, "oldest_age_s": self.oldest_age_s, "pauses": own})
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

/// The same with the queues that a live worker serves or somebody paused and that have no live job.
pub fn with_idle(mut depths: Vec<Depth>, served: &[String], pauses: &[Pause]) -> Vec<Depth> {
    let paused = pauses.iter().filter(|pause| pause.what == What::Queue).map(|pause| &pause.value);
    for name in served.iter().chain(paused) {
        if let Err(at) = depths.binary_search_by(|depth| depth.queue.cmp(name)) {
            depths.insert(at, Depth { queue: name.clone(), by_state: BTreeMap::new(), oldest_age_s: None });
        }
    }
    depths
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
