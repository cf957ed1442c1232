//! Slugs of a report as ids, remembered for a few seconds: a dispatcher reports the same few APIs over and over.
//!
//! Only what exists is remembered, so a tenant made a moment ago is found at once.

use clawr_engine::db::{Db, DbError, Scope};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

clawr_engine::sql!(FIND, "../sql/catalog_find.sql");

const TTL: Duration = Duration::from_secs(5);
const ENTRIES_MAX: usize = 10_000;
const SLUG_MAX: usize = 63;

/// What the slugs of a report name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Api { tenant_id: String, api_id: String },
    NoTenant,
    NoApi,
}

#[derive(Default)]
pub(super) struct Catalog {
    known: Mutex<HashMap<(String, String), (Found, Instant)>>,
}

impl Catalog {
    pub async fn find(&self, db: &Db, tenant: &str, api: &str) -> Result<Found, DbError> {
        if tenant.len() > SLUG_MAX || tenant.contains('\0') {
            return Ok(Found::NoTenant);
        }
        let key = (tenant.to_owned(), api.to_owned());
        if let Some(found) = self.remembered(&key) {
            return Ok(found);
        }
        let found = look(db, tenant, api).await?;
        if matches!(found, Found::Api { .. }) {
            self.remember(key, found.clone());
        }
        Ok(found)
    }

    fn remembered(&self, key: &(String, String)) -> Option<Found> {
        let known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.get(key).filter(|(_, at)| at.elapsed() < TTL).map(|(found, _)| found.clone())
    }

    fn remember(&self, key: (String, String), found: Found) {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if known.len() >= ENTRIES_MAX {
            known.clear();
        }
        known.insert(key, (found, Instant::now()));
    }
}

async fn look(db: &Db, tenant: &str, api: &str) -> Result<Found, DbError> {
    let scope = Scope::System;
    let rows = db.query(&scope, FIND.with([scope.param(), tenant.into(), api.into()])).await?;
    let Some(row) = rows.first() else { return Ok(Found::NoTenant) };
    let (tenant_id, api_id) = (row.text("tenant_id")?, row.text("api_id")?);
    Ok(if api_id.is_empty() { Found::NoApi } else { Found::Api { tenant_id, api_id } })
}
