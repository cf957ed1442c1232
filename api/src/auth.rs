//! The one place where a credential becomes a scope. A handler names what it needs in its arguments, so a route cannot
//! forget to ask: `Can<Read>`, `Can<Global<Write>>`. Nothing of a request but its credential decides whose data is seen.

use crate::api::Api;
use crate::limits::{Context, Who};
use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clawr_domain::access::{Credential, Denied, Permission};
use clawr_domain::audit::Actor;
use clawr_domain::tenants::{self, Tenant};
use clawr_engine::db::Scope;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Somebody who was let in, and in which request.
pub struct Caller {
    /// What the key stands for.
    pub credential: Credential,
    /// The request.
    pub context: Arc<Context>,
    scope: Scope,
}

impl Caller {
    /// What may be seen and changed.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// For the audit trail.
    pub fn actor(&self) -> Actor {
        Actor::new(self.credential.key_id.as_str(), self.context.id.as_str())
    }

    /// True for a key that reaches every tenant.
    pub fn is_global(&self) -> bool {
        self.credential.tenant_id.is_none()
    }

    /// The id of the tenant a body means: a tenant's key means its own and may omit it; any other name is not there. A
    /// global key names it or means none.
    pub async fn tenant_id(&self, api: &Api, named: Option<&str>) -> Result<Option<String>, Problem> {
        match (&self.credential.tenant_id, named) {
            (Some(_), Some(other)) if other != self.credential.tenant => Err(Problem::not_found("tenant")),
            (Some(id), _) => Ok(Some(id.clone())),
            (None, Some(slug)) => api.names().id_of(api.db(), slug).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The tenant a body means where the object belongs to one: 422 if a global key names none.
    pub async fn one_tenant(&self, api: &Api, named: Option<&str>) -> Result<Tenant, Problem> {
        let needed = || Problem::invalid_at("tenant_required", "/tenant", "is required with a global key");
        let id = self.tenant_id(api, named).await?.ok_or_else(needed)?;
        Ok(tenants::get_by_id(api.db(), &self.scope, &id).await?)
    }

    /// The slug of a tenant whose object this caller sees; nothing for an object that is nobody's.
    pub async fn slug_of(&self, api: &Api, tenant_id: &str) -> Result<Option<String>, Problem> {
        match &self.credential.tenant_id {
            _ if tenant_id.is_empty() => Ok(None),
            Some(own) if own == tenant_id => Ok(Some(self.credential.tenant.clone())),
            _ => api.names().slug_of(api.db(), tenant_id).await,
        }
    }

    fn require<R: Right>(&self) -> Result<(), Problem> {
        if R::IS_GLOBAL && !self.is_global() {
            return Err(Problem::forbidden("global_key_required", "this route takes only global keys"));
        }
        if !self.credential.scopes.allows(R::PERMISSION) {
            let detail = format!("the credential lacks the scope {}", R::PERMISSION.as_str());
            return Err(Problem::forbidden("missing_scope", detail));
        }
        Ok(())
    }
}

/// What a route asks of a credential.
pub trait Right: Send + Sync + 'static {
    /// The scope.
    const PERMISSION: Permission;
    /// Whether only global keys will do.
    const IS_GLOBAL: bool = false;
}

/// Scope `read`.
pub struct Read;
/// Scope `write`.
pub struct Write;
/// Scope `admin`.
pub struct Admin;
/// A global key with the scope of `R`.
pub struct Global<R>(PhantomData<fn() -> R>);

impl Right for Read {
    const PERMISSION: Permission = Permission::Read;
}
impl Right for Write {
    const PERMISSION: Permission = Permission::Write;
}
impl Right for Admin {
    const PERMISSION: Permission = Permission::Admin;
}
impl<R: Right> Right for Global<R> {
    const PERMISSION: Permission = R::PERMISSION;
    const IS_GLOBAL: bool = true;
}

/// A caller who has the right `R`: as an argument of a handler it is asked before the body is read.
pub struct Can<R> {
    caller: Caller,
    right: PhantomData<fn() -> R>,
}

impl<R> Deref for Can<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<R: Right> FromRequestParts<Api> for Can<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let key = bearer(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let caller = admit(api, parts, &key).await?;
        caller.require::<R>()?;
        Ok(Self { caller, right: PhantomData })
    }
}

/// A person with a browser who may look at everything: the key as a bearer, or as the password the browser asks for.
pub struct Onlooker;

impl FromRequestParts<Api> for Onlooker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let key = bearer(&parts.headers).or_else(|| password(&parts.headers)).ok_or_else(Problem::unauthorized_browser)?;
        let again = |problem: Problem| if problem.code == "unauthorized" { Problem::unauthorized_browser() } else { problem };
        let caller = admit(api, parts, &key).await.map_err(again)?;
        caller.require::<Global<Read>>()?;
        Ok(Onlooker)
    }
}

async fn admit(api: &Api, parts: &Parts, key: &str) -> Result<Caller, Problem> {
    let context = parts.extensions.get::<Arc<Context>>().cloned();
    let context = context.ok_or_else(|| Problem::internal(&"a route stands outside the limits"))?;
    let credential = api.verifier().verify(key).await.map_err(|denied| refused(denied, &context))?;
    let who = Who { id: credential.key_id.clone(), tenant_id: credential.tenant_id.clone().unwrap_or_default() };
    context.who.get_or_init(|| who);
    Ok(Caller { scope: credential.scope(), credential, context })
}

/// The outside hears one word for all of them.
fn refused(denied: Denied, context: &Context) -> Problem {
    match denied {
        Denied::Store(error) => error.into(),
        other => {
            tracing::debug!(request = context.id, "a credential was refused: {other}");
            Problem::unauthorized()
        }
    }
}

/// The credential of the one `Authorization` header; two of them are none.
fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (given, rest) = only.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    authorization(headers, "Bearer").map(str::to_owned)
}

fn password(headers: &HeaderMap) -> Option<String> {
    let bytes = STANDARD.decode(authorization(headers, "Basic")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (header::AUTHORIZATION, v.parse().unwrap())).collect()
    }

    #[test]
    fn one_credential_is_read_from_its_header() {
        assert_eq!(bearer(&given(&["Bearer clawr_live_x"])).as_deref(), Some("clawr_live_x"));
        assert_eq!(bearer(&given(&["bearer  clawr_live_x"])).as_deref(), Some("clawr_live_x"));
        assert_eq!(bearer(&given(&["Bearer a", "Bearer b"])), None);
        assert_eq!(bearer(&given(&["Basic eA=="])), None);
        assert_eq!(password(&given(&["Basic b3BzOmtleTox"])).as_deref(), Some("key:1"));
        assert_eq!(password(&given(&["Basic !"])), None);
    }
}
