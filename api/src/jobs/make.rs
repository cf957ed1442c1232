//! Making jobs: an acknowledged one is durable.

use super::asked::{self, Asked};
use super::view::{self, Standing};
use crate::api::Api;
use crate::auth::{Caller, Can, Write};
use crate::body::Input;
use crate::fields::Fields;
use crate::idempotency;
use crate::limits::refused;
use crate::problem::Problem;
use crate::query::NoQuery;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use clawr_engine::job::{Enqueued, NewJob};
use futures::StreamExt as _;
use serde_json::{Value, json};

/// Most rows of one request.
const ROWS_MAX: usize = 1_000;
/// How many looks a bulk answer takes at once.
const LOOKS: usize = 8;

pub(super) async fn one(
    State(api): State<Api>,
    caller: Can<Write>,
    _: NoQuery,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, Problem> {
    let mut asked = asked::read(input.value, "")?;
    with_key(&mut asked, idempotency::key(&headers)?)?;
    let job = asked.allowed(&api, &caller).await?;
    let kept = job.clone();
    let (status, body) = answer(&api, &caller, &kept, api.queue().enqueue(job).await?).await?;
    let is_replay = status == StatusCode::OK && body["duplicate"] == true;
    let location = HeaderValue::from_str(&format!("{}/v1/jobs/{}", api.settings().base_path, body["id"].as_str().unwrap_or_default()));
    let mut response = (status, Json(body)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(if is_replay { idempotency::replayed(response) } else { response })
}

/// The header and the field are the same thing.
fn with_key(asked: &mut Asked, header: Option<String>) -> Result<(), Problem> {
    match (&asked.key, header) {
        (Some(field), Some(header)) if *field != header => {
            let detail = "Idempotency-Key and key name two identities; give one of them, or the same";
            Err(Problem::new(StatusCode::BAD_REQUEST, "two_keys", detail))
        }
        (None, Some(header)) => {
            asked.key = Some(header);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// 202 for a new job, 200 where another one stands for it, 409 where the key has another content or the slot is taken.
pub(super) async fn answer(api: &Api, caller: &Caller, job: &NewJob, made: Enqueued) -> Result<(StatusCode, Value), Problem> {
    match made {
        Enqueued::New { id, state } => Ok((StatusCode::ACCEPTED, view::made(&id, Some(state), Standing::New, job))),
        Enqueued::Duplicate { id } => stands(api, caller, &id, Standing::Duplicate, job).await,
        Enqueued::Replaced { id } => stands(api, caller, &id, Standing::Replaced, job).await,
        Enqueued::Throttled { id } => stands(api, caller, &id, Standing::Throttled, job).await,
        Enqueued::Taken { id } => Err(Problem::conflict("unique_taken", "a live job of this kind counts as the same").about("job_id", id)),
        Enqueued::Conflict { id } => {
            Err(Problem::conflict("key_reused", "the key belongs to a job with other content").about("job_id", id))
        }
    }
}

async fn stands(api: &Api, caller: &Caller, id: &str, how: Standing, job: &NewJob) -> Result<(StatusCode, Value), Problem> {
    let now = api.queue().job(caller.scope(), id).await?;
    Ok((StatusCode::OK, view::made(id, now.map(|j| j.state), how, job)))
}

pub(super) async fn many(
    State(api): State<Api>,
    caller: Can<Write>,
    _: NoQuery,
    headers: HeaderMap,
    input: Input,
) -> Result<Json<Value>, Problem> {
    let prefix = idempotency::key(&headers)?;
    let mut rows = Vec::new();
    for (at, value) in list(input.value)?.into_iter().enumerate() {
        rows.push(row(&api, &caller, value, at, prefix.as_deref()).await);
    }
    audit_refused(&api, &caller, &rows).await;
    let jobs: Vec<NewJob> = rows.iter().filter_map(|row| row.as_ref().ok().cloned()).collect();
    let mut made = api.queue().enqueue_many(jobs).await?.into_iter();
    let answered = rows.into_iter().enumerate().map(|(at, row)| {
        let row = row.and_then(|job| made.next().map(|m| (job, m)).ok_or_else(|| Problem::internal(&"a row has no answer")));
        result(&api, &caller, at, row)
    });
    let answered: Vec<_> = answered.collect();
    let results: Vec<Value> = futures::stream::iter(answered).buffered(LOOKS).collect().await;
    Ok(Json(json!({"results": results})))
}

fn list(value: Value) -> Result<Vec<Value>, Problem> {
    let mut fields = Fields::of(value, "");
    let jobs = fields.json("jobs");
    if jobs.is_none() {
        fields.missing("jobs");
    }
    let rows = match jobs {
        Some(Value::Array(rows)) if (1..=ROWS_MAX).contains(&rows.len()) => rows,
        Some(_) => {
            fields.wrong("jobs", format!("must be a list of 1 to {ROWS_MAX} jobs"));
            Vec::new()
        }
        None => Vec::new(),
    };
    fields.finish().map(|()| rows)
}

/// A row is refused alone. Rows without a key get theirs from the request's, so that repeating it makes nothing twice.
async fn row(api: &Api, caller: &Caller, value: Value, at: usize, prefix: Option<&str>) -> Result<NewJob, Problem> {
    let mut asked = asked::read(value, &format!("/jobs/{at}"))?;
    if let (None, Some(prefix)) = (&asked.key, prefix) {
        asked.key = Some(format!("{prefix}#{at}"));
    }
    asked.allowed(api, caller).await
}

async fn audit_refused(api: &Api, caller: &Caller, rows: &[Result<NewJob, Problem>]) {
    let audited: Vec<&Problem> = rows.iter().filter_map(|r| r.as_ref().err()).filter(|p| p.is_audited).collect();
    if let (Some(first), Some(who)) = (audited.first(), caller.context.who.get()) {
        let metadata = json!({"code": first.code, "detail": first.detail, "route": "POST /v1/jobs/bulk", "rows": audited.len()});
        refused(api, &caller.context, who, metadata).await;
    }
}

async fn result(api: &Api, caller: &Caller, at: usize, row: Result<(NewJob, Enqueued), Problem>) -> Value {
    let answered = match row {
        Ok((job, made)) => answer(api, caller, &job, made).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok((status, mut body)) => {
            body["index"] = at.into();
            body["status"] = status.as_u16().into();
            body
        }
        Err(problem) => {
            json!({"index": at, "status": problem.status.as_u16(), "error": problem.body(&caller.context.id)})
        }
    }
}
