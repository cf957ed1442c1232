//! Effects: what jobs did outside, and a person's word on those nobody else can tell of.

use crate::api::Api;
use crate::auth::{Admin, Caller, Can, Read};
use crate::body::Input;
use crate::fields::Fields;
use crate::openapi::Doc;
use crate::page;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::{shown, shown_if};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clawr_domain::audit::{Event, Stamp, record};
use clawr_domain::page::Listed;
use clawr_engine::db::{DbError, Row};
use clawr_engine::effect::{self, Stored, Verdict, Word};
use serde_json::{Value, json};

/// Most bytes of evidence and reason.
const EVIDENCE_MAX: usize = 8_192;
const REASON_MAX: usize = 500;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("effects", summary);
    vec![
        Route::get(
            "/v1/effects",
            list,
            doc("What jobs did outside, newest first").needs("read").with(&["EffectState", "Limit", "Cursor"]).gives(200, "EffectList"),
        ),
        Route::get("/v1/effects/{id}", one, doc("One effect and all that was seen of it").needs("read").gives(200, "EffectDetail")),
        Route::post(
            "/v1/effects/{id}/resolve",
            resolve,
            doc("A person's verdict on an effect in doubt; where money moves, of two people")
                .needs("admin")
                .takes("EffectVerdict")
                .gives(200, "EffectJudged")
                .gives(202, "EffectJudged")
                .refuses(&[409]),
        ),
        Route::get(
            "/v1/findings",
            findings,
            doc("What contradicts itself and needs somebody to look, newest first")
                .needs("read")
                .with(&["Limit", "Cursor"])
                .gives(200, "FindingList"),
        ),
        Route::get("/v1/jobs/{id}/effects", of_job, doc("What a job did outside, oldest first").needs("read").gives(200, "EffectList")),
    ]
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let wanted = page::Wanted::take(&mut query)?;
    let word = query.take("state").filter(|s| !s.is_empty());
    query.finish()?;
    let state = word.as_deref().map(|w| effect::State::parse(w).ok_or_else(unknown_state)).transpose()?;
    let mut items = api.queue().effects(caller.scope(), state, "", &wanted.after, wanted.limit + 1).await?;
    let more = items.len() > usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(wanted.limit).unwrap_or(usize::MAX));
    let next = if more { items.last().map(|e| e.id.clone()) } else { None };
    let views = views(&api, &caller, &items).await?;
    Ok(page::answer(Listed { items: views, next }, |view| view))
}

fn unknown_state() -> Problem {
    Problem::query("state", "must be one of intended, confirmed, rejected, unknown, absent, needs_person")
}

async fn one(State(api): State<Api>, caller: Can<Read>, Id(id): Id, _: NoQuery) -> Result<Json<Value>, Problem> {
    let effect = api.queue().effect(caller.scope(), &id).await?.ok_or_else(|| Problem::not_found("effect"))?;
    let seen = api.queue().observations(caller.scope(), &id).await?;
    let mut body = view(&api, &caller, &effect).await?;
    body["observations"] = seen.iter().map(|row| observation(row, caller.is_global())).collect::<Result<Vec<_>, _>>()?.into();
    Ok(Json(body))
}

async fn of_job(State(api): State<Api>, caller: Can<Read>, Id(id): Id, _: NoQuery) -> Result<Json<Value>, Problem> {
    if api.queue().job(caller.scope(), &id).await?.is_none() {
        return Err(Problem::not_found("job"));
    }
    let effects = api.queue().effects_of_job(caller.scope(), &id).await?;
    Ok(Json(json!({"items": views(&api, &caller, &effects).await?, "next": null})))
}

async fn findings(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let wanted = page::Wanted::take(&mut query)?;
    query.finish()?;
    let rows = api.queue().findings(caller.scope(), &wanted.after, wanted.limit + 1).await?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let items = rows.iter().take(limit).map(finding).collect::<Result<Vec<_>, _>>()?;
    let next = if rows.len() > limit { rows.get(limit - 1).map(|row| row.text("id")).transpose()? } else { None };
    Ok(page::page_of(items, next.as_deref()))
}

fn finding(row: &Row) -> Result<Value, DbError> {
    let detail = row.text("detail")?;
    Ok(json!({
        "id": row.text("id")?,
        "what": row.text("what")?,
        "object": row.text("object")?,
        "detail": serde_json::from_str::<Value>(&detail).unwrap_or(Value::String(detail)),
        "created_at": shown(row.int("created_at")?),
    }))
}

