//! A job that has ended, once more as a new job of its own: made under the key `replay:<job>`, so that asking twice makes
//! one. Where the first one was in a sequence it comes last. What the first one did outside is not done again: effects are
//! known by their own keys.

use super::asked::no_key;
use super::{act, make};
use crate::api::Api;
use crate::auth::{Can, Write};
use crate::body::MaybeInput;
use crate::idempotency;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::NoQuery;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use clawr_domain::audit::{Event, Stamp, record};
use clawr_engine::job::{Job, NewJob};
use clawr_engine::seal::{Bound, OpenError};
use serde_json::{Value, json};

pub(super) async fn replay(
    State(api): State<Api>,
    caller: Can<Write>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    input: MaybeInput,
) -> Result<Response, Problem> {
    let reason = act::reason(input)?;
    let shown = act::open_job(&api, &caller, &id).await?;
    if !shown.state.is_ended() {
        let why = format!("the job is {}; only one that has ended can be replayed", shown.state.as_str());
        return Err(Problem::conflict("state_forbids", why));
    }
    if shown.reason == "erased" {
        return Err(Problem::conflict("erased", "what the job was given is erased"));
    }
    let whole = api.queue().job(caller.scope(), &id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let again = again(&api, whole, idempotency::key(&headers)?)?;
    let kept = again.clone();
    let (status, body) = make::answer(&api, &caller, &kept, api.queue().enqueue(again).await?).await?;
    if status == StatusCode::ACCEPTED {
        let metadata = json!({"kind": shown.kind, "reason": reason, "replay": body["id"]});
        let event = Event { action: "job.replayed", object: &id, tenant_id: &shown.tenant, metadata };
        record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?;
        return Ok((status, Json(body)).into_response());
    }
    Ok(idempotency::replayed((status, Json(body)).into_response()))
}

fn unopened(kind: &str, why: &OpenError) -> Problem {
    match why {
        OpenError::NoKey(_) => no_key(kind),
        OpenError::Newer(_) | OpenError::Broken(_) => Problem::conflict("undecodable", format!("its args cannot be used any more: {why}")),
    }
}

/// The same work as a new job. `token` tells replays of one job apart.
fn again(api: &Api, job: Job, token: Option<String>) -> Result<NewJob, Problem> {
    let entry = api.registry().get(&job.kind).ok_or_else(|| Problem::internal(&"a kind that was there is gone"))?;
    let cannot = |why: String| Problem::conflict("undecodable", format!("its args cannot be used any more: {}", entry.told(why)));
    let bound = Bound { id: &job.id, kind: &job.kind, tenant: &job.tenant };
    let args = api.queue().seal().open(&bound, job.args.clone()).map_err(|why| unopened(entry.kind, &why))?;
    let args = entry.upcast(job.version, args).map_err(cannot)?;
    entry.check(&args).map_err(cannot)?;
    let mut filled = NewJob::default();
    entry.fill(&mut filled, &args).map_err(|fault| cannot(fault.to_string()))?;
    let key = token.map_or_else(|| format!("replay:{}", job.id), |token| format!("replay:{}:{token}", job.id));
    let named = if entry.sequence.by.is_empty() { Some(job.sequence).filter(|key| !key.is_empty()) } else { None };
    let sequence = entry.sequence_of(named, &args).map_err(|(_, why)| cannot(why.to_owned()))?;
    Ok(NewJob {
        kind: entry.kind.to_owned(),
        family: entry.family().to_owned(),
        version: entry.version,
        unique: entry.unique,
        queue: job.queue,
        tenant: job.tenant,
        args: args.to_string(),
        tags: job.tags.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        priority: Some(job.priority),
        max_attempts: Some(entry.policy.max_attempts),
        key: Some(key),
        trace: job.trace,
        sequence,
        ..filled
    })
}
