//! Reading settlements.

use crate::money::Micros;
use crate::page::{Listed, Page};
use crate::refusal::Problem;
use clawr_engine::db::{Db, DbError, Row, Scope};

clawr_engine::sql!(GET, "../sql/settlement_get.sql");
clawr_engine::sql!(LIST, "../sql/settlements_list.sql");
clawr_engine::sql!(COUNTS, "../sql/settlements_counts.sql");
clawr_engine::sql!(EVENTS, "../sql/settlement_events_list.sql");

/// The states a settlement can be in.
pub const STATES: [&str; 4] = ["reported", "unknown", "confirmed", "void"];

/// One payment as we know it. Times are microseconds since 1970 UTC, hex is lower case, absent texts are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// `stl_…`
    pub id: String,
    /// CAIP-2.
    pub network: String,
    /// Token contract.
    pub asset: String,
    /// Who authorized it.
    pub payer: String,
    /// The authorization's nonce.
    pub nonce: String,
    /// Whose income it is.
    pub tenant_id: String,
    /// The slug of that tenant.
    pub tenant: String,
    /// What was called.
    pub api_id: String,
    /// The slug of that API.
    pub api: String,
    /// How much.
    pub amount: Micros,
    /// To which address of ours.
    pub pay_to: String,
    /// `reported`, `unknown`, `confirmed`, `void`.
    pub state: String,
    /// What the last report claims: `success`, `pending`, `failure`.
    pub outcome: String,
    /// What the one before claimed, if it was something else.
    pub prev_outcome: String,
    /// The transaction the last report names.
    pub tx: String,
    /// The one before.
    pub prev_tx: String,
    /// The facilitator's reason, verbatim.
    pub error_reason: String,
    /// As first reported.
    pub resource_type: String,
    /// As first reported.
    pub caller_hash: String,
    /// As first reported.
    pub request_id: String,
    /// As first reported.
    pub reservation_id: String,
    /// Protocol version of the first report.
    pub x402_version: i64,
    /// Payment scheme.
    pub scheme: String,
    /// The authorization's window, Unix seconds.
    pub valid_after: i64,
    /// End of the window.
    pub valid_before: i64,
    /// Whether the payer's signature was judged good.
    pub identity_verified: bool,
    /// When it happened, by the first report.
    pub occurred_at: i64,
    /// When we first heard of it.
    pub received_at: i64,
    /// UTC day of `occurred_at`.
    pub day: String,
    /// The first report.
    pub event_id: String,
    /// The job that posts it.
    pub job_id: String,
    /// Its ledger entry; empty until posted.
    pub entry_id: String,
    /// Changes with every change.
    pub rev: i64,
}

impl Settlement {
    pub(super) fn from_row(row: &Row) -> Result<Self, DbError> {
        let text = |column: &str| row.text(column);
        Ok(Self {
            id: text("id")?,
            network: text("network")?,
            asset: text("asset")?,
            payer: text("payer")?,
            nonce: text("nonce")?,
            tenant_id: text("tenant_id")?,
            tenant: text("tenant")?,
            api_id: text("api_id")?,
            api: text("api")?,
            amount: micros(row, "amount_micros")?,
            pay_to: text("pay_to")?,
            state: text("state")?,
            outcome: text("outcome")?,
            prev_outcome: text("prev_outcome")?,
            tx: text("tx")?,
            prev_tx: text("prev_tx")?,
            error_reason: text("error_reason")?,
            resource_type: text("resource_type")?,
            caller_hash: text("caller_hash")?,
            request_id: text("request_id")?,
            reservation_id: text("reservation_id")?,
            x402_version: row.int("x402_version")?,
            scheme: text("scheme")?,
            valid_after: row.int("valid_after")?,
            valid_before: row.int("valid_before")?,
            identity_verified: row.flag("identity_verified")?,
            occurred_at: row.int("occurred_at")?,
            received_at: row.int("received_at")?,
            day: text("day")?,
            event_id: text("event_id")?,
            job_id: text("job_id")?,
            entry_id: text("entry_id")?,
            rev: row.int("rev")?,
        })
    }
}

/// A stored amount; out of bounds only if a hand wrote it.
pub(crate) fn micros(row: &Row, column: &str) -> Result<Micros, DbError> {
    Micros::new(row.int(column)?).ok_or_else(|| DbError::Bug(format!("{column} is out of bounds")))
}

/// What a list is narrowed by; empty = not.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One of [`STATES`].
    pub state: String,
    /// A tenant's slug.
    pub tenant: String,
}

/// One settlement, if it is visible to `scope`.
pub async fn get(db: &Db, scope: &Scope, id: &str) -> Result<Settlement, Problem> {
    let rows = db.query(scope, GET.with([scope.param(), id.into()])).await?;
    let row = rows.first().ok_or(Problem::NotFound("settlement"))?;
    Ok(Settlement::from_row(row)?)
}

/// One page, newest first.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, page: &Page) -> Result<Listed<Settlement>, Problem> {
    if !filter.state.is_empty() && !STATES.contains(&filter.state.as_str()) {
        return Err(Problem::invalid("invalid_state", "/state", format!("must be one of {}", STATES.join(", "))));
    }
    let params = [scope.param(), filter.state.as_str().into(), filter.tenant.as_str().into(), page.after(), page.fetch()];
    let rows = db.query(scope, LIST.with(params)).await?;
    page.listed(rows, Settlement::from_row, |s| s.id.clone())
}

/// How many settlements of one state there are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// One of [`STATES`].
    pub state: String,
    /// How many.
    pub count: i64,
    /// Their sum.
    pub amount_micros: Micros,
    /// How many of them have a ledger entry.
    pub posted: i64,
}

/// Settlements by state, within `scope`.
pub async fn counts(db: &Db, scope: &Scope) -> Result<Vec<Count>, DbError> {
    let rows = db.query(scope, COUNTS.with([scope.param()])).await?;
    let count = |row: &Row| {
        Ok(Count {
            state: row.text("state")?,
            count: row.int("n")?,
            amount_micros: micros(row, "amount_micros")?,
            posted: row.int("posted")?,
        })
    };
    rows.iter().map(count).collect()
}

/// One stored message about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's id of it.
    pub id: String,
    /// What it claims.
    pub outcome: String,
    /// The transaction it names.
    pub tx: String,
    /// The raw body.
    pub body: String,
    /// Microseconds since 1970 UTC.
    pub received_at: i64,
}

/// The messages about one payment, oldest first, at most 200.
pub async fn events(db: &Db, scope: &Scope, of: &Settlement) -> Result<Vec<Message>, DbError> {
    let key = [&of.nonce, &of.network, &of.asset, &of.payer].map(|t| t.as_str().into());
    let [nonce, network, asset, payer] = key;
    let rows = db.query(scope, EVENTS.with([scope.param(), nonce, network, asset, payer])).await?;
    let message = |row: &Row| {
        Ok(Message {
            id: row.text("id")?,
            outcome: row.text("outcome")?,
            tx: row.text("tx")?,
            body: row.text("body")?,
            received_at: row.int("received_at")?,
        })
    };
    rows.iter().map(message).collect()
}
