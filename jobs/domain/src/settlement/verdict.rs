//! What a report means beside what is stored: pure, from the rows the intake's last statement reads.

use super::report::Report;
use crate::money::Micros;
use clawr_engine::db::{DbError, Row};

/// What became of one report that does not contradict itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A payment not heard of before.
    Accepted,
    /// The same message again.
    Redelivered,
    /// The same payment under another message.
    SamePayment,
    /// A known payment whose settle response says something else than before.
    OutcomeUpdate,
    /// It contradicts what is stored; the name says how.
    Conflict(&'static str),
}

/// A known id with another body.
const EVENT_ID_REUSED: &str = "event_id_reused";

/// What two reports of one payment must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How much.
    pub amount: Micros,
    /// To which address of ours.
    pub pay_to: String,
    /// For which tenant.
    pub tenant_id: String,
    /// For which API.
    pub api_id: String,
}

impl Terms {
    /// Of a report whose tenant and API were found.
    pub fn of(report: &Report, tenant_id: &str, api_id: &str) -> Self {
        Self { amount: report.amount, pay_to: report.pay_to.clone(), tenant_id: tenant_id.into(), api_id: api_id.into() }
    }

    /// The first thing in which `other` differs.
    pub fn differs(&self, other: &Terms) -> Option<&'static str> {
        if self.amount != other.amount {
            Some("value_differs")
        } else if self.pay_to != other.pay_to {
            Some("pay_to_differs")
        } else if (&self.tenant_id, &self.api_id) != (&other.tenant_id, &other.api_id) {
            Some("attribution_differs")
        } else {
            None
        }
    }
}

/// The stored message with the report's id.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Of its raw bytes.
    pub digest: String,
    /// The intake that stored it.
    pub op: String,
}

/// The stored payment the report speaks of.
#[derive(Clone, Debug)]
pub struct StoredPayment {
    /// Its id.
    pub settlement_id: String,
    /// The job that posts it.
    pub job_id: String,
    /// Where it stands.
    pub state: String,
    /// What its reports agree on.
    pub terms: Terms,
    /// The intake that made it.
    pub op: String,
    /// The intake that last changed its outcome.
    pub update_op: String,
}

/// One report of an intake.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Of its raw bytes.
    pub digest: &'a str,
    /// The intake it was part of.
    pub op: &'a str,
    /// What it says of the payment.
    pub terms: Terms,
}

/// Judges `asked` by what is stored after its intake. Holds also when the answer is read late, after a lost reply: all
/// it looks at but `update_op` never changes once written.
pub fn judge(asked: &Asked<'_>, event: Option<&StoredEvent>, payment: Option<&StoredPayment>) -> Option<Verdict> {
    if event.is_some_and(|e| e.digest != asked.digest) {
        return Some(Verdict::Conflict(EVENT_ID_REUSED));
    }
    let payment = payment?;
    if let Some(reason) = payment.terms.differs(&asked.terms) {
        return Some(Verdict::Conflict(reason));
    }
    let event = event?;
    Some(if event.op != asked.op {
        Verdict::Redelivered
    } else if payment.op == asked.op {
        Verdict::Accepted
    } else if payment.update_op == asked.op {
        Verdict::OutcomeUpdate
    } else {
        Verdict::SamePayment
    })
}

impl StoredEvent {
    /// From a row of answers, if there is such a message.
    pub(super) fn from_row(row: &Row) -> Result<Option<Self>, DbError> {
        if row.text("event_op")?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { digest: row.text("digest")?, op: row.text("event_op")? }))
    }
}

impl StoredPayment {
    /// From a row of answers, if there is such a payment.
    pub(super) fn from_row(row: &Row) -> Result<Option<Self>, DbError> {
        if row.text("settlement_id")?.is_empty() {
            return Ok(None);
        }
        let amount = Micros::new(row.int("amount_micros")?).ok_or_else(|| DbError::Bug("a settlement's amount is out of bounds".into()))?;
        let terms = Terms { amount, pay_to: row.text("pay_to")?, tenant_id: row.text("tenant_id")?, api_id: row.text("api_id")? };
        Ok(Some(Self {
            settlement_id: row.text("settlement_id")?,
            job_id: row.text("job_id")?,
            state: row.text("state")?,
            terms,
            op: row.text("op")?,
            update_op: row.text("update_op")?,
        }))
    }
}
