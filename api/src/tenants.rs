//! Tenants: made by global keys; a tenant's key sees its own.

use crate::api::Api;
use crate::auth::{Admin, Can, Global, Read};
use crate::body::Input;
use crate::fields::Fields;
use crate::idempotency;
use crate::openapi::Doc;
use crate::page;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::shown;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use clawr_domain::page::Created;
use clawr_domain::refusal::Problem as Refused;
use clawr_domain::tenants::{self, Tenant};
use clawr_engine::db::{Db, Scope};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("tenants", summary);
    vec![
        Route::post(
            "/v1/tenants",
            create,
            doc("Make a tenant; the same again is answered with the first")
                .needs("admin")
                .global()
                .with(&["IdempotencyKey"])
                .takes("NewTenant")
                .gives(201, "Tenant")
                .gives(200, "Tenant")
                .refuses(&[409]),
        ),
        Route::get(
            "/v1/tenants",
            list,
            doc("Tenants, in order of slugs").needs("read").with(&["Limit", "Cursor"]).gives(200, "TenantList"),
        ),
    ]
}

async fn create(
    State(api): State<Api>,
    caller: Can<Global<Admin>>,
    _: NoQuery,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(input.value, "");
    let new = tenants::New {
        slug: fields.needed_text("slug"),
        name: fields.text("name"),
        owner_id: fields.text("owner_id"),
        config: fields.json("config"),
    };
    fields.finish()?;
    let turn = idempotency::turn(&api, &caller, "tenants", &headers, &input.raw).await?;
    let created = tenants::create(api.db(), api.clock(), &caller.actor(), new).await?;
    Ok(turn.mark(answer(created, view)))
}

/// 201 for a new object, 200 for one that was there with the same content.
pub(crate) fn answer<T>(created: Created<T>, view: impl Fn(T) -> Value) -> Response {
    let status = if created.is_new() { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(view(created.into_inner()))).into_response()
}

async fn list(State(api): State<Api>, caller: Can<Read>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    query.finish()?;
    Ok(page::answer(tenants::list(api.db(), caller.scope(), &page).await?, view))
}

fn view(tenant: Tenant) -> Value {
    json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "owner_id": (!tenant.owner_id.is_empty()).then_some(tenant.owner_id),
        "config": tenant.config,
        "created_at": shown(tenant.created_at),
        "updated_at": shown(tenant.updated_at),
    })
}

/// Which slug goes with which id. Neither ever changes, so what was read once is kept.
#[derive(Default)]
pub struct Names {
    known: Mutex<(HashMap<String, String>, HashMap<String, String>)>,
}

const KNOWN_MAX: usize = 10_000;

impl Names {
    /// The id of the tenant with this slug; 404 if there is none.
    pub async fn id_of(&self, db: &Db, slug: &str) -> Result<String, Problem> {
        if let Some(id) = self.lock().1.get(slug) {
            return Ok(id.clone());
        }
        let tenant = tenants::get(db, &Scope::System, slug).await?;
        self.learn(&tenant);
        Ok(tenant.id)
    }

    /// The slug of the tenant with this id, if there is one.
    pub async fn slug_of(&self, db: &Db, id: &str) -> Result<Option<String>, Problem> {
        if let Some(slug) = self.lock().0.get(id) {
            return Ok(Some(slug.clone()));
        }
        match tenants::get_by_id(db, &Scope::System, id).await {
            Ok(tenant) => {
                self.learn(&tenant);
                Ok(Some(tenant.slug))
            }
            Err(Refused::NotFound(_)) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn learn(&self, tenant: &Tenant) {
        let mut known = self.lock();
        if known.0.len() >= KNOWN_MAX {
            *known = Default::default();
        }
        known.0.insert(tenant.id.clone(), tenant.slug.clone());
        known.1.insert(tenant.slug.clone(), tenant.id.clone());
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<String, String>, HashMap<String, String>)> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
