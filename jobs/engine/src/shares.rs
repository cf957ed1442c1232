//! Shares: a queue that tenants share gives each of them starts in proportion to its weight, whoever waits in what numbers.
//!
//! A claim of such a queue walks over the tenants that have jobs there, one after the other in a ring, and takes of each as many
//! as its **turn** allows: weight × a quantum that grows with what there is to fill (deficit round robin). Where a claim ends in
//! the middle of a turn, the next one goes on there. Nothing is counted in the store, so there is nothing to lose: each claimer
//! keeps its place in the ring, and several together are as fair as each of them.
//!
//! Within a tenant, rank orders as ever. What is shared are starts; a tenant with long jobs is held back by a limit.

use crate::db::{DbError, Row, Scope};
use crate::queue::Queue;
use crate::write::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

crate::sql!(LIST, "sql/shares_list.sql");
crate::sql!(PUT, "sql/shares_put.sql");
crate::sql!(DELETE, "sql/shares_delete.sql");

/// Largest weight; the smallest, and that of a tenant without one of its own, is 1.
pub const WEIGHT_MAX: i64 = 1_000;
/// The row that stands for the queue.
const QUEUE: &str = "*";

/// How tenants share one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Tenant id → weight, of those that have one of their own.
    pub weights: BTreeMap<String, i64>,
    /// Who said so last.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when it is so, microseconds.
    pub created_at: i64,
}

/// The queues that tenants share.
pub type Shares = BTreeMap<String, Arc<Share>>;

impl Share {
    /// What a tenant weighs.
    pub fn weight(&self, tenant: &str) -> i64 {
        self.weights.get(tenant).copied().unwrap_or(1)
    }

    /// The tenant whose weight makes no sense.
    pub fn fault(&self) -> Option<&str> {
        self.weights.iter().find(|(_, weight)| !(1..=WEIGHT_MAX).contains(*weight)).map(|(tenant, _)| tenant.as_str())
    }
}

#[derive(serde::Serialize)]
struct WeightRow<'a> {
    tenant: &'a str,
    weight: i64,
}

impl Queue {
    /// Lets tenants share `queue` by these weights and no others; within 2 s every claimer heeds it.
    pub async fn share(&self, queue: &str, share: &Share) -> Result<(), DbError> {
        if let Some(tenant) = share.fault() {
            return Err(DbError::Bug(format!("the weight of {tenant} in queue {queue} is not from 1 to {WEIGHT_MAX}")));
        }
        let own = share.weights.iter().map(|(tenant, weight)| WeightRow { tenant, weight: *weight });
        let rows = json(&std::iter::once(WeightRow { tenant: QUEUE, weight: 1 }).chain(own).collect::<Vec<_>>());
        let (who, why) = (share.who.as_str().into(), share.why.as_str().into());
        let put = PUT.with([queue.into(), rows.into(), who, why, self.clock.now().into()]);
        self.db.commit(&Scope::System, vec![DELETE.with([queue.into()]), put]).await?;
        self.look_again(Some(&queue.to_owned())).await
    }

    /// Jobs of `queue` are claimed in order of rank again; whether tenants shared it.
    pub async fn unshare(&self, queue: &str) -> Result<bool, DbError> {
        let rows = self.db.commit(&Scope::System, vec![DELETE.with([queue.into()])]).await?;
        self.look_again(Some(&queue.to_owned())).await?;
        Ok(!rows[0].is_empty())
    }

    /// The queues that tenants share, and how.
    pub async fn shares(&self) -> Result<Shares, DbError> {
        let rows = self.db.query(&Scope::System, LIST.with([])).await?;
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        for row in &rows {
            add(&mut shares, row)?;
        }
        Ok(shares.into_iter().map(|(queue, share)| (queue, Arc::new(share))).collect())
    }
}

fn add(shares: &mut BTreeMap<String, Share>, row: &Row) -> Result<(), DbError> {
    let share = shares.entry(row.text("queue")?).or_default();
    let tenant = row.text("tenant")?;
    if tenant == QUEUE {
        (share.who, share.why, share.created_at) = (row.text("who")?, row.text("why")?, row.int("created_at")?);
    } else {
        share.weights.insert(tenant, row.int("weight")?);
    }
    Ok(())
}

/// A claimer's place in the ring of tenants, and what it has learned of how many there are.
#[derive(Default)]
pub(crate) struct Ring {
    /// The next claim starts at the first tenant that is not below.
    from: String,
    /// How many of its turn that tenant has had.
    taken: i64,
    /// Weight of all tenants that the last lap took from.
    lap: i64,
    /// Tenant → weight, of those that this lap has taken from.
    met: HashMap<String, i64>,
}

impl Ring {
    /// Where the next claim starts, and how many of the first tenant's turn are gone.
    pub fn place(&self) -> (&str, i64) {
        (&self.from, self.taken)
    }

    /// Jobs per weight that let one lap fill `wanted`; 1 as long as nobody is known.
    pub fn quantum(&self, wanted: i64) -> i64 {
        if self.lap == 0 { 1 } else { (wanted + self.lap - 1) / self.lap }
    }

    /// Whether it stands at the beginning of the ring.
    pub fn is_at_start(&self) -> bool {
        self.from.is_empty() && self.taken == 0
    }

    /// Moves on: a claim of at most `wanted` took so many jobs per tenant, tenants in order, none of it from another.
    pub fn advance(&mut self, took: &[(String, i64)], wanted: i64, quantum: i64, share: &Share) {
        for (tenant, _) in took {
            self.met.insert(tenant.clone(), share.weight(tenant));
        }
        let total: i64 = took.iter().map(|(_, n)| n).sum();
        match took.last() {
            Some((tenant, n)) if total >= wanted => {
                let had = if *tenant == self.from { self.taken + n } else { *n };
                let turn_is_over = had >= share.weight(tenant) * quantum;
                (self.from, self.taken) = if turn_is_over { (after(tenant), 0) } else { (tenant.clone(), had) };
            }
            _ => self.turn(),
        }
    }

    fn turn(&mut self) {
        self.lap = self.met.drain().map(|(_, weight)| weight).sum();
        (self.from, self.taken) = (String::new(), 0);
    }
}

/// The least text above `tenant`.
fn after(tenant: &str) -> String {
    format!("{tenant}\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(counts: &[(&str, i64)]) -> Vec<(String, i64)> {
        counts.iter().map(|(tenant, n)| ((*tenant).to_owned(), *n)).collect()
    }

    #[test]
    fn a_turn_that_was_cut_off_goes_on_in_the_next_claim() {
        let share = Share { weights: BTreeMap::from([("b".to_owned(), 3)]), ..Share::default() };
        let mut ring = Ring::default();
        ring.advance(&took(&[("a", 1), ("b", 1)]), 2, 1, &share);
        assert_eq!(ring.place(), ("b", 1));
        ring.advance(&took(&[("b", 2)]), 2, 1, &share);
        assert_eq!(ring.place(), ("b\u{1}", 0));
        ring.advance(&took(&[("c", 1)]), 2, 1, &share);
        assert_eq!((ring.place(), ring.lap), (("", 0), 5), "short: the lap is over");
    }

    #[test]
    fn the_quantum_grows_with_what_there_is_to_fill() {
        let mut ring = Ring::default();
        assert_eq!(ring.quantum(500), 1, "nobody is known yet");
        ring.advance(&took(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]), 10, 1, &Share::default());
        assert_eq!((ring.quantum(500), ring.quantum(4), ring.quantum(1)), (125, 1, 1));
    }
}
