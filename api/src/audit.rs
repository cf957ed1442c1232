//! Looking at the audit trail, and proving it.

use crate::api::Api;
use crate::auth::{Caller, Can, Global, Read};
use crate::openapi::Doc;
use crate::page;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use clawr_domain::audit::{self, Entry, Filter};
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("audit", summary);
    vec![
        Route::get(
            "/v1/audit",
            list,
            doc("What was done and refused, newest first")
                .needs("read")
                .with(&["Action", "Object", "Limit", "Cursor"])
                .gives(200, "AuditList"),
        ),
        Route::get("/v1/audit/verify", verify, doc("Recompute every chain").needs("read").global().gives(200, "AuditReport")),
    ]
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    let filter = Filter { action: query.take("action").unwrap_or_default(), object: query.take("object").unwrap_or_default() };
    query.finish()?;
    let listed = audit::list(api.db(), caller.scope(), &filter, &page).await?;
    let mut items = Vec::with_capacity(listed.items.len());
    for entry in &listed.items {
        items.push(view(&api, &caller, entry).await?);
    }
    Ok(page::page_of(items, listed.next.as_deref()))
}

async fn verify(State(api): State<Api>, _: Can<Global<Read>>, _: NoQuery) -> Result<Json<Value>, Problem> {
    let report = audit::verify(api.db(), api.clock().now()).await?;
    Ok(Json(json!({
        "whole": report.is_whole(),
        "streams": report.streams,
        "entries": report.entries,
        "sealed": report.sealed,
        "broken": report.broken,
        "findings": report.findings,
    })))
}

async fn view(api: &Api, caller: &Caller, entry: &Entry) -> Result<Value, Problem> {
    Ok(json!({
        "id": entry.id,
        "actor": entry.user_id,
        "tenant": caller.slug_of(api, &entry.tenant_id).await?,
        "action": entry.action,
        "object": (!entry.object.is_empty()).then_some(&entry.object),
        "metadata": entry.metadata(),
        "created_at": shown(entry.created_at),
    }))
}
