//! The APIs that tenants sell. Made once per tenant and slug; making the same again is answered with the first.

use crate::audit::{self, Actor, Event, Stamp};
use crate::digest::content;
use crate::money::Micros;
use crate::page::{Created, Listed, Page};
use crate::refusal::{FieldError, Problem};
use crate::settlement::store::micros;
use crate::slug;
use crate::tenants::Tenant;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Row, Scope};
use clawr_engine::ids::new_id;
use clawr_engine::write::{Write, statements};
use serde_json::json;
use std::time::Duration;

clawr_engine::sql!(INSERT, "sql/apis_insert.sql");
clawr_engine::sql!(GET, "sql/api_get.sql");
clawr_engine::sql!(LIST, "sql/apis_list.sql");

const PATIENCE: Duration = Duration::from_secs(10);
/// What can be sold.
pub const RESOURCE_TYPES: [&str; 3] = ["function", "dataset", "proxy"];

/// An API to be made; whose it is comes from the credential or the route.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// `[a-z0-9-]{1,63}`
    pub slug: String,
    /// One of [`RESOURCE_TYPES`].
    pub resource_type: String,
    /// Price of a call, as text.
    pub price_micros: String,
    /// Calls per UTC day; none = no quota.
    pub quota: Option<i64>,
}

/// An API as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// `api_…`
    pub id: String,
    /// Whose.
    pub tenant_id: String,
    /// The slug of that tenant.
    pub tenant: String,
    /// Its name in addresses.
    pub slug: String,
    /// `function`, `dataset` or `proxy`.
    pub resource_type: String,
    /// Price of a call.
    pub price: Micros,
    /// Calls per UTC day; none = no quota.
    pub quota: Option<i64>,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
    /// Of the last change.
    pub updated_at: i64,
    digest: String,
}

impl Api {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.text("id")?,
            tenant_id: row.text("tenant_id")?,
            tenant: row.text("tenant")?,
            slug: row.text("slug")?,
            resource_type: row.text("resource_type")?,
            price: micros(row, "price_micros")?,
            quota: Some(row.int("quota")?).filter(|q| *q > 0),
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
            digest: row.text("digest")?,
        })
    }
}

/// Makes an API of `tenant`, or answers with the one that has this slug and the same content; other content is a conflict.
pub async fn create(db: &Db, clock: &Clock, scope: &Scope, actor: &Actor, tenant: &Tenant, new: New) -> Result<Created<Api>, Problem> {
    let api = checked(new, tenant, clock)?;
    let row = json!({
        "id": api.id, "tenant_id": api.tenant_id, "slug": api.slug, "resource_type": api.resource_type, "price_micros": api.price.get(),
        "quota": api.quota.unwrap_or(0), "digest": api.digest, "created_at": api.created_at,
    });
    let mut writes = vec![Write::new(&INSERT, row)];
    let metadata = json!({"slug": api.slug, "resource_type": api.resource_type, "price_micros": api.price});
    let event = Event { action: "api.created", object: &api.id, tenant_id: &api.tenant_id, metadata };
    writes.extend(audit::entry(actor, &Stamp::new(clock), event));
    match db.commit_until_known(scope, statements(&writes), PATIENCE).await.0 {
        Ok(_) => Ok(Created::New(api)),
        Err(DbError::Unique(name)) if name == "apis_tenant_id_slug" || name == "apis_id" => existing(db, scope, api).await,
        Err(error) => Err(error.into()),
    }
}

async fn existing(db: &Db, scope: &Scope, asked: Api) -> Result<Created<Api>, Problem> {
    let stored = get(db, scope, &asked.tenant, &asked.slug).await?;
    if stored.id == asked.id {
        // ours: an earlier try was applied and its reply lost
        Ok(Created::New(stored))
    } else if stored.digest == asked.digest {
        Ok(Created::Existing(stored))
    } else {
        let detail = format!("API {}/{} exists with other content", asked.tenant, asked.slug);
        Err(Problem::Conflict { reason: "api_differs", detail })
    }
}

/// The API with these slugs, if it is visible to `scope`.
pub async fn get(db: &Db, scope: &Scope, tenant: &str, slug: &str) -> Result<Api, Problem> {
    let rows = db.query(scope, GET.with([scope.param(), tenant.into(), slug.into()])).await?;
    Ok(Api::from_row(rows.first().ok_or(Problem::NotFound("API"))?)?)
}

/// One page, in order of ids.
pub async fn list(db: &Db, scope: &Scope, page: &Page) -> Result<Listed<Api>, Problem> {
    let rows = db.query(scope, LIST.with([scope.param(), page.after(), page.fetch()])).await?;
    page.listed(rows, Api::from_row, |a| a.id.clone())
}

fn checked(new: New, tenant: &Tenant, clock: &Clock) -> Result<Api, Problem> {
    let mut errors = Vec::new();
    slug::check(&new.slug, "/slug", &mut errors);
    if !RESOURCE_TYPES.contains(&new.resource_type.as_str()) {
        errors.push(FieldError::new("/resource_type", format!("must be one of {}", RESOURCE_TYPES.join(", "))));
    }
    let price = Micros::parse(&new.price_micros).unwrap_or_else(|wrong| {
        errors.push(FieldError::new("/price_micros", wrong.to_string()));
        Micros::ZERO
    });
    if new.quota.is_some_and(|q| !(1..=Micros::MAX.get()).contains(&q)) {
        errors.push(FieldError::new("/quota", "must be a positive number of calls per day"));
    }
    Problem::unless_empty("invalid_api", errors)?;
    let digest = content(&json!([new.slug, new.resource_type, price, new.quota]));
    let now = clock.now();
    Ok(Api {
        id: new_id("api", clock),
        tenant_id: tenant.id.clone(),
        tenant: tenant.slug.clone(),
        slug: new.slug,
        resource_type: new.resource_type,
        price,
        quota: new.quota,
        created_at: now,
        updated_at: now,
        digest,
    })
}
