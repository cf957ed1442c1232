//! Limits of jobs as operators make and end them: how many run at once, how many start in a time.

use crate::api::Api;
use crate::auth::{Admin, Caller, Can, Global, Read};
use crate::body::Input;
use crate::fields::Fields;
use crate::openapi::Doc;
use crate::path::Id;
use crate::pauses::{is_queue, why_and_until};
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::{self, shown, shown_if};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clawr_domain::audit::{Event, Stamp, record};
use clawr_engine::limits::{CAP_MAX, EVERY_MAX_US, Limit, Measure, NewLimit, Per, What};
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let admin = |summary| Doc::new("queues", summary).needs("admin").global();
    vec![
        Route::put("/v1/queues/{name}", limit_queue, admin("Limit what runs or starts of a queue").takes("QueueLimit").gives(200, "Limit")),
        Route::get(
            "/v1/limits",
            list,
            Doc::new("queues", "Limits in force, as far as they touch the caller").needs("read").gives(200, "LimitList"),
        ),
        Route::post(
            "/v1/limits",
            limit,
            admin("Limit what runs or starts of all, a queue, a kind or a tenant").takes("NewLimit").gives(200, "Limit").refuses(&[404]),
        ),
        Route::delete("/v1/limits/{id}", end, admin("End a limit").gives(204, "")),
    ]
}

async fn limit_queue(
    State(api): State<Api>,
    caller: Can<Global<Admin>>,
    Id(name): Id,
    _: NoQuery,
    input: Input,
) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let new = read(&mut fields, What::Queue, name, &api, &caller);
    fields.finish()?;
    if !is_queue(&new.value) {
        return Err(Problem::not_found("queue"));
    }
    put(&api, &caller, new).await
}

async fn limit(State(api): State<Api>, caller: Can<Global<Admin>>, _: NoQuery, input: Input) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let word = fields.needed_text("what");
    let what = What::parse(&word);
    if what.is_none() && !word.is_empty() {
        fields.wrong("what", "must be all, queue, kind or tenant");
    }
    let value = if what == Some(What::All) { fields.text("value").unwrap_or_default() } else { fields.needed_text("value") };
    match what {
        Some(What::All) if !value.is_empty() => fields.wrong("value", "is for a queue, a kind or a tenant"),
        Some(What::Queue) if !value.is_empty() && !is_queue(&value) => fields.wrong("value", "must be 1 to 64 of a-z, 0-9, _ and -"),
        Some(What::Kind) if !value.is_empty() && api.registry().get(&value).is_none() => fields.wrong("value", "is not a kind"),
        _ => {}
    }
    let mut new = read(&mut fields, what.unwrap_or(What::All), value, &api, &caller);
    fields.finish()?;
    if new.what == What::Tenant {
        new.value = api.names().id_of(api.db(), &new.value).await?;
    }
    put(&api, &caller, new).await
}

/// What both ways to make a limit say: `concurrency`, or `rate` and perhaps `burst`, or `window`; `per_tenant` or `per_key`, `why`,
/// `until`.
fn read(fields: &mut Fields, what: What, value: String, api: &Api, caller: &Caller) -> NewLimit {
    let (measure, cap, every_us) = most(fields);
    let per = per(fields);
    if per == Per::Key && what == What::Kind && api.registry().get(&value).is_some_and(|entry| !entry.has_limit_key()) {
        fields.wrong("per_key", "is for kinds whose args hold a key, and this one's do not");
    }
    let (why, until) = why_and_until(fields, api.clock().now());
    NewLimit { what, value, per, measure, cap, every_us, who: caller.credential.key_id.clone(), why, until }
}

/// What is counted, how much of it is allowed, and microseconds.
fn most(fields: &mut Fields) -> (Measure, i64, i64) {
    let concurrency = fields.int("concurrency", 1..=CAP_MAX);
    let (rate, window) = (fields.text("rate"), fields.text("window"));
    let burst = fields.int("burst", 1..=CAP_MAX);
    let given = [concurrency.is_some(), rate.is_some(), window.is_some()].into_iter().filter(|is_given| *is_given).count();
    match given {
        0 => fields.missing("concurrency"),
        1 => {}
        _ if window.is_some() => fields.wrong("window", "and another limit are two limits"),
        _ => fields.wrong("rate", "and concurrency are two limits"),
    }
    if burst.is_some() && rate.is_none() {
        fields.wrong("burst", "is of rates only");
    }
    if let Some(rate) = rate {
        let Some((units, every_us)) = rate_of(&rate) else {
            fields.wrong("rate", "must be starts per time, like 100/1m, at least one a day and at most one a microsecond");
            return (Measure::Rate, 1, 1);
        };
        return (Measure::Rate, burst.unwrap_or(units), every_us);
    }
    if let Some(window) = window {
        let Some((units, length)) = window_of(&window) else {
            fields.wrong("window", "must be starts in a time, like 100/1m, a day at most");
            return (Measure::Window, 1, 1);
        };
        return (Measure::Window, units, length);
    }
    (Measure::Running, concurrency.unwrap_or(1), 0)
}

