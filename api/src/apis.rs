//! The APIs that tenants sell.

use crate::api::Api;
use crate::auth::{Can, Read, Write};
use crate::body::Input;
use crate::fields::Fields;
use crate::idempotency;
use crate::openapi::Doc;
use crate::page;
use crate::path::Pair;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::tenants::answer;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use clawr_domain::apis::{self, Api as Sold};
use clawr_engine::db::Scope;
use serde_json::{Value, json};

const QUOTA_MAX: i64 = 9_000_000_000_000_000;

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("apis", summary);
    vec![
        Route::post(
            "/v1/apis",
            create,
            doc("Make an API; the same again is answered with the first")
                .needs("write")
                .with(&["IdempotencyKey"])
                .takes("NewApi")
                .gives(201, "Api")
                .gives(200, "Api")
                .refuses(&[404, 409]),
        ),
        Route::get(
            "/v1/apis",
            list,
            doc("APIs, in order of ids").needs("read").with(&["Tenant", "Limit", "Cursor"]).gives(200, "ApiList").refuses(&[404]),
        ),
        Route::get("/v1/apis/{tenant}/{slug}", one, doc("One API").needs("read").gives(200, "Api")),
    ]
}

async fn create(State(api): State<Api>, caller: Can<Write>, _: NoQuery, headers: HeaderMap, input: Input) -> Result<Response, Problem> {
    let mut fields = Fields::of(input.value, "");
    let tenant = fields.text_of("tenant", 63);
    let new = apis::New {
        slug: fields.needed_text("slug"),
        resource_type: fields.needed_text("resource_type"),
        price_micros: fields.needed_text("price_micros"),
        quota: fields.int("quota", 1..=QUOTA_MAX),
    };
    fields.finish()?;
    let tenant = caller.one_tenant(&api, tenant.as_deref()).await?;
    let turn = idempotency::turn(&api, &caller, "apis", &headers, &input.raw).await?;
    let created = apis::create(api.db(), api.clock(), caller.scope(), &caller.actor(), &tenant, new).await?;
    Ok(turn.mark(answer(created, view)))
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    let tenant = query.take("tenant").filter(|t| !t.is_empty());
    query.finish()?;
    let scope = caller.tenant_id(&api, tenant.as_deref()).await?.map_or(Scope::System, Scope::Tenant);
    Ok(page::answer(apis::list(api.db(), &scope, &page).await?, view))
}

async fn one(State(api): State<Api>, caller: Can<Read>, Pair(tenant, slug): Pair, _: NoQuery) -> Result<Json<Value>, Problem> {
    Ok(Json(view(apis::get(api.db(), caller.scope(), &tenant, &slug).await?)))
}

fn view(sold: Sold) -> Value {
    json!({
        "id": sold.id,
        "tenant": sold.tenant,
        "slug": sold.slug,
        "resource_type": sold.resource_type,
        "price_micros": sold.price,
        "quota": sold.quota,
        "created_at": shown(sold.created_at),
        "updated_at": shown(sold.updated_at),
    })
}
