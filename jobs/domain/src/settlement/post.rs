//! The ledger entry of a settlement. Pure: a job's handler reads the settlement, and what this returns goes into its
//! outcome, where the rows of many jobs share one execution of each statement.
//!
//! The settlement is taken first (compare-and-set on its `rev`); whoever finds it changed since it was read fails the
//! guard `stale` and is run again. The entry's natural key refuses a second entry whatever else goes wrong.

use super::store::Settlement;
use crate::audit::{self, Actor, Event, Stamp};
use crate::ledger::writes::{Entry, Leg, Side};
use crate::time::rfc3339;
use clawr_engine::clock::Clock;
use clawr_engine::ids::new_id;
use clawr_engine::write::Write;
use serde_json::json;

clawr_engine::sql!(TAKE, "../sql/settlement_take.sql");
clawr_engine::sql!(GUARD, "../sql/settlement_guard.sql");

/// Ids and time of one posting, made before so that the posting itself is pure.
#[derive(Clone, Debug)]
pub struct Posting {
    /// `ent_…`
    pub entry_id: String,
    /// The audit entry.
    pub audit: Stamp,
}

impl Posting {
    /// New ids at the clock's time.
    pub fn new(clock: &Clock) -> Self {
        Self { entry_id: new_id("ent", clock), audit: Stamp::new(clock) }
    }
}

/// Posts a reported payment as the tenant's pending income. Nothing to do (no writes) if it is posted already.
pub fn post(settlement: &Settlement, posting: &Posting) -> Vec<Write> {
    if !settlement.entry_id.is_empty() {
        return Vec::new();
    }
    let taken = json!({"settlement_id": settlement.id, "rev": settlement.rev, "entry_id": posting.entry_id});
    let mut writes = vec![Write::new(&TAKE, taken.clone()), Write::new(&GUARD, taken)];
    writes.extend(entry(settlement, posting).writes());
    writes.extend(audit::entry(&Actor::system(), &posting.audit, event(settlement)));
    writes
}

/// The natural key of the entry.
pub fn key(settlement: &Settlement) -> String {
    let Settlement { network, asset, payer, nonce, .. } = settlement;
    format!("settle:{network}:{asset}:{payer}:{nonce}")
}

fn entry(settlement: &Settlement, posting: &Posting) -> Entry {
    let tenant_id = &settlement.tenant_id;
    Entry {
        id: posting.entry_id.clone(),
        key: key(settlement),
        tenant_id: tenant_id.clone(),
        kind: "settlement",
        amount: settlement.amount,
        metadata: json!({"settlement_id": settlement.id, "api_id": settlement.api_id, "request_id": settlement.request_id}),
        created_at: posting.audit.now,
        legs: vec![Leg {
            debit: (format!("unconfirmed:{tenant_id}"), Side::Debit),
            credit: (format!("tenant:{tenant_id}:pending"), Side::Credit),
            amount: settlement.amount,
        }],
    }
}

fn event(settlement: &Settlement) -> Event<'_> {
    let metadata = json!({
        "amount_micros": settlement.amount,
        "facilitator_tx": settlement.tx,
        "tenant": settlement.tenant,
        "caller_hash": settlement.caller_hash,
        "occurred_at": rfc3339(settlement.occurred_at),
        "state": settlement.state,
    });
    Event { action: "settlement.posted", object: &settlement.id, tenant_id: &settlement.tenant_id, metadata }
}
