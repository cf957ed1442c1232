//! Tenants: the parties of the ledger. Made once; making the same again is answered with the first.

use crate::audit::{self, Actor, Event, Stamp};
use crate::digest::content;
use crate::page::{Created, Listed, Page};
use crate::refusal::{FieldError, Problem};
use crate::slug;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Row, Scope};
use clawr_engine::ids::new_id;
use clawr_engine::write::{Write, statements};
use serde_json::{Value as Json, json};
use std::time::Duration;

clawr_engine::sql!(INSERT, "sql/tenants_insert.sql");
clawr_engine::sql!(GET, "sql/tenant_get.sql");
clawr_engine::sql!(GET_BY_ID, "sql/tenant_get_by_id.sql");
clawr_engine::sql!(LIST, "sql/tenants_list.sql");

const CONFIG_BYTES_MAX: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// A tenant to be made.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    /// `[a-z0-9-]{1,63}`
    pub slug: String,
    /// For people; the slug if not given.
    pub name: Option<String>,
    /// A user's id.
    pub owner_id: Option<String>,
    /// A JSON object of at most 16 KiB.
    pub config: Option<Json>,
}

/// A tenant as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// `ten_…`
    pub id: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// A user's id; empty if none.
    pub owner_id: String,
    /// A JSON object.
    pub config: Json,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
    /// Of the last change.
    pub updated_at: i64,
    digest: String,
}

impl Tenant {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.text("id")?,
            slug: row.text("slug")?,
            name: row.text("name")?,
            owner_id: row.text("owner_id")?,
            config: serde_json::from_str(&row.text("config")?).unwrap_or_default(),
            created_at: row.int("created_at")?,
            updated_at: row.int("updated_at")?,
            digest: row.text("digest")?,
        })
    }
}

/// Makes a tenant, or answers with the one that has this slug and the same content; other content is a conflict.
pub async fn create(db: &Db, clock: &Clock, actor: &Actor, new: New) -> Result<Created<Tenant>, Problem> {
    let tenant = checked(new, clock)?;
    let row = json!({
        "id": tenant.id, "slug": tenant.slug, "name": tenant.name, "owner_id": tenant.owner_id, "config": tenant.config.to_string(),
        "digest": tenant.digest, "created_at": tenant.created_at,
    });
    let mut writes = vec![Write::new(&INSERT, row)];
    let event = Event { action: "tenant.created", object: &tenant.id, tenant_id: &tenant.id, metadata: json!({"slug": tenant.slug}) };
    writes.extend(audit::entry(actor, &Stamp::new(clock), event));
    match db.commit_until_known(&Scope::System, statements(&writes), PATIENCE).await.0 {
        Ok(_) => Ok(Created::New(tenant)),
        Err(DbError::Unique(name)) if name == "tenants_slug" || name == "tenants_id" => existing(db, tenant).await,
        Err(error) => Err(error.into()),
    }
}

async fn existing(db: &Db, asked: Tenant) -> Result<Created<Tenant>, Problem> {
    let stored = get(db, &Scope::System, &asked.slug).await?;
    if stored.id == asked.id {
        // ours: an earlier try was applied and its reply lost
        Ok(Created::New(stored))
    } else if stored.digest == asked.digest {
        Ok(Created::Existing(stored))
    } else {
        Err(Problem::Conflict { reason: "tenant_differs", detail: format!("tenant {} exists with other content", asked.slug) })
    }
}

/// The tenant with a slug, if it is visible to `scope`.
pub async fn get(db: &Db, scope: &Scope, slug: &str) -> Result<Tenant, Problem> {
    one(db.query(scope, GET.with([scope.param(), slug.into()])).await?.first())
}

/// The tenant with an id, if it is visible to `scope`.
pub async fn get_by_id(db: &Db, scope: &Scope, id: &str) -> Result<Tenant, Problem> {
    one(db.query(scope, GET_BY_ID.with([scope.param(), id.into()])).await?.first())
}

fn one(row: Option<&Row>) -> Result<Tenant, Problem> {
    Ok(Tenant::from_row(row.ok_or(Problem::NotFound("tenant"))?)?)
}

/// One page, in order of slugs.
pub async fn list(db: &Db, scope: &Scope, page: &Page) -> Result<Listed<Tenant>, Problem> {
    let rows = db.query(scope, LIST.with([scope.param(), page.after(), page.fetch()])).await?;
    page.listed(rows, Tenant::from_row, |t| t.slug.clone())
}

fn checked(new: New, clock: &Clock) -> Result<Tenant, Problem> {
    let mut errors = Vec::new();
    slug::check(&new.slug, "/slug", &mut errors);
    let name = new.name.unwrap_or_else(|| new.slug.clone());
    slug::check_text(&name, 200, "/name", &mut errors);
    let owner_id = new.owner_id.unwrap_or_default();
    slug::check_text(&owner_id, 128, "/owner_id", &mut errors);
    let config = new.config.unwrap_or_else(|| json!({}));
    check_config(&config, &mut errors);
    Problem::unless_empty("invalid_tenant", errors)?;
    let digest = content(&json!([new.slug, name, owner_id, config]));
    let now = clock.now();
    Ok(Tenant { id: new_id("ten", clock), slug: new.slug, name, owner_id, config, created_at: now, updated_at: now, digest })
}

fn check_config(config: &Json, errors: &mut Vec<FieldError>) {
    let text = config.to_string();
    if !config.is_object() {
        errors.push(FieldError::new("/config", "must be an object"));
    } else if text.len() > CONFIG_BYTES_MAX {
        errors.push(FieldError::new("/config", "must be at most 16 KiB"));
    } else if text.contains("\\u0000") {
        errors.push(FieldError::new("/config", "must not contain NUL"));
    }
}