fn per(fields: &mut Fields) -> Per {
    match (fields.flag("per_tenant").unwrap_or(false), fields.flag("per_key").unwrap_or(false)) {
        (true, true) => {
            fields.wrong("per_key", "and per_tenant are two limits");
            Per::All
        }
        (true, false) => Per::Tenant,
        (false, true) => Per::Key,
        (false, false) => Per::All,
    }
}

/// `100/1m` as units and microseconds per unit.
fn rate_of(text: &str) -> Option<(i64, i64)> {
    let (units, span) = units_in(text)?;
    let every_us = span / units;
    (1..=EVERY_MAX_US).contains(&every_us).then_some((units, every_us))
}

/// `100/1m` as units and microseconds.
fn window_of(text: &str) -> Option<(i64, i64)> {
    units_in(text).filter(|(_, length)| (1..=EVERY_MAX_US).contains(length))
}

fn units_in(text: &str) -> Option<(i64, i64)> {
    let (units, span) = text.split_once('/')?;
    let units = units.parse::<i64>().ok().filter(|n| (1..=CAP_MAX).contains(n))?;
    Some((units, times::span(span)?))
}

async fn put(api: &Api, caller: &Caller, new: NewLimit) -> Result<Json<Value>, Problem> {
    let made = api.queue().limit(new).await?;
    note(api, caller, "limit.made", &made).await?;
    Ok(Json(view(api, caller, &made).await?))
}

async fn end(State(api): State<Api>, caller: Can<Global<Admin>>, Id(id): Id, _: NoQuery) -> Result<StatusCode, Problem> {
    let ended = api.queue().unlimit(&id).await?.ok_or_else(|| Problem::not_found("limit"))?;
    note(&api, &caller, "limit.ended", &ended).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn note(api: &Api, caller: &Caller, action: &'static str, limit: &Limit) -> Result<(), Problem> {
    let metadata = json!({
        "what": limit.what.as_str(),
        "value": limit.value,
        "per_tenant": limit.per == Per::Tenant,
        "per_key": limit.per == Per::Key,
        "measure": limit.measure.as_str(),
        "cap": limit.cap,
        "every_us": limit.every_us,
        "then_cap": limit.then_cap,
        "why": limit.why,
        "until": shown_if(limit.until),
        "who": limit.who,
    });
    let tenant_id = if limit.what == What::Tenant { limit.value.as_str() } else { "" };
    let event = Event { action, object: &limit.id, tenant_id, metadata };
    Ok(record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?)
}

/// A tenant hears of limits of all, queues, kinds and itself.
async fn list(State(api): State<Api>, caller: Can<Read>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let own = caller.credential.tenant_id.as_deref();
    let mut items = Vec::new();
    for limit in api.queue().limits().await? {
        if limit.what != What::Tenant || own.is_none_or(|own| own == limit.value) {
            items.push(view(&api, &caller, &limit).await?);
        }
    }
    Ok(Json(json!({"items": items, "next": null})))
}

/// A limit as it is answered; only global keys hear who made it.
async fn view(api: &Api, caller: &Caller, limit: &Limit) -> Result<Value, Problem> {
    let value = match limit.what {
        What::All => None,
        What::Tenant => Some(caller.slug_of(api, &limit.value).await?.unwrap_or_else(|| limit.value.clone())),
        What::Queue | What::Kind => Some(limit.value.clone()),
    };
    let of = |measure| limit.measure == measure;
    Ok(json!({
        "id": limit.id,
        "what": limit.what.as_str(),
        "value": value,
        "per_tenant": limit.per == Per::Tenant,
        "per_key": limit.per == Per::Key,
        "concurrency": of(Measure::Running).then_some(limit.cap),
        "burst": of(Measure::Rate).then_some(limit.cap),
        "every_us": of(Measure::Rate).then_some(limit.every_us),
        "window": of(Measure::Window).then_some(limit.cap),
        "window_us": of(Measure::Window).then_some(limit.every_us),
        "who": caller.is_global().then_some(&limit.who),
        "why": limit.why,
        "until": shown_if(limit.until),
        "then": (limit.then_cap > 0).then_some(limit.then_cap),
        "since": shown(limit.created_at),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_starts_per_time() {
        assert_eq!(rate_of("100/1m"), Some((100, 600_000)));
        assert_eq!(rate_of("1/1d"), Some((1, EVERY_MAX_US)));
        for text in ["", "100", "0/1m", "-1/1m", "/1m", "1/2d", "1/", "1000000/500ms", "2000000/1d", "1/0s"] {
            assert_eq!(rate_of(text), None, "{text}");
        }
        assert_eq!((window_of("100/1m"), window_of("1/2d"), window_of("0/1m")), (Some((100, 60_000_000)), None, None));
    }
}
