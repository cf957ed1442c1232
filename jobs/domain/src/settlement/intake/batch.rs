//! N reports as one commit of set-based statements, whatever N; never two of one message or one payment in it.
//!
//! Locks are taken in one order everywhere: messages by id, then new payments by identity. Known payments are updated in
//! whatever order the store picks; a deadlock of two such updates is run again by the store.

use super::super::report::Report;
use super::super::verdict::{StoredEvent, StoredPayment, Terms};
use crate::audit::{self, Actor, Event, Stamp};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Rows, Scope, Statement};
use clawr_engine::ids::{new_id, new_op};
use clawr_engine::job::{PRIORITY_DEFAULT, rank};
use clawr_engine::write::json as text;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

clawr_engine::sql!(OP, "../../sql/op_insert.sql");
clawr_engine::sql!(EVENTS, "../../sql/settlement_events_insert.sql");
clawr_engine::sql!(SETTLEMENTS, "../../sql/settlements_insert.sql");
clawr_engine::sql!(EVENTS_DROP, "../../sql/settlement_events_drop.sql");
clawr_engine::sql!(OUTCOMES, "../../sql/settlements_outcome.sql");
clawr_engine::sql!(JOBS, "../../sql/settlement_jobs_insert.sql");
clawr_engine::sql!(AUDIT, "../../sql/settlement_outcomes_audit.sql");
clawr_engine::sql!(UNSEALED, "../../sql/settlement_outcomes_unsealed.sql");
clawr_engine::sql!(ANSWERS, "../../sql/settlement_answers.sql");

/// Where settlement jobs wait.
const QUEUE: &str = "money";
/// Raw messages in one commit: one store takes no parameter above 2 MB, and escaping may double them.
const BYTES_MAX: usize = 600_000;
/// How long a commit with an unknown outcome is repeated.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the kind `settlement` says of its jobs.
#[derive(Clone, Copy, Debug)]
pub struct JobPolicy {
    /// Current payload version.
    pub version: i64,
    /// Attempts before it is dead.
    pub max_attempts: i64,
}

/// One report on its way in.
#[derive(Clone)]
pub(super) struct Incoming {
    payment: String,
    row: RowIn,
    body: String,
}

/// What is stored for one report after its commit.
#[derive(Clone)]
pub(super) struct Looked {
    pub op: String,
    pub event: Option<StoredEvent>,
    pub payment: Option<StoredPayment>,
}

/// A report as the settlement's row takes it. Every statement reads its rows anew, so each is given no more than it uses.
#[derive(Clone, Serialize)]
struct RowIn {
    event_id: String,
    #[serde(skip)]
    digest: String,
    settlement_id: String,
    job_id: String,
    network: String,
    asset: String,
    payer: String,
    nonce: String,
    tenant_id: String,
    api_id: String,
    amount_micros: i64,
    pay_to: String,
    state: &'static str,
    outcome: &'static str,
    tx: String,
    error_reason: String,
    resource_type: String,
    caller_hash: String,
    request_id: String,
    reservation_id: String,
    x402_version: i64,
    scheme: String,
    valid_after: i64,
    valid_before: i64,
    occurred_at: i64,
    received_at: i64,
    day: String,
    #[serde(skip)]
    rank: i64,
    #[serde(skip)]
    audit_id: String,
    #[serde(skip)]
    stream: String,
    #[serde(skip)]
    user_id: String,
    #[serde(skip)]
    metadata: String,
}

/// What a report is compared with what is stored by, and the ids of what it makes.
#[derive(Serialize)]
struct KnownBy<'a> {
    event_id: &'a str,
    settlement_id: &'a str,
    network: &'a str,
    asset: &'a str,
    payer: &'a str,
    nonce: &'a str,
    tenant_id: &'a str,
    api_id: &'a str,
    amount_micros: i64,
    pay_to: &'a str,
    outcome: &'a str,
    tx: &'a str,
    error_reason: &'a str,
    received_at: i64,
    rank: i64,
    audit_id: &'a str,
}

/// The audit entry, should the report change a known payment's outcome.
#[derive(Serialize)]
struct News<'a> {
    network: &'a str,
    asset: &'a str,
    payer: &'a str,
    nonce: &'a str,
    audit_id: &'a str,
    stream: &'a str,
    user_id: &'a str,
    metadata: &'a str,
    received_at: i64,
}

