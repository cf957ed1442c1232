//! Queues that tenants share, as operators say it: who is started how often against the others.

use crate::api::Api;
use crate::auth::{Admin, Caller, Can, Global, Read};
use crate::body::Input;
use crate::fields::Fields;
use crate::openapi::Doc;
use crate::path::Id;
use crate::pauses::{is_queue, why};
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clawr_domain::audit::{Event, Stamp, record};
use clawr_engine::shares::{Share, WEIGHT_MAX};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most tenants with a weight of their own in one queue.
const WEIGHTS_MAX: usize = 1_000;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let admin = |summary| Doc::new("queues", summary).needs("admin").global();
    vec![
        Route::put(
            "/v1/queues/{name}/shares",
            share,
            admin("Let tenants share a queue by weight").takes("NewShare").gives(200, "Share").refuses(&[404]),
        ),
        Route::delete("/v1/queues/{name}/shares", unshare, admin("Claim from a queue in order of rank again").gives(204, "")),
        Route::get(
            "/v1/shares",
            list,
            Doc::new("queues", "Queues that tenants share; a tenant sees its own weight only").needs("read").gives(200, "ShareList"),
        ),
    ]
}

async fn share(State(api): State<Api>, caller: Can<Global<Admin>>, Id(name): Id, _: NoQuery, input: Input) -> Result<Json<Value>, Problem> {
    let mut fields = Fields::of(input.value, "");
    let weights = weights(&mut fields);
    let why = why(&mut fields);
    fields.finish()?;
    if !is_queue(&name) {
        return Err(Problem::not_found("queue"));
    }
    let mut of_tenants = BTreeMap::new();
    for (slug, weight) in weights {
        of_tenants.insert(api.names().id_of(api.db(), &slug).await?, weight);
    }
    let share = Share { weights: of_tenants, who: caller.credential.key_id.clone(), why, created_at: api.clock().now() };
    api.queue().share(&name, &share).await?;
    let made = view(&api, &caller, &name, &share).await?;
    note(&api, &caller, "share.made", &name, json!({"weights": made["weights"], "why": share.why})).await?;
    Ok(Json(made))
}

/// Tenant's slug → weight.
fn weights(fields: &mut Fields) -> Vec<(String, i64)> {
    let Some(given) = fields.json("weights") else { return Vec::new() };
    let Value::Object(given) = given else {
        fields.wrong("weights", "must be an object of tenants and their weights");
        return Vec::new();
    };
    if given.len() > WEIGHTS_MAX {
        fields.wrong("weights", "may name at most 1000 tenants");
    }
    let mut weights = Vec::new();
    for (slug, weight) in given {
        match weight.as_i64().filter(|weight| (1..=WEIGHT_MAX).contains(weight)) {
            Some(weight) => weights.push((slug, weight)),
            None => fields.wrong_in("weights", &slug, "must be an integer from 1 to 1000"),
        }
    }
    weights
}

async fn unshare(State(api): State<Api>, caller: Can<Global<Admin>>, Id(name): Id, _: NoQuery) -> Result<StatusCode, Problem> {
    if !api.queue().unshare(&name).await? {
        return Err(Problem::not_found("shared queue"));
    }
    note(&api, &caller, "share.ended", &name, json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn note(api: &Api, caller: &Caller, action: &'static str, queue: &str, metadata: Value) -> Result<(), Problem> {
    let event = Event { action, object: queue, tenant_id: "", metadata };
    Ok(record(api.db(), &caller.actor(), &Stamp::new(api.clock()), event).await?)
}

async fn list(State(api): State<Api>, caller: Can<Read>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for (queue, share) in api.queue().shares().await? {
        items.push(view(&api, &caller, &queue, &share).await?);
    }
    Ok(Json(json!({"items": items, "next": null})))
}

/// A share as it is answered: global keys hear who made it and every weight, others their own.
async fn view(api: &Api, caller: &Caller, queue: &str, share: &Share) -> Result<Value, Problem> {
    let own = caller.credential.tenant_id.as_deref();
    let mut weights = Map::new();
    for (tenant, weight) in share.weights.iter().filter(|(tenant, _)| own.is_none_or(|own| own == tenant.as_str())) {
        let slug = caller.slug_of(api, tenant).await?.unwrap_or_else(|| tenant.clone());
        weights.insert(slug, (*weight).into());
    }
    Ok(json!({
        "queue": queue,
        "weights": weights,
        "who": caller.is_global().then_some(&share.who),
        "why": share.why,
        "since": shown(share.created_at),
    }))
}
