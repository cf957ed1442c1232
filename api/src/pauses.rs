//! Pauses as operators make and end them. Pausing what is paused says anew who, why and until when.

use crate::api::Api;
use crate::auth::{Admin, Caller, Can, Global, Read};
use crate::body::Input;
use crate::fields::Fields;
use crate::openapi::Doc;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::{self, shown, shown_if};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clawr_domain::audit::{Event, Stamp, record};
use clawr_engine::pauses::{NewPause, Pause, What};
use serde_json::{Value, json};

/// Most bytes of what is paused, and of the reason.
const VALUE_MAX: usize = 200;
const WHY_MAX: usize = 500;
/// The beginning of the year 2200.
const UNTIL_MAX_US: i64 = 7_258_118_400_000_000;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let admin = |summary| Doc::new("queues", summary).needs("admin").global();
    vec![
        Route::post(
            "/v1/queues/{name}/pause",
            pause_queue,
            admin("Stop claiming from a queue; what runs goes on").takes("QueuePause").gives(200, "Pause"),
        ),
        Route::delete("/v1/queues/{name}/pause", resume_queue, admin("Claim from a queue again").gives(204, "")),
        Route::get(
            "/v1/pauses",
            list,
            Doc::new("queues", "Pauses in force, as far as they touch the caller").needs("read").gives(200, "PauseList"),
        ),
        Route::post(
            "/v1/pauses",
            pause,
            admin("Stop claiming jobs of a queue, kind, tag or tenant").takes("NewPause").gives(200, "Pause").refuses(&[404]),
        ),
        Route::delete("/v1/pauses/{id}", resume, admin("End a pause").gives(204, "")),
    ]
}

async fn pause_queue(
    State(api): State<Api>,
    caller: Can<Global<Admin>>,
    Id(name): Id,
    _: NoQuery,
    input: Input,
) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let (why, until) = why_and_until(&mut fields, api.clock().now());
    fields.finish()?;
    if !is_queue(&name) {
        return Err(Problem::not_found("queue"));
    }
    put(&api, &caller, NewPause { what: What::Queue, value: name, who: caller.credential.key_id.clone(), why, until }).await
}

async fn pause(State(api): State<Api>, caller: Can<Global<Admin>>, _: NoQuery, input: Input) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let word = fields.needed_text("what");
    let what = What::parse(&word);
    if what.is_none() && !word.is_empty() {
        fields.wrong("what", "must be queue, kind, tag or tenant");
    }
    let value = fields.needed_text("value");
    if let Some(fault) = what.and_then(|what| fault(&api, what, &value)) {
        fields.wrong("value", fault);
    }
    let (why, until) = why_and_until(&mut fields, api.clock().now());
    fields.finish()?;
    let Some(what) = what else { return Err(Problem::internal(&"a pause of nothing")) };
    let value = if what == What::Tenant { api.names().id_of(api.db(), &value).await? } else { value };
    put(&api, &caller, NewPause { what, value, who: caller.credential.key_id.clone(), why, until }).await
}

/// What is wrong with a value that is there.
fn fault(api: &Api, what: What, value: &str) -> Option<&'static str> {
    match what {
        _ if value.is_empty() => None,
        _ if value.len() > VALUE_MAX => Some("must be a text of at most 200 bytes"),
        What::Queue if !is_queue(value) => Some("must be 1 to 64 of a-z, 0-9, _ and -"),
        What::Kind if api.registry().get(value).is_none() => Some("is not a kind"),
        _ => what.fault(value),
    }
}

/// Whether it can be a queue's name.
pub fn is_queue(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// The reason.
pub fn why(fields: &mut Fields) -> String {
    let why = fields.needed_text("why");
    if why.len() > WHY_MAX {
        fields.wrong("why", "must be a text of at most 500 bytes");
    }
    why
}

/// The reason, and the end in microseconds; 0 = none.
pub fn why_and_until(fields: &mut Fields, now: i64) -> (String, i64) {
    let why = why(fields);
    let text = fields.text("until");
    let until = text.as_deref().map(|text| times::parse(text).or_else(|| times::span(text).map(|span| now + span)));
    match until {
        Some(None) => fields.wrong("until", "must be an RFC 3339 time, or a span like 2h"),
        Some(Some(until)) if until <= now || until > UNTIL_MAX_US => fields.wrong("until", "must be in the future, and before 2200"),
        _ => {}
    }
    (why, until.flatten().unwrap_or(0))
}

async fn put(api: &Api, caller: &Caller, new: NewPause) -> Result<Json<Value>, Problem> {
    let made = api.queue().pause(new).await?;
    note(api, caller, "pause.made", &made).await?;
    Ok(Json(view(api, caller, &made).await?))
}

async fn resume_queue(State(api): State<Api>, caller: Can<Global<Admin>>, Id(name): Id, _: NoQuery) -> Result<StatusCode, Problem> {
    end(&api, &caller, What::Queue, &name).await
}

async fn resume(State(api): State<Api>, caller: Can<Global<Admin>>, Id(id): Id, _: NoQuery) -> Result<StatusCode, Problem> {
    let all = api.queue().pauses().await?;
    let pause = all.iter().find(|p| p.id == id).ok_or_else(|| Problem::not_found("pause"))?;
    end(&api, &caller, pause.what, &pause.value).await
}

async fn end(api: &Api, caller: &Caller, what: What, value: &str) -> Result<StatusCode, Problem> {
    let ended = api.queue().resume(what, value).await?.ok_or_else(|| Problem::not_found("pause"))?;
    note(api, caller, "pause.ended", &ended).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn note(api: &Api, caller: &Caller, action: &'static str, pause: &Pause) -> Result<(), Problem> {
    let metadata =
        json!({"what": pause.what.as_str(), "value": pause.value, "why": pause.why, "until": shown_if(pause.until), "who": pause.who});
    let tenant_id = if pause.what == What::Tenant { pause.value.as_str() } else { "" };
    let event = Event { action, object: &pause.id, tenant_id, metadata };
    Ok(record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?)
}

async fn list(State(api): State<Api>, caller: Can<Read>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for pause in seen(&api, &caller).await? {
        items.push(view(&api, &caller, &pause).await?);
    }
    Ok(Json(json!({"items": items, "next": null})))
}

/// The pauses a caller may know of: a tenant hears of queues, kinds and itself, not of tags that others use.
pub async fn seen(api: &Api, caller: &Caller) -> Result<Vec<Pause>, Problem> {
    let all = api.queue().pauses().await?;
    let own = caller.credential.tenant_id.as_deref();
    let is_seen = |pause: &Pause| match (own, pause.what) {
        (None, _) | (_, What::Queue | What::Kind) => true,
        (Some(own), What::Tenant) => pause.value == own,
        (Some(_), What::Tag) => false,
    };
    Ok(all.into_iter().filter(is_seen).collect())
}

/// A pause as it is answered; only global keys hear who made it.
pub async fn view(api: &Api, caller: &Caller, pause: &Pause) -> Result<Value, Problem> {
    let value = match pause.what {
        What::Tenant => caller.slug_of(api, &pause.value).await?.unwrap_or_else(|| pause.value.clone()),
        _ => pause.value.clone(),
    };
    Ok(json!({
        "id": pause.id,
        "what": pause.what.as_str(),
        "value": value,
        "who": caller.is_global().then_some(&pause.who),
        "why": pause.why,
        "until": shown_if(pause.until),
        "since": shown(pause.created_at),
    }))
}