impl RowIn {
    fn known_by(&self) -> KnownBy<'_> {
        KnownBy {
            event_id: &self.event_id,
            settlement_id: &self.settlement_id,
            network: &self.network,
            asset: &self.asset,
            payer: &self.payer,
            nonce: &self.nonce,
            tenant_id: &self.tenant_id,
            api_id: &self.api_id,
            amount_micros: self.amount_micros,
            pay_to: &self.pay_to,
            outcome: self.outcome,
            tx: &self.tx,
            error_reason: &self.error_reason,
            received_at: self.received_at,
            rank: self.rank,
            audit_id: &self.audit_id,
        }
    }

    fn news(&self) -> News<'_> {
        News {
            network: &self.network,
            asset: &self.asset,
            payer: &self.payer,
            nonce: &self.nonce,
            audit_id: &self.audit_id,
            stream: &self.stream,
            user_id: &self.user_id,
            metadata: &self.metadata,
            received_at: self.received_at,
        }
    }
}

impl Incoming {
    pub fn new(clock: &Clock, report: Report, body: Vec<u8>, digest: String, terms: Terms, actor: &Actor) -> Self {
        let payment = report.payment();
        let stamp = Stamp::new(clock);
        let news = audit_of(&report, &terms.tenant_id, &stamp, actor);
        let field = |name: &str| news.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let row = RowIn {
            settlement_id: new_id("stl", clock),
            job_id: new_id("job", clock),
            audit_id: stamp.id.clone(),
            stream: field("stream"),
            user_id: field("user_id"),
            metadata: field("metadata"),
            digest,
            tenant_id: terms.tenant_id,
            api_id: terms.api_id,
            amount_micros: report.amount.get(),
            state: report.first_state(),
            outcome: report.outcome.as_str(),
            received_at: stamp.now,
            rank: rank(stamp.now, PRIORITY_DEFAULT),
            x402_version: report.version,
            event_id: report.event_id,
            network: report.network,
            asset: report.asset,
            payer: report.payer,
            nonce: report.nonce,
            pay_to: report.pay_to,
            tx: report.tx,
            error_reason: report.error_reason,
            resource_type: report.resource_type,
            caller_hash: report.caller_hash,
            request_id: report.request_id,
            reservation_id: report.reservation_id,
            scheme: report.scheme,
            valid_after: report.valid_after,
            valid_before: report.valid_before,
            occurred_at: report.occurred_at,
            day: report.day,
        };
        // inspected: it is UTF-8
        Self { payment, row, body: String::from_utf8_lossy(&body).into_owned() }
    }
}

/// The entry that is written if this report changes a known payment's outcome.
fn audit_of(report: &Report, tenant_id: &str, stamp: &Stamp, actor: &Actor) -> Json {
    let metadata = json!({"event_id": report.event_id, "outcome": report.outcome.as_str(), "facilitator_tx": report.tx});
    audit::row(actor, stamp, Event { action: "settlement.outcome_updated", object: "", tenant_id, metadata })
}

/// Whether `next` may share a commit with those gathered.
pub(super) fn fits(gathered: &[Incoming], next: &Incoming) -> bool {
    let bytes: usize = gathered.iter().map(|i| i.body.len()).sum();
    let apart = |i: &Incoming| i.row.event_id != next.row.event_id && i.payment != next.payment;
    bytes + next.body.len() <= BYTES_MAX && gathered.iter().all(apart)
}

pub(super) type Boxed = Pin<Box<dyn Future<Output = Result<Vec<Looked>, DbError>> + Send>>;

/// [`commit`] as the coalescer wants it.
pub(super) fn boxed(db: Db, policy: JobPolicy, inputs: Vec<Incoming>) -> Boxed {
    Box::pin(async move { commit(&db, policy, &inputs).await })
}

async fn commit(db: &Db, policy: JobPolicy, inputs: &[Incoming]) -> Result<Vec<Looked>, DbError> {
    let op = new_op();
    let known = known_by(inputs);
    let statements = statements(&op, policy, inputs, &known);
    let answers = match db.commit_until_known(&Scope::System, statements, PATIENCE).await {
        (Ok(mut all), _) => all.pop().unwrap_or_default(),
        // an earlier try was applied and its reply lost
        (Err(DbError::Unique(name)), true) if name == "ops_id" => db.query(&Scope::System, ANSWERS.with([known.into()])).await?,
        (Err(error), _) => return Err(error),
    };
    let looked = in_order(&op, inputs, answers)?;
    if looked.iter().any(|l| l.payment.as_ref().is_some_and(|p| p.op == op)) {
        db.notify(QUEUE);
    }
    Ok(looked)
}

fn in_order_of_payments(inputs: &[Incoming]) -> Vec<&RowIn> {
    let mut sorted: Vec<&Incoming> = inputs.iter().collect();
    sorted.sort_by(|a, b| a.payment.cmp(&b.payment));
    sorted.into_iter().map(|i| &i.row).collect()
}

fn known_by(inputs: &[Incoming]) -> String {
    text(&in_order_of_payments(inputs).into_iter().map(RowIn::known_by).collect::<Vec<_>>())
}

