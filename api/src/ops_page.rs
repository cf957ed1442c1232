//! One page for operators: what waits, what was reported, who works. No script; every number is as of this moment.

use crate::api::Api;
use crate::auth::Onlooker;
use crate::openapi::Doc;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::shown;
use crate::workers::{summed, with_idle};
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use clawr_domain::page::Page;
use clawr_domain::settlement::{Settlement, store};
use clawr_engine::db::{DbError, Row, Scope};
use clawr_engine::job::State as JobState;
use clawr_engine::pauses::{Pause, What};

const SETTLEMENTS_SHOWN: i64 = 20;
/// The columns of a queue; the states that are seldom are one column.
const COLUMNS: [JobState; 4] = [JobState::Available, JobState::Scheduled, JobState::Running, JobState::Retryable];

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = Doc::new("pages", "What waits, what was reported, who works").needs("read").global().gives(200, "html");
    vec![Route::get("/ops", ops, doc)]
}

#[derive(Template)]
#[template(path = "ops.html")]
struct OpsPage {
    base: String,
    now: String,
    queues: Vec<QueueLine>,
    pauses: Vec<PauseLine>,
    ended: Vec<(String, i64)>,
    states: Vec<StateLine>,
    settlements: Vec<SettlementLine>,
    workers: Vec<WorkerLine>,
}

struct QueueLine {
    name: String,
    depth: i64,
    by_state: Vec<i64>,
    others: i64,
    oldest: String,
    is_late: bool,
    is_paused: bool,
}

struct PauseLine {
    what: &'static str,
    value: String,
    who: String,
    why: String,
    since: String,
    until: String,
}

struct StateLine {
    state: String,
    count: i64,
    amount: String,
    posted: i64,
}

struct SettlementLine {
    id: String,
    when: String,
    tenant: String,
    api: String,
    amount: String,
    state: String,
    outcome: String,
}

struct WorkerLine {
    name: String,
    id: String,
    host: String,
    state: String,
    running: i64,
    queues: String,
    version: String,
    seen: String,
}

async fn ops(State(api): State<Api>, _: Onlooker, _: NoQuery) -> Result<Html<String>, Problem> {
    let page = gather(&api).await?;
    page.render().map(Html).map_err(|error| Problem::internal(&error))
}

async fn gather(api: &Api) -> Result<OpsPage, Problem> {
    let (scope, now) = (Scope::System, api.clock().now());
    let page = Page::new(Some(SETTLEMENTS_SHOWN), None)?;
    let live = api.queue().queue_stats(&scope).await?;
    let ended = api.queue().archive_counts(&scope).await?;
    let settlements = store::list(api.db(), &scope, &store::Filter::default(), &page).await?;
    let workers = api.queue().workers().await?;
    let pauses = api.queue().pauses().await?;
    let depths = with_idle(summed(&live, now)?, &api.queue().served().await?, &pauses);
    Ok(OpsPage {
        base: api.settings().base_path.clone(),
        now: minute(now),
        queues: depths.iter().map(|depth| queue(depth, &pauses)).collect(),
        pauses: pause_lines(api, &pauses).await?,
        ended: ended.iter().map(|row| Ok((row.text("state")?, row.int("jobs")?))).collect::<Result<_, DbError>>()?,
        states: store::counts(api.db(), &scope).await?.into_iter().map(state).collect(),
        settlements: settlements.items.iter().map(settlement).collect(),
        workers: workers.iter().map(|row| worker(row, now)).collect::<Result<_, DbError>>()?,
    })
}

async fn pause_lines(api: &Api, pauses: &[Pause]) -> Result<Vec<PauseLine>, Problem> {
    let mut lines = Vec::with_capacity(pauses.len());
    for pause in pauses {
        let slug = if pause.what == What::Tenant { api.names().slug_of(api.db(), &pause.value).await? } else { None };
        lines.push(PauseLine {
            what: pause.what.as_str(),
            value: slug.unwrap_or_else(|| pause.value.clone()),
            who: pause.who.clone(),
            why: pause.why.clone(),
            since: minute(pause.created_at),
            until: if pause.until == 0 { "resumed".to_owned() } else { minute(pause.until) },
        });
    }
    Ok(lines)
}

fn queue(depth: &crate::workers::Depth, pauses: &[Pause]) -> QueueLine {
    let of = |state: JobState| depth.by_state.get(state.as_str()).copied().unwrap_or(0);
    let by_state: Vec<i64> = COLUMNS.into_iter().map(of).collect();
    let others = depth.total() - by_state.iter().sum::<i64>();
    let oldest = depth.oldest_age_s.map_or("–".to_owned(), age);
    QueueLine {
        name: depth.queue.clone(),
        depth: depth.total(),
        by_state,
        others,
        oldest,
        is_late: depth.oldest_age_s.is_some_and(|s| s > 60),
        is_paused: pauses.iter().any(|p| p.what == What::Queue && p.value == depth.queue),
    }
}

fn state(count: store::Count) -> StateLine {
    StateLine { state: count.state, count: count.count, amount: usdc(count.amount_micros.get()), posted: count.posted }
}

fn settlement(s: &Settlement) -> SettlementLine {
    SettlementLine {
        id: s.id.clone(),
        when: minute(s.received_at),
        tenant: s.tenant.clone(),
        api: s.api.clone(),
        amount: usdc(s.amount.get()),
        state: s.state.clone(),
        outcome: s.outcome.clone(),
    }
}

fn worker(row: &Row, now: i64) -> Result<WorkerLine, DbError> {
    Ok(WorkerLine {
        name: row.text("name")?,
        id: row.text("id")?,
        host: row.text("host")?,
        state: row.text("state")?,
        running: row.int("running")?,
        queues: row.text("queues")?.replace(',', ", "),
        version: row.text("version")?,
        seen: format!("{} ago", age((now - row.int("seen_at")?).max(0) / 1_000_000)),
    })
}

/// `2026-10-31 23:59:59`
fn minute(micros: i64) -> String {
    shown(micros).replace('T', " ").chars().take(19).collect()
}

/// `3 h 5 min`, with two units at most.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `1,234.567890`: thousands apart, all six digits.
fn usdc(micros: i64) -> String {
    let whole = (micros / 1_000_000).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{:06}", micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_for_people() {
        assert_eq!(usdc(1_234_567_890_123), "1,234,567.890123");
        assert_eq!((usdc(19), usdc(250_000)), ("0.000019".to_owned(), "0.250000".to_owned()));
        assert_eq!([59, 125, 7_260, 90_000].map(age), ["59 s", "2 min 5 s", "2 h 1 min", "1 d 1 h"]);
        assert_eq!(minute(1_793_491_199_999_000), "2026-10-31 23:59:59");
    }
}
