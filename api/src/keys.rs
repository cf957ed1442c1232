//! API keys: issued, listed, rotated, ended. A secret is in one answer and never in a second.

use crate::api::Api;
use crate::auth::{Admin, Caller, Can};
use crate::body::{Input, MaybeInput};
use crate::fields::Fields;
use crate::idempotency::{self, Turn};
use crate::openapi::Doc;
use crate::page;
use crate::path::Id;
use crate::problem::Problem;
use crate::query::{NoQuery, Query};
use crate::routes::Route;
use crate::times::{shown, shown_if};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use clawr_domain::access::Scopes;
use clawr_domain::access::keys::{self, Issued, Issuer, Key, NewKey};
use clawr_domain::audit::Actor;
use serde_json::{Value, json};

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    let doc = |summary| Doc::new("keys", summary).needs("admin");
    vec![
        Route::post(
            "/v1/keys",
            create,
            doc("Issue a key; its secrets are shown this once")
                .with(&["IdempotencyKey"])
                .takes("NewKey")
                .gives(201, "IssuedKey")
                .gives(200, "IssuedKey")
                .refuses(&[404, 409]),
        ),
        Route::get("/v1/keys", list, doc("Keys, newest first").with(&["Limit", "Cursor"]).gives(200, "KeyList")),
        Route::post(
            "/v1/keys/{id}/rotate",
            rotate,
            doc("Issue a successor; the old key ends after the overlap")
                .with(&["IdempotencyKey"])
                .may_take("Rotation")
                .gives(201, "IssuedKey")
                .gives(200, "IssuedKey")
                .refuses(&[409]),
        ),
        Route::delete("/v1/keys/{id}", revoke, doc("End a key, everywhere within 5 s").gives(204, "")),
    ]
}

/// What the domain needs to know of whoever issues.
macro_rules! issuer {
    ($api:ident, $caller:ident, $actor:ident) => {
        Issuer { db: $api.db(), clock: $api.clock(), pepper: $api.pepper(), scope: $caller.scope(), actor: &$actor }
    };
}

async fn create(State(api): State<Api>, caller: Can<Admin>, _: NoQuery, headers: HeaderMap, input: Input) -> Result<Response, Problem> {
    let (new, tenant) = asked(input.value)?;
    let tenant_id = caller.tenant_id(&api, tenant.as_deref()).await?.unwrap_or_default();
    let turn = idempotency::turn(&api, &caller, "keys", &headers, &input.raw).await?;
    if let Some(id) = turn.object() {
        return again(&api, &caller, &turn, id).await;
    }
    let actor = caller.actor();
    let issued = issuer!(api, caller, actor).create(NewKey { tenant_id, ..new }).await?;
    turn.note(&api, &issued.key.id).await;
    Ok((StatusCode::CREATED, Json(secret_view(&api, &caller, &issued).await?)).into_response())
}

/// The key of a request that came before, without its secrets.
async fn again(api: &Api, caller: &Caller, turn: &Turn, id: &str) -> Result<Response, Problem> {
    let key = keys::get(api.db(), caller.scope(), id).await?;
    Ok(turn.mark(Json(view(&key, key.tenant.clone(), None)).into_response()))
}

fn asked(value: Value) -> Result<(NewKey, Option<String>), Problem> {
    let mut fields = Fields::of(value, "");
    let words = fields.texts("scopes", 8);
    if words.is_none() {
        fields.missing("scopes");
    }
    let tenant = fields.text_of("tenant", 63);
    let new = NewKey {
        user_id: fields.text_of("user_id", 128).unwrap_or_default(),
        require_signature: fields.flag("require_signature").unwrap_or(false),
        signing_secret: fields.flag("signing_secret").unwrap_or(false),
        expires_at: fields.time("expires_at"),
        ..NewKey::default()
    };
    fields.finish()?;
    let scopes = Scopes::parse(words.unwrap_or_default().iter().map(String::as_str))?;
    Ok((NewKey { scopes, ..new }, tenant))
}

async fn list(State(api): State<Api>, caller: Can<Admin>, mut query: Query) -> Result<Json<Value>, Problem> {
    let page = page::Wanted::page(&mut query)?;
    query.finish()?;
    let listed = keys::list(api.db(), caller.scope(), &page).await?;
    let full = |key: Key| {
        let mut body = view(&key, key.tenant.clone(), None);
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| name != "secret" && name != "signing_secret");
        }
        body
    };
    Ok(page::answer(listed, full))
}

async fn rotate(
    State(api): State<Api>,
    caller: Can<Admin>,
    Id(id): Id,
    _: NoQuery,
    headers: HeaderMap,
    MaybeInput(input): MaybeInput,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(input.unwrap_or_else(|| json!({})), "");
    let overlap = fields.int("overlap_hours", 0..=168);
    fields.finish()?;
    let same = overlap.map(|hours| hours.to_string()).unwrap_or_default();
    let turn = idempotency::turn(&api, &caller, &format!("keys/{id}/rotate"), &headers, same.as_bytes()).await?;
    if let Some(id) = turn.object() {
        return again(&api, &caller, &turn, id).await;
    }
    let actor = caller.actor();
    let issued = issuer!(api, caller, actor).rotate(&id, overlap).await?;
    turn.note(&api, &issued.key.id).await;
    Ok((StatusCode::CREATED, Json(secret_view(&api, &caller, &issued).await?)).into_response())
}

async fn revoke(State(api): State<Api>, caller: Can<Admin>, Id(id): Id, _: NoQuery) -> Result<StatusCode, Problem> {
    let actor: Actor = caller.actor();
    issuer!(api, caller, actor).revoke(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn secret_view(api: &Api, caller: &Caller, issued: &Issued) -> Result<Value, Problem> {
    let tenant = caller.slug_of(api, &issued.key.tenant_id).await?.unwrap_or_default();
    Ok(view(&issued.key, tenant, Some(issued)))
}

/// How a key is shown; its secrets only to whoever has just been issued it.
fn view(key: &Key, tenant: String, issued: Option<&Issued>) -> Value {
    json!({
        "id": key.id,
        "secret": issued.map(|i| &i.secret),
        "signing_secret": issued.and_then(|i| i.signing_secret.as_ref()),
        "kid": key.kid,
        "last4": key.last4,
        "scopes": key.scopes,
        "tenant": (!tenant.is_empty()).then_some(tenant),
        "user_id": (!key.user_id.is_empty()).then_some(&key.user_id),
        "require_signature": key.require_signature,
        "created_by": (!key.created_by.is_empty()).then_some(&key.created_by),
        "replaces": (!key.replaces.is_empty()).then_some(&key.replaces),
        "created_at": shown(key.created_at),
        "expires_at": shown_if(key.expires_at),
        "last_used_at": shown_if(key.last_used_at),
        "revoked_at": shown_if(key.revoked_at),
    })
}