fn statements(op: &str, policy: JobPolicy, inputs: &[Incoming], known: &str) -> Vec<Statement> {
    let now = inputs.iter().map(|i| i.row.received_at).max().unwrap_or(0);
    let rows = in_order_of_payments(inputs);
    let news: Vec<News<'_>> = rows.iter().map(|r| r.news()).collect();
    vec![
        OP.with([op.into(), now.into()]),
        EVENTS.with([text(&inputs.iter().map(event).collect::<Vec<_>>()).into(), op.into()]),
        SETTLEMENTS.with([text(&rows).into(), op.into()]),
        EVENTS_DROP.with([known.into(), op.into()]),
        OUTCOMES.with([known.into(), op.into()]),
        JOBS.with([known.into(), op.into(), policy.version.into(), policy.max_attempts.into(), PRIORITY_DEFAULT.into()]),
        AUDIT.with([text(&news).into(), op.into()]),
        UNSEALED.with([known.into()]),
        ANSWERS.with([known.into()]),
    ]
}

/// Only the first statement carries the raw messages.
fn event(input: &Incoming) -> Json {
    let row = &input.row;
    json!({
        "event_id": row.event_id, "digest": row.digest, "tenant_id": row.tenant_id, "network": row.network, "asset": row.asset,
        "payer": row.payer, "nonce": row.nonce, "outcome": row.outcome, "tx": row.tx, "received_at": row.received_at, "body": input.body,
    })
}

fn in_order(op: &str, inputs: &[Incoming], answers: Rows) -> Result<Vec<Looked>, DbError> {
    let mut by_event = HashMap::with_capacity(answers.len());
    for row in &answers {
        let looked = Looked { op: op.to_owned(), event: StoredEvent::from_row(row)?, payment: StoredPayment::from_row(row)? };
        by_event.insert(row.text("event_id")?, looked);
    }
    let missing = |id: &str| DbError::Bug(format!("no answer for report {id}"));
    inputs.iter().map(|i| by_event.remove(&i.row.event_id).ok_or_else(|| missing(&i.row.event_id))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::verdict::{Asked, Verdict, judge};
    use super::super::super::{Network, Networks, inspect};
    use super::*;
    use clawr_engine::db::{DbConfig, StoreUrl, migrate};

    const EVENTS: &str = include_str!("../../../../../tests/fixtures/x402/events.jsonl");

    fn incoming(line: usize) -> Incoming {
        let network = Network {
            id: "eip155:84532".into(),
            v1_name: "base-sepolia".into(),
            assets: vec!["0x036CbD53842c5426634e7929541eC2318f3dCF7e".into()],
            treasuries: vec!["0x7F7E6911FA4AAE7C72bEd97004cE58F3f427AF43".into()],
        };
        let body = EVENTS.lines().nth(line).unwrap().as_bytes().to_vec();
        let report = inspect(&body, &Networks::new(vec![network])).unwrap();
        let terms = Terms::of(&report, "ten_1", "api_1");
        Incoming::new(&Clock::host(), report, body, "digest".into(), terms, &Actor::system())
    }

    #[tokio::test]
    async fn a_commit_whose_reply_was_lost_is_repeated_into_its_own_door() {
        let path = std::env::temp_dir().join(format!("clawr-intake-{}.db", new_op()));
        let url: StoreUrl = format!("sqlite://{}", path.display()).parse().unwrap();
        let db = Db::open_for_migration(&DbConfig::new(url)).await.unwrap();
        migrate::up(&db).await.unwrap();
        let inputs = [incoming(0)];
        let (policy, known) = (JobPolicy { version: 1, max_attempts: 3 }, known_by(&inputs));
        let commit = || db.commit(&Scope::System, statements("op", policy, &inputs, &known));
        commit().await.unwrap();
        assert_eq!(commit().await, Err(DbError::Unique("ops_id".into())));
        let answers = db.query(&Scope::System, ANSWERS.with([known.as_str().into()])).await.unwrap();
        let looked = in_order("op", &inputs, answers).unwrap().remove(0);
        let terms = looked.payment.clone().unwrap().terms;
        let asked = Asked { digest: "digest", op: "op", terms };
        assert_eq!(judge(&asked, looked.event.as_ref(), looked.payment.as_ref()), Some(Verdict::Accepted));
        db.close().await;
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn equal_messages_and_equal_payments_wait_for_the_next_commit() {
        let first = incoming(0);
        let mut other_message = first.clone();
        other_message.row.event_id = "evt_other".into();
        let mut other_payment = first.clone();
        other_payment.payment = "another".into();
        let mut both = other_message.clone();
        both.payment = "another".into();
        let gathered = [first.clone()];
        let fitting = [&first, &other_message, &other_payment, &both].map(|next| fits(&gathered, next));
        assert_eq!(fitting, [false, false, false, true]);
        both.body = "x".repeat(BYTES_MAX);
        assert!(!fits(&gathered, &both) && fits(&[], &both));
    }
}
