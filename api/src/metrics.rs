//! What is counted, and the page a Prometheus server reads on a listener of its own.
//!
//! Counting costs a request a few atomic adds: routes are known beforehand, so a label is an index.

use crate::api::Api;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use clawr_engine::db::{DbError, Rows, Scope};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the latency buckets, in milliseconds.
const BUCKETS_MS: [u64; 9] = [1, 5, 10, 25, 50, 100, 250, 1_000, 5_000];
/// Every status this crate answers with, and one place for what else there may be.
const STATUSES: [u16; 16] = [200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 503, 0];

#[derive(Default)]
struct OfRoute {
    by_status: [AtomicU64; STATUSES.len()],
    by_bucket: [AtomicU64; BUCKETS_MS.len() + 1],
    sum_us: AtomicU64,
}

/// The counts of one process since its start.
pub struct Counters {
    index: HashMap<String, usize>,
    routes: Vec<(String, OfRoute)>,
    verdicts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    /// For these paths, and one more for everything else.
    pub fn new(paths: Vec<String>) -> Self {
        let index = paths.iter().cloned().zip(0..).collect();
        let routes = paths.into_iter().chain(["unmatched".to_owned()]).map(|p| (p, OfRoute::default())).collect();
        Self { index, routes, verdicts: Mutex::default() }
    }

    /// The place of a path.
    pub fn route(&self, path: Option<&str>) -> usize {
        path.and_then(|p| self.index.get(p)).copied().unwrap_or(self.routes.len() - 1)
    }

