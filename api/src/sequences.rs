//! Sequences that do not go on: what they wait for, and letting one go on past a dead job.

use crate::api::Api;
use crate::auth::{Caller, Can, Read, Write};
use crate::body::Input;
use crate::fields::Fields;
use crate::jobs::open_job;
use crate::openapi::Doc;
use crate::page;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::query::Query;
use crate::routes::Route;
use crate::times::shown_if;
use axum::Json;
use axum::extract::State;
use clawr_domain::audit::{Event, Stamp, record};
use clawr_domain::page::Listed;
use clawr_engine::db::Scope;
use clawr_engine::sequence::{KEY_MAX, Stuck, Unblocked};
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("jobs", summary);
    vec![
        Route::get(
            "/v1/sequences",
            list,
            doc("Sequences that jobs wait in, or that a dead job stops: behind which job, how many, since when")
                .needs("read")
                .with(&["Tenant", "Limit", "Cursor"])
                .gives(200, "SequenceList")
                .refuses(&[404]),
        ),
        Route::post(
            "/v1/sequences/unblock",
            unblock,
            doc("Let a sequence go on past the dead job that stops it first; the job stays dead")
                .needs("write")
                .takes("SequenceUnblock")
                .gives(200, "SequenceUnblocked")
                .refuses(&[404, 409]),
        ),
    ]
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let wanted = page::Wanted::take(&mut query)?;
    let tenant = query.take("tenant").filter(|slug| !slug.is_empty());
    query.finish()?;
    let scope = match &tenant {
        Some(slug) => Scope::Tenant(caller.tenant_id(&api, Some(slug)).await?.unwrap_or_default()),
        None => caller.scope().clone(),
    };
    let after = match wanted.after.split_once(' ') {
        Some(after) => after,
        None if wanted.after.is_empty() => ("", ""),
        None => return Err(Problem::query("cursor", "is not a cursor of this list")),
    };
    let mut found = api.queue().stuck_sequences(&scope, after, wanted.limit + 1).await?;
    let most = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| more).map(|last| format!("{} {}", last.tenant, last.key));
    let mut items = Vec::with_capacity(found.len());
    for stuck in &found {
        items.push(view(&api, &caller, stuck).await?);
    }
    Ok(page::answer(Listed { items, next }, |view| view))
}

async fn view(api: &Api, caller: &Caller, stuck: &Stuck) -> Result<Value, Problem> {
    Ok(json!({
        "key": stuck.key,
        "tenant": caller.slug_of(api, &stuck.tenant).await?,
        "waiting": stuck.waiting,
        "job_id": stuck.job,
        "state": stuck.state.as_str(),
        "since": shown_if(stuck.since),
    }))
}

async fn unblock(State(api): State<Api>, caller: Can<Write>, _: NoQuery, input: Input) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let key = fields.text_of("key", KEY_MAX);
    if key.is_none() {
        fields.missing("key");
    }
    let (tenant, job, reason) = (fields.text_of("tenant", 63), fields.text_of("job", 64), fields.text_of("reason", 500));
    fields.finish()?;
    let key = key.unwrap_or_default();
    let tenant = caller.tenant_id(&api, tenant.as_deref()).await?.unwrap_or_default();
    let stops = api.queue().stopped_by(caller.scope(), &tenant, &key).await?.ok_or_else(not_stopped)?;
    if job.is_some_and(|job| job != stops) {
        return Err(Problem::conflict("stopped_by_another", "another dead job stops this sequence first").about("job_id", stops));
    }
    let dead = open_job(&api, &caller, &stops).await?;
    let Unblocked::Done { job, next } = api.queue().unblock(caller.scope(), &tenant, &key, &dead.id).await? else {
        return Err(not_stopped());
    };
    let reason = reason.unwrap_or_else(|| "asked for by a person".into());
    let metadata = json!({"key": key, "kind": dead.kind, "reason": reason, "next": next});
    let event = Event { action: "sequence.unblocked", object: &job, tenant_id: &tenant, metadata };
    record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?;
    Ok(Json(json!({"key": key, "tenant": caller.slug_of(&api, &tenant).await?, "job_id": job, "next_job_id": next})))
}

fn not_stopped() -> Problem {
    Problem::conflict("not_stopped", "no dead job stops this sequence; what it waits for is in the list of sequences")
}
