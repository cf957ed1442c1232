//! Reading accounts and entries.

use crate::money::Micros;
use crate::page::{Listed, Page};
use crate::refusal::Problem;
use crate::settlement::store::micros;
use clawr_engine::db::{Db, DbError, Row, Scope};
use clawr_engine::write::json as text;
use serde_json::json;

clawr_engine::sql!(ACCOUNTS, "../sql/accounts_list.sql");
clawr_engine::sql!(ENTRIES, "../sql/entries_list.sql");
clawr_engine::sql!(LEGS, "../sql/legs_list.sql");

/// One account with the sums of all it was posted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// `unconfirmed:<tenant id>`, `tenant:<tenant id>:pending`, …
    pub id: String,
    /// Whose.
    pub tenant_id: String,
    /// The slug of that tenant.
    pub tenant: String,
    /// `debit` or `credit`: the side its balance stands on.
    pub normal: String,
    /// Everything debited.
    pub debits_micros: Micros,
    /// Everything credited.
    pub credits_micros: Micros,
    /// What stands on the normal side.
    pub balance_micros: Micros,
    /// Changes with every posting.
    pub rev: i64,
}

impl Account {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (debits, credits) = (micros(row, "debits")?, micros(row, "credits")?);
        let normal = row.text("normal")?;
        let balance = if normal == "debit" { debits.checked_sub(credits) } else { credits.checked_sub(debits) };
        Ok(Self {
            id: row.text("id")?,
            tenant_id: row.text("tenant_id")?,
            tenant: row.text("tenant")?,
            balance_micros: balance.ok_or_else(|| DbError::Bug("an account stands on the wrong side".into()))?,
            debits_micros: debits,
            credits_micros: credits,
            normal,
            rev: row.int("rev")?,
        })
    }
}

/// One immutable entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// `ent_…`
    pub id: String,
    /// The natural key no two entries share.
    pub key: String,
    /// Whose.
    pub tenant_id: String,
    /// The slug of that tenant.
    pub tenant: String,
    /// `settlement`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// How much.
    pub amount_micros: Micros,
    /// JSON text.
    pub metadata: String,
    /// Microseconds since 1970 UTC.
    pub created_at: i64,
    /// What it moves.
    pub legs: Vec<Leg>,
}

/// From one account to another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Leg {
    /// The debited account.
    pub debit: String,
    /// The credited account.
    pub credit: String,
    /// How much.
    pub amount_micros: Micros,
}

impl Entry {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.text("id")?,
            key: row.text("key")?,
            tenant_id: row.text("tenant_id")?,
            tenant: row.text("tenant")?,
            kind: row.text("type")?,
            amount_micros: micros(row, "amount_micros")?,
            metadata: row.text("metadata")?,
            created_at: row.int("created_at")?,
            legs: Vec::new(),
        })
    }
}

/// One page of accounts, in order of ids.
pub async fn accounts(db: &Db, scope: &Scope, page: &Page) -> Result<Listed<Account>, Problem> {
    let rows = db.query(scope, ACCOUNTS.with([scope.param(), page.after(), page.fetch()])).await?;
    page.listed(rows, Account::from_row, |a| a.id.clone())
}

/// One page of entries with their legs, newest first.
pub async fn entries(db: &Db, scope: &Scope, page: &Page) -> Result<Listed<Entry>, Problem> {
    let rows = db.query(scope, ENTRIES.with([scope.param(), page.after(), page.fetch()])).await?;
    let mut listed = page.listed(rows, Entry::from_row, |e| e.id.clone())?;
    fill(db, scope, &mut listed.items).await?;
    Ok(listed)
}

async fn fill(db: &Db, scope: &Scope, entries: &mut [Entry]) -> Result<(), DbError> {
    let ids = text(&entries.iter().map(|e| json!({"id": e.id})).collect::<Vec<_>>());
    for row in db.query(scope, LEGS.with([scope.param(), ids.into()])).await? {
        let id = row.text("entry_id")?;
        let leg = Leg { debit: row.text("debit")?, credit: row.text("credit")?, amount_micros: micros(&row, "amount_micros")? };
        if let Some(entry) = entries.iter_mut().find(|e| e.id == id) {
            entry.legs.push(leg);
        }
    }
    Ok(())
}