    /// One more answer.
    pub fn answered(&self, route: usize, status: u16, took: Duration) {
        let of = &self.routes[route].1;
        let at = STATUSES.iter().position(|s| *s == status).unwrap_or(STATUSES.len() - 1);
        of.by_status[at].fetch_add(1, Relaxed);
        let bucket = BUCKETS_MS.iter().position(|ms| took <= Duration::from_millis(*ms)).unwrap_or(BUCKETS_MS.len());
        of.by_bucket[bucket].fetch_add(1, Relaxed);
        of.sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(0), Relaxed);
    }

    /// One more report judged like this.
    pub fn judged(&self, verdict: &'static str) {
        *self.verdicts.lock().unwrap_or_else(|p| p.into_inner()).entry(verdict).or_default() += 1;
    }

    fn show(&self, page: &mut Page) {
        page.family("clawr_http_requests_total", "counter", "answers by route and status");
        for (path, of) in &self.routes {
            for (status, n) in STATUSES.iter().zip(&of.by_status).map(|(s, n)| (s, n.load(Relaxed))).filter(|(_, n)| *n > 0) {
                let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
                page.sample("clawr_http_requests_total", &[("route", path), ("status", &status)], n);
            }
        }
        page.family("clawr_http_request_duration_seconds", "histogram", "time from the head of a request to the head of its answer");
        for (path, of) in self.routes.iter().filter(|(_, of)| of.by_bucket.iter().any(|n| n.load(Relaxed) > 0)) {
            let mut total = 0;
            for (at, n) in of.by_bucket.iter().enumerate() {
                total += n.load(Relaxed);
                let le = BUCKETS_MS.get(at).map_or("+Inf".to_owned(), |ms| seconds(*ms * 1_000));
                page.sample("clawr_http_request_duration_seconds_bucket", &[("route", path), ("le", &le)], total);
            }
            page.sample("clawr_http_request_duration_seconds_count", &[("route", path)], total);
            page.text("clawr_http_request_duration_seconds_sum", &[("route", path)], &seconds(of.sum_us.load(Relaxed)));
        }
        page.family("clawr_settlement_reports_total", "counter", "settlement reports by verdict");
        for (verdict, n) in self.verdicts.lock().unwrap_or_else(|p| p.into_inner()).iter() {
            page.sample("clawr_settlement_reports_total", &[("verdict", verdict)], *n);
        }
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// A router with `/metrics` only.
pub fn metrics_router(api: Api) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(api)
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let mut page = Page::default();
    api.counters().show(&mut page);
    let store = tokio::time::timeout(Duration::from_secs(5), of_store(&api)).await;
    page.family("clawr_store_up", "gauge", "whether the store answered this scrape");
    match store {
        Ok(Ok((live, ended))) => {
            page.sample("clawr_store_up", &[], 1);
            if let Err(error) = jobs(&mut page, &live, &ended, api.clock().now()) {
                tracing::error!("failed to read the queue's numbers: {error}");
            }
        }
        _ => page.sample("clawr_store_up", &[], 0),
    }
    let ready = api.ready().get(&api).await;
    page.family("clawr_ready", "gauge", "whether this process says it can work");
    page.sample("clawr_ready", &[], u64::from(ready.is_ready()));
    if let Some(ticks) = ready.claim_ticks {
        page.family("clawr_claim_ticks_total", "counter", "passes of the claim loop");
        page.sample("clawr_claim_ticks_total", &[], ticks);
    }
    page.family("clawr_clock_error_seconds", "gauge", "error bound of the clock");
    page.text("clawr_clock_error_seconds", &[], &seconds(api.clock().error_bound_us().unsigned_abs()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.text)
}

async fn of_store(api: &Api) -> Result<(Rows, Rows), DbError> {
    Ok((api.queue().queue_stats(&Scope::System).await?, api.queue().archive_counts(&Scope::System).await?))
}

fn jobs(page: &mut Page, live: &Rows, ended: &Rows, now: i64) -> Result<(), DbError> {
    page.family("clawr_jobs", "gauge", "live jobs by queue and state");
    for row in live {
        let n = row.int("jobs")?.unsigned_abs();
        page.sample("clawr_jobs", &[("queue", &row.text("queue")?), ("state", &row.text("state")?)], n);
    }
    page.family("clawr_queue_oldest_due_seconds", "gauge", "how long the oldest due job of a queue has waited");
    for (queue, oldest) in oldest_due(live)? {
        page.text("clawr_queue_oldest_due_seconds", &[("queue", &queue)], &seconds((now - oldest).max(0).unsigned_abs()));
    }
    page.family("clawr_jobs_archived", "gauge", "ended jobs kept, by state");
    for row in ended {
        page.sample("clawr_jobs_archived", &[("state", &row.text("state")?)], row.int("jobs")?.unsigned_abs());
    }
    Ok(())
}

/// For each queue the earliest due time among jobs that wait for a worker.
pub fn oldest_due(live: &Rows) -> Result<BTreeMap<String, i64>, DbError> {
    let mut oldest = BTreeMap::new();
    for row in live {
        if matches!(row.text("state")?.as_str(), "available" | "scheduled" | "retryable") {
            let due = row.int("oldest")?;
            oldest.entry(row.text("queue")?).and_modify(|o: &mut i64| *o = due.min(*o)).or_insert(due);
        }
    }
    Ok(oldest)
}

/// The exposition format: families with their help, samples with escaped labels.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.text(name, labels, &value.to_string());
    }

    fn text(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        let escaped = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(n, v)| format!("{n}=\"{}\"", escaped(v))).collect();
        let braced = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{braced} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_route_and_status() {
        let counters = Counters::new(vec!["/a".into(), "/b".into()]);
        counters.answered(counters.route(Some("/b")), 202, Duration::from_millis(7));
        counters.answered(counters.route(Some("/zzz")), 418, Duration::from_secs(60));
        counters.judged("accepted");
        let mut page = Page::default();
        counters.show(&mut page);
        for line in [
            "clawr_http_requests_total{route=\"/b\",status=\"202\"} 1",
            "clawr_http_requests_total{route=\"unmatched\",status=\"other\"} 1",
            "clawr_http_request_duration_seconds_bucket{route=\"/b\",le=\"0.005000\"} 0",
            "clawr_http_request_duration_seconds_bucket{route=\"/b\",le=\"0.010000\"} 1",
            "clawr_http_request_duration_seconds_sum{route=\"/b\"} 0.007000",
            "clawr_settlement_reports_total{verdict=\"accepted\"} 1",
        ] {
            assert!(page.text.lines().any(|l| l == line), "{line} is not in\n{}", page.text);
        }
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("x", &[("queue", "a\"b\\c\nd")], 1);
        assert_eq!(page.text, "x{queue=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
