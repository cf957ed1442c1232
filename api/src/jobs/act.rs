//! What an operator may do to a job. Kinds that nobody may put into the queue from outside cannot be brought back, or
//! taken out, from outside either: a settlement is posted because the money moved, not because somebody pressed a key.

use super::{is_open, look};
use crate::api::Api;
use crate::auth::{Caller, Can, Write};
use crate::body::MaybeInput;
use crate::fields::Fields;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::NoQuery;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use clawr_domain::audit::{Event, Stamp, record};
use clawr_engine::job::Job;
use clawr_engine::manage::Acted;
use serde_json::json;

pub(super) async fn retry(
    State(api): State<Api>,
    caller: Can<Write>,
    Id(id): Id,
    _: NoQuery,
    input: MaybeInput,
) -> Result<Response, Problem> {
    let reason = reason(input)?;
    let job = open_job(&api, &caller, &id).await?;
    let acted = api.queue().retry(caller.scope(), &id).await?;
    told(&api, &caller, &job, ("job.retried", &reason), acted).await
}

pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Can<Write>,
    Id(id): Id,
    _: NoQuery,
    input: MaybeInput,
) -> Result<Response, Problem> {
    let reason = reason(input)?;
    let job = open_job(&api, &caller, &id).await?;
    let acted = api.queue().cancel(caller.scope(), &id, &reason).await?;
    told(&api, &caller, &job, ("job.cancelled", &reason), acted).await
}

pub(super) async fn run_now(
    State(api): State<Api>,
    caller: Can<Write>,
    Id(id): Id,
    _: NoQuery,
    input: MaybeInput,
) -> Result<Response, Problem> {
    let reason = reason(input)?;
    let job = open_job(&api, &caller, &id).await?;
    let acted = api.queue().run_now(caller.scope(), &id).await?;
    told(&api, &caller, &job, ("job.run_now", &reason), acted).await
}

pub(super) async fn erase(State(api): State<Api>, caller: Can<Write>, Id(id): Id, _: NoQuery) -> Result<Response, Problem> {
    let job = open_job(&api, &caller, &id).await?;
    let acted = api.queue().erase(caller.scope(), &id).await?;
    told(&api, &caller, &job, ("job.erased", "asked for by a person"), acted).await
}

pub(super) fn reason(MaybeInput(input): MaybeInput) -> Result<String, Problem> {
    let Some(value) = input else { return Ok("asked for by a person".into()) };
    let mut fields = Fields::of(value, "");
    let reason = fields.text_of("reason", 500);
    if reason.as_deref() == Some("erased") {
        fields.wrong("reason", "is what erased jobs say");
    }
    fields.finish()?;
    Ok(reason.unwrap_or_else(|| "asked for by a person".into()))
}

/// The job, if this caller may see it and its kind is open to the caller.
pub(crate) async fn open_job(api: &Api, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let job = look::found(api, caller, id).await?;
    let is_open = api.registry().get(&job.kind).is_some_and(|entry| is_open(&entry.policy, caller.is_global()));
    if is_open {
        return Ok(job);
    }
    Err(Problem::forbidden("kind_not_open", format!("jobs of kind {} cannot be moved with this credential", job.kind)))
}

async fn told(api: &Api, caller: &Caller, job: &Job, what: (&'static str, &str), acted: Acted) -> Result<Response, Problem> {
    let mut detached_from = None;
    let status = match acted {
        Acted::Done(_) => StatusCode::OK,
        Acted::Detached { group } => {
            detached_from = Some(group);
            StatusCode::OK
        }
        Acted::Asked => StatusCode::ACCEPTED,
        Acted::Refused(_, why) => return Err(Problem::conflict("state_forbids", why)),
        Acted::Taken(holder) => {
            let detail = "a live job counts as the same by the kind's unique policy";
            return Err(Problem::conflict("unique_taken", detail).about("job_id", holder));
        }
        Acted::NotFound => return Err(Problem::not_found("job")),
    };
    let metadata = json!({"kind": job.kind, "reason": what.1, "from": job.state.as_str()});
    let event = Event { action: what.0, object: &job.id, tenant_id: &job.tenant, metadata };
    record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?;
    let now = look::found(api, caller, &job.id).await?;
    let mut body = look::shown(api, caller, &now).await?;
    if let Some(group) = detached_from {
        body["detached_from"] = group.into();
    }
    Ok((status, Json(body)).into_response())
}
