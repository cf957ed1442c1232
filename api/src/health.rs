//! Whether the process lives and whether it can work. Strangers may ask, so the store is asked at most once a second.

use crate::api::{Api, Readiness};
use crate::openapi::Doc;
use crate::query::NoQuery;
use crate::routes::Route;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const FRESH: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", healthz, Doc::new("health", "The process lives").gives(200, "Health")),
        Route::get(
            "/readyz",
            readyz,
            Doc::new("health", "The process can do its work: schema, claim loop, clock").gives(200, "Ready").gives(503, "Ready"),
        ),
    ]
}

async fn healthz(_: NoQuery) -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn readyz(State(api): State<Api>, _: NoQuery) -> (StatusCode, Json<Value>) {
    let now = api.ready().get(&api).await;
    let draining = *api.draining().borrow();
    let ready = now.is_ready() && !draining;
    let mut checks: serde_json::Map<String, Value> = now.checks.iter().map(|c| (c.name.to_owned(), c.ok.into())).collect();
    checks.insert("accepting".into(), (!draining).into());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": ready, "checks": checks})))
}

/// The last answer of the binary's readiness function.
#[derive(Default)]
pub struct ReadyCache {
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl ReadyCache {
    /// The answer, at most a second old; "no" if it takes longer than two.
    pub async fn get(&self, api: &Api) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < FRESH
        {
            return known.clone();
        }
        let asked = tokio::time::timeout(PATIENCE, (api.settings().readiness)()).await;
        let slow = || Readiness { checks: vec![crate::api::Check { name: "answers", ok: false }], claim_ticks: None };
        let known = asked.unwrap_or_else(|_| slow());
        *last = Some((Instant::now(), known.clone()));
        known
    }
}
