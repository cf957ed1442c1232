//! Proof that the books are right: legs replayed give the balances, every entry is the sum of its legs, debits equal
//! credits, every posted settlement names its own entry and every such entry has its settlement.
//!
//! Money moves while this runs. What compares two moving things is one statement, hence one snapshot; what never changes
//! once written is walked in batches.

use clawr_engine::db::{Db, DbError, Row, Scope, Sql};

clawr_engine::sql!(BALANCES, "../sql/verify_balances.sql");
clawr_engine::sql!(TOTALS, "../sql/verify_totals.sql");
clawr_engine::sql!(ENTRIES, "../sql/verify_entries.sql");
clawr_engine::sql!(ORPHANS, "../sql/verify_orphans.sql");
clawr_engine::sql!(SETTLEMENTS, "../sql/verify_settlements.sql");
clawr_engine::sql!(SETTLEMENT_ENTRIES, "../sql/verify_settlement_entries.sql");

/// More findings than this are counted, not listed.
const FINDINGS_MAX: usize = 100;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// `balance_differs`, `account_missing`, `out_of_bounds`, `not_zero_sum`, `legs_differ`, `entry_missing`, `entry_differs`,
    /// `settlements_differ`.
    pub what: &'static str,
    /// The account, entry or settlement; empty for the whole ledger.
    pub id: String,
    /// The two sides that differ.
    pub detail: String,
}

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Accounts compared with their legs.
    pub accounts: u64,
    /// Entries compared with their legs.
    pub entries: u64,
    /// Legs replayed.
    pub legs: u64,
    /// Posted settlements compared with their entries.
    pub settlements: u64,
    /// Sum of all debits, micro-USDC.
    pub debits_micros: i64,
    /// Sum of all credits, micro-USDC.
    pub credits_micros: i64,
    /// Differences found, listed or not.
    pub broken: u64,
    /// The first hundred.
    pub findings: Vec<Finding>,
}

impl Report {
    /// True if nothing differs.
    pub fn is_balanced(&self) -> bool {
        self.broken == 0
    }

    fn found(&mut self, what: &'static str, id: String, detail: String) {
        self.broken += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { what, id, detail });
        }
    }
}

/// Verifies the whole ledger.
pub async fn verify(db: &Db) -> Result<Report, DbError> {
    let mut report = Report::default();
    balances(db, &mut report).await?;
    totals(db, &mut report).await?;
    walk(db, &ENTRIES, &mut report, entry).await?;
    for row in db.query(&Scope::System, ORPHANS.with([])).await? {
        report.found("entry_missing", row.text("entry_id")?, format!("leg {} has no entry", row.int("seq")?));
    }
    walk(db, &SETTLEMENTS, &mut report, settlement).await?;
    settlement_entries(db, &mut report).await?;
    Ok(report)
}

async fn balances(db: &Db, report: &mut Report) -> Result<(), DbError> {
    for row in db.query(&Scope::System, BALANCES.with([])).await? {
        let posted = format!("legs say {} debited, {} credited", row.int("posted_debits")?, row.int("posted_credits")?);
        if row.text("id")?.is_empty() {
            report.found("account_missing", row.text("posted")?, posted);
        } else {
            let stored = format!("stored {} and {}, {posted}", row.int("debits")?, row.int("credits")?);
            report.found("balance_differs", row.text("id")?, stored);
        }
    }
    Ok(())
}

async fn totals(db: &Db, report: &mut Report) -> Result<(), DbError> {
    let rows = db.query(&Scope::System, TOTALS.with([])).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    report.accounts = count(row, "n")?;
    (report.debits_micros, report.credits_micros) = (row.int("debits")?, row.int("credits")?);
    if report.debits_micros != report.credits_micros {
        report.found("not_zero_sum", String::new(), format!("debits {}, credits {}", report.debits_micros, report.credits_micros));
    }
    if row.int("outside")? != 0 {
        report.found("out_of_bounds", String::new(), format!("{} accounts", row.int("outside")?));
    }
    Ok(())
}

/// Walks a statement in order of ids, a batch at a time.
async fn walk(db: &Db, sql: &'static Sql, report: &mut Report, check: fn(&Row, &mut Report) -> Result<(), DbError>) -> Result<(), DbError> {
    let mut after = String::new();
    loop {
        let rows = db.query(&Scope::System, sql.with([after.as_str().into()])).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.text("id")?;
        for row in &rows {
            check(row, report)?;
        }
    }
}

fn entry(row: &Row, report: &mut Report) -> Result<(), DbError> {
    let (legs, sum, amount) = (count(row, "legs")?, row.int("leg_sum")?, row.int("amount_micros")?);
    report.entries += 1;
    report.legs += legs;
    if legs == 0 || sum != amount || row.int("foreign_legs")? != 0 {
        report.found("legs_differ", row.text("id")?, format!("amount {amount}, {legs} legs of {sum}"));
    }
    Ok(())
}

fn settlement(row: &Row, report: &mut Report) -> Result<(), DbError> {
    report.settlements += 1;
    let text = |column: &str| row.text(column);
    let key = format!("settle:{}:{}:{}:{}", text("network")?, text("asset")?, text("payer")?, text("nonce")?);
    if text("key")?.is_empty() {
        report.found("entry_missing", text("id")?, format!("entry {} does not exist", text("entry_id")?));
    } else if (text("key")?, text("entry_tenant_id")?, row.int("entry_amount_micros")?)
        != (key, text("tenant_id")?, row.int("amount_micros")?)
    {
        report.found("entry_differs", text("id")?, format!("entry {} is of another payment", text("entry_id")?));
    }
    Ok(())
}

async fn settlement_entries(db: &Db, report: &mut Report) -> Result<(), DbError> {
    let rows = db.query(&Scope::System, SETTLEMENT_ENTRIES.with([])).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (entries, settlements) = (row.int("entries")?, row.int("settlements")?);
    if entries != settlements {
        report.found("settlements_differ", String::new(), format!("{entries} entries, {settlements} posted settlements"));
    }
    Ok(())
}

fn count(row: &Row, column: &str) -> Result<u64, DbError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}
