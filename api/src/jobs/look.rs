//! Looking at jobs, and waiting for one.

use super::filter::Wanted;
use super::view;
use crate::api::Api;
use crate::auth::{Caller, Can, Read};
use crate::limits::WAIT_MAX;
use crate::page;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::times;
use axum::Json;
use axum::extract::State;
use clawr_engine::job::Job;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A filter on tags or args reads at most this many pages before it answers with what it has and a cursor.
const PAGES_MAX: usize = 10;
/// How often a long poll looks: often at first, then once a second.
const LOOK_FIRST: Duration = Duration::from_millis(50);
const LOOK_LAST: Duration = Duration::from_secs(1);

pub(super) async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let wanted = page::Wanted::take(&mut query)?;
    let mut filter = Wanted::parse(&query.take("q").unwrap_or_default(), api.clock().now())?;
    query.finish()?;
    if let Some(slug) = &filter.tenant {
        filter.filter.tenant = caller.tenant_id(&api, Some(slug)).await?.unwrap_or_default();
    }
    filter.filter.before = wanted.after;
    let (jobs, next) = gather(&api, &caller, &mut filter, wanted.limit).await?;
    let mut items = Vec::with_capacity(jobs.len());
    for job in &jobs {
        items.push(shown(&api, &caller, job).await?);
    }
    Ok(page::page_of(items, next.as_deref()))
}

/// A page of jobs and the id behind which the next one begins. Tags and args are looked at here, so a page may be a short one.
async fn gather(api: &Api, caller: &Caller, wanted: &mut Wanted, limit: i64) -> Result<(Vec<Job>, Option<String>), Problem> {
    let most = usize::try_from(limit).unwrap_or(1);
    let mut found = Vec::new();
    for _ in 0..if wanted.is_coarse() { PAGES_MAX } else { 1 } {
        let jobs = api.queue().jobs(caller.scope(), &wanted.filter, limit).await?;
        let is_last = jobs.len() < most;
        for job in jobs.into_iter().map(|job| api.registry().shown(job)) {
            wanted.filter.before.clone_from(&job.id);
            if wanted.fits(&job) {
                found.push(job);
            }
            if found.len() == most {
                return Ok((found, Some(std::mem::take(&mut wanted.filter.before))));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
    Ok((found, Some(std::mem::take(&mut wanted.filter.before))))
}

pub(super) async fn one(State(api): State<Api>, caller: Can<Read>, Id(id): Id, mut query: Query) -> Result<Json<Value>, Problem> {
    let wait = query.take("wait").map(|text| patience(&text)).transpose()?;
    query.finish()?;
    let mut job = found(&api, &caller, &id).await?;
    if let Some(patience) = wait {
        job = until_ended(&api, &caller, job, patience).await?;
    }
    Ok(Json(shown(&api, &caller, &job).await?))
}

fn patience(text: &str) -> Result<Duration, Problem> {
    let us = times::span(text).and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros);
    us.filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| Problem::query("wait", "must be a time like 30s, at most 60s"))
}

/// Looks until the job has ended, patience or the process comes to its end, or too many others wait already.
async fn until_ended(api: &Api, caller: &Caller, mut job: Job, patience: Duration) -> Result<Job, Problem> {
    let Ok(_permit) = api.waiters().clone().try_acquire_owned() else { return Ok(job) };
    let mut draining = api.draining();
    let (started, mut pause) = (Instant::now(), LOOK_FIRST);
    while !job.state.is_ended() && started.elapsed() < patience && !*draining.borrow() {
        let left = patience.saturating_sub(started.elapsed());
        let _ = tokio::time::timeout(pause.min(left), draining.wait_for(|stop| *stop)).await;
        job = found(api, caller, &job.id).await?;
        pause = (pause * 3 / 2).min(LOOK_LAST);
    }
    Ok(job)
}

pub(super) async fn attempts(State(api): State<Api>, caller: Can<Read>, Id(id): Id, _: NoQuery) -> Result<Json<Value>, Problem> {
    let job = found(&api, &caller, &id).await?;
    Ok(Json(json!({"items": view::attempts(&job), "next": null})))
}

/// The job as it may be shown, if this caller may see it.
pub(super) async fn found(api: &Api, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let job = api.queue().job(caller.scope(), id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(api.registry().shown(job))
}

/// The job as it is answered.
pub(super) async fn shown(api: &Api, caller: &Caller, job: &Job) -> Result<Value, Problem> {
    Ok(view::job(job, caller.slug_of(api, &job.tenant).await?))
}