async fn resolve(
    State(api): State<Api>,
    caller: Can<Admin>,
    Id(id): Id,
    _: NoQuery,
    input: Input,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (verdict, evidence) = said(Fields::of(input.value, ""))?;
    let actor = person(&caller);
    let found = api.queue().effect(caller.scope(), &id).await?.ok_or_else(|| Problem::not_found("effect"))?;
    if found.money && !caller.is_global() {
        return Err(Problem::forbidden("global_key_required", "money moves by this effect: only global keys may resolve it"));
    }
    let word = api.queue().resolve_by_person(caller.scope(), &id, &actor, verdict, &evidence).await?;
    let (effect, settled) = match word {
        Word::NotFound => return Err(Problem::not_found("effect")),
        Word::NotInDoubt(effect) => {
            let why = format!("the effect is {}; only one that is unknown or needs a person can be resolved", effect.state.as_str());
            return Err(Problem::conflict("state_forbids", why));
        }
        Word::TooEarly(_) => {
            let why = "the call may still be under way: until two minutes after starts_until nobody can say that it did not happen";
            return Err(Problem::conflict("too_early", why));
        }
        Word::NeedsSecond(effect) => (effect, false),
        Word::Settled(effect) => (effect, true),
    };
    note(&api, &caller, &effect, verdict, settled, evidence).await?;
    let status = if settled { StatusCode::OK } else { StatusCode::ACCEPTED };
    let body = json!({"settled": settled, "needs_second_person": !settled, "effect": view(&api, &caller, &effect).await?});
    Ok((status, Json(body)))
}

/// Two keys of one user are one person.
fn person(caller: &Caller) -> String {
    let user = &caller.credential.user_id;
    if user.is_empty() { caller.credential.key_id.clone() } else { user.clone() }
}

fn said(mut fields: Fields) -> Result<(Verdict, Value), Problem> {
    let word = fields.needed_text("verdict");
    let verdict = Verdict::parse(&word);
    if verdict.is_none() && !word.is_empty() {
        fields.wrong("verdict", "must be confirmed, rejected or absent");
    }
    let evidence = fields.needed_text("evidence");
    if evidence.len() > EVIDENCE_MAX {
        fields.wrong("evidence", "must be a text of at most 8192 bytes");
    }
    let reason = fields.needed_text("reason");
    if reason.len() > REASON_MAX {
        fields.wrong("reason", "must be a text of at most 500 bytes");
    }
    fields.finish()?;
    let verdict = verdict.ok_or_else(|| Problem::internal(&"a verdict that is none"))?;
    Ok((verdict, json!({"evidence": evidence, "reason": reason})))
}

async fn note(api: &Api, caller: &Caller, effect: &Stored, verdict: Verdict, settled: bool, said: Value) -> Result<(), Problem> {
    let action = if settled { "effect.resolved" } else { "effect.judged" };
    let metadata = json!({"key": effect.key, "job_id": effect.job, "verdict": verdict, "said": said});
    let event = Event { action, object: &effect.id, tenant_id: &effect.tenant, metadata };
    Ok(record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?)
}

fn observation(row: &Row, with_actor: bool) -> Result<Value, DbError> {
    let evidence = row.text("evidence")?;
    Ok(json!({
        "id": row.text("id")?,
        "source": row.text("source")?,
        "actor": if with_actor { Some(row.text("actor")?) } else { None },
        "verdict": row.text("verdict")?,
        "try": row.int("try")?,
        "evidence": serde_json::from_str::<Value>(&evidence).unwrap_or(Value::String(evidence)),
        "at": shown(row.int("at")?),
    }))
}

async fn views(api: &Api, caller: &Caller, effects: &[Stored]) -> Result<Vec<Value>, Problem> {
    let mut all = Vec::with_capacity(effects.len());
    for effect in effects {
        all.push(view(api, caller, effect).await?);
    }
    Ok(all)
}

/// How an effect is shown.
async fn view(api: &Api, caller: &Caller, effect: &Stored) -> Result<Value, Problem> {
    let open_s = effect.state.is_open().then(|| (api.clock().now() - effect.open_since).max(0) / 1_000_000);
    Ok(json!({
        "id": effect.id,
        "key": effect.key,
        "job_id": effect.job,
        "kind": effect.kind,
        "tenant": caller.slug_of(api, &effect.tenant).await?,
        "class": effect.class,
        "state": effect.state,
        "money": effect.money,
        "intent": effect.intent,
        "evidence": effect.evidence,
        "tries": effect.tries,
        "rev": effect.rev,
        "open_s": open_s,
        "starts_until": shown(effect.start_by),
        "created_at": shown(effect.created_at),
        "settled_at": shown_if(effect.settled_at),
    }))
}
