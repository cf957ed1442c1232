//! Taking reports in: judged by themselves, then many in one commit, then each answered by what is stored.
//!
//! Two processes may be told of one payment in the same instant. Both insert; one of them waits at the unique key until
//! the other has committed, and then inserts nothing. Its own snapshot is older than that commit, so what an insert
//! returns can answer nobody; the *next* statement has a new snapshot and sees the winner. So each report is answered by
//! the last statement of its commit, by what is stored then, and so is a report whose commit's reply was lost: the
//! operation's door says that it was applied, and the same look gives the same answer.

mod batch;

use super::catalog::{Catalog, Found};
use super::networks::Networks;
use super::report::{Refusal, Report, inspect};
use super::verdict::{Asked, StoredEvent, StoredPayment, Terms, Verdict, judge};
use crate::audit::{Actor, Event, Stamp, record};
use crate::digest::sha256;
use batch::{Incoming, Looked};
use clawr_engine::clock::Clock;
use clawr_engine::coalesce::Coalescer;
use clawr_engine::db::{Db, DbError, Scope};
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub use batch::JobPolicy;

clawr_engine::sql!(EVENT_GET, "../sql/settlement_event_get.sql");

/// Reports that wait together share a commit, up to this many.
const TOGETHER_MAX: usize = 256;

/// The door for reports. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Clock,
    networks: Networks,
    catalog: Catalog,
    batches: Coalescer<Incoming, Looked>,
}

/// What a report became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Never a conflict.
    pub verdict: Verdict,
    /// The payment's settlement.
    pub settlement_id: String,
    /// The job that posts it.
    pub job_id: String,
    /// `reported`, `unknown`, `confirmed`, `void`.
    pub state: String,
    /// False if the payment was not heard of before.
    pub duplicate: bool,
}

/// Why a report was not taken in. Both refusals are in the audit trail by the time they are returned.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IntakeError {
    /// It contradicts itself, or names what we do not have.
    #[error(transparent)]
    Rejected(Refusal),
    /// It contradicts what is stored.
    #[error("the report contradicts what is stored: {reason}")]
    Conflict {
        /// Stable name of the rule.
        reason: &'static str,
        /// The payment's settlement; empty if the report speaks of one nobody has heard of.
        settlement_id: String,
    },
    /// Try again; whatever was stored answers as a duplicate.
    #[error(transparent)]
    Store(#[from] DbError),
}

impl Intake {
    /// Starts taking in; must be called inside a runtime.
    pub fn new(db: Db, clock: Clock, networks: Networks, policy: JobPolicy) -> Self {
        // one commit at a time: the more reports share one, the less each costs the store
        let lanes = 1;
        let store = db.clone();
        let commit = Arc::new(move |inputs| batch::boxed(store.clone(), policy, inputs));
        let batches = Coalescer::start(TOGETHER_MAX, lanes, commit, batch::fits);
        Self { inner: Arc::new(Inner { db, clock, networks, catalog: Catalog::default(), batches }) }
    }

    /// Takes in one raw message, whose sender `actor` is. Repeat it after any `Store` error.
    pub async fn submit(&self, body: Vec<u8>, actor: &Actor) -> Result<Answer, IntakeError> {
        let digest = sha256(&[&body]);
        match self.inspect(&body).await? {
            Ok((report, tenant_id, api_id)) => self.take_in(Message { report, tenant_id, api_id, digest }, body, actor).await,
            Err(refusal) => self.reject(refusal, &body, &digest, actor).await,
        }
    }

    async fn inspect(&self, body: &[u8]) -> Result<Result<(Report, String, String), Refusal>, DbError> {
        let report = match inspect(body, &self.inner.networks) {
            Ok(report) => report,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let found = self.inner.catalog.find(&self.inner.db, &report.tenant, &report.api).await?;
        Ok(match found {
            Found::Api { tenant_id, api_id } => Ok((report, tenant_id, api_id)),
            Found::NoTenant => Err(Refusal::new("unknown_tenant", "/tenant", "is not a tenant")),
            Found::NoApi => Err(Refusal::new("unknown_api", "/api", "is not an API of this tenant")),
        })
    }

    async fn take_in(&self, message: Message, body: Vec<u8>, actor: &Actor) -> Result<Answer, IntakeError> {
        let Message { report, tenant_id, api_id, digest } = message;
        let terms = Terms::of(&report, &tenant_id, &api_id);
        let event_id = report.event_id.clone();
        let incoming = Incoming::new(&self.inner.clock, report, body, digest.clone(), terms.clone(), actor);
        let looked = self.inner.batches.call(incoming).await?;
        let asked = Asked { digest: &digest, op: &looked.op, terms };
        let verdict = judge(&asked, looked.event.as_ref(), looked.payment.as_ref());
        let verdict = verdict.ok_or_else(|| DbError::Bug(format!("report {event_id} left no trace")))?;
        match (verdict, looked.payment) {
            (Verdict::Conflict(reason), payment) => {
                let settlement_id = payment.map(|p| p.settlement_id).unwrap_or_default();
                self.refused(reason, "", &event_id, (&settlement_id, &tenant_id), actor).await?;
                Err(IntakeError::Conflict { reason, settlement_id })
            }
            (verdict, Some(payment)) => Ok(answer(verdict, payment)),
            (_, None) => Err(DbError::Bug(format!("report {event_id} has no payment")).into()),
        }
    }

    /// The same bytes as a message taken in before are that message again, whatever the rules say of them today.
    async fn reject(&self, refusal: Refusal, body: &[u8], digest: &str, actor: &Actor) -> Result<Answer, IntakeError> {
        let id = claimed_id(body);
        if let Some(payment) = self.same_message(&id, digest).await? {
            return Ok(answer(Verdict::Redelivered, payment));
        }
        self.refused(refusal.reason, &refusal.pointer, &id, ("", ""), actor).await?;
        Err(IntakeError::Rejected(refusal))
    }

    async fn same_message(&self, id: &str, digest: &str) -> Result<Option<StoredPayment>, DbError> {
        if id.is_empty() {
            return Ok(None);
        }
        let scope = Scope::System;
        let rows = self.inner.db.query(&scope, EVENT_GET.with([scope.param(), id.into()])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        match StoredEvent::from_row(row)? {
            Some(event) if event.digest == digest => StoredPayment::from_row(row),
            _ => Ok(None),
        }
    }

    async fn refused(&self, reason: &str, pointer: &str, event_id: &str, whose: (&str, &str), actor: &Actor) -> Result<(), DbError> {
        let metadata = json!({"reason": reason, "pointer": pointer, "event_id": event_id});
        let event = Event { action: "settlement.refused", object: whose.0, tenant_id: whose.1, metadata };
        record(&self.inner.db, actor, &Stamp::new(&self.inner.clock), event).await
    }
}

/// A message that does not contradict itself, its tenant and API found.
struct Message {
    report: Report,
    tenant_id: String,
    api_id: String,
    digest: String,
}

fn answer(verdict: Verdict, payment: StoredPayment) -> Answer {
    let StoredPayment { settlement_id, job_id, state, .. } = payment;
    Answer { verdict, settlement_id, job_id, state, duplicate: verdict != Verdict::Accepted }
}

/// The id a refused message gives itself, if it is one we could have stored.
fn claimed_id(body: &[u8]) -> String {
    let message: Json = serde_json::from_slice(body).unwrap_or_default();
    let id = message.get("id").and_then(Json::as_str).unwrap_or_default();
    if id.len() <= 128 && !id.chars().any(char::is_control) { id.to_owned() } else { String::new() }
}
