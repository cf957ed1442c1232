//! An entry as rows for the statements that store it, in the order that makes a commit of them exact.

use crate::money::Micros;
use clawr_engine::write::Write;
use serde_json::{Value as Json, json};

clawr_engine::sql!(ACCOUNTS_OPEN, "../sql/accounts_open.sql");
clawr_engine::sql!(ENTRIES_INSERT, "../sql/entries_insert.sql");
clawr_engine::sql!(LEGS_INSERT, "../sql/legs_insert.sql");
clawr_engine::sql!(ACCOUNTS_POST, "../sql/accounts_post.sql");
clawr_engine::sql!(ACCOUNTS_GUARD, "../sql/accounts_guard.sql");

/// The side on which an account's balance stands: assets on debit, what we owe on credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Debit,
    Credit,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Side::Debit => "debit",
            Side::Credit => "credit",
        }
    }
}

/// From one account to another; each with the side it stands on.
pub(crate) struct Leg {
    pub debit: (String, Side),
    pub credit: (String, Side),
    pub amount: Micros,
}

/// One event of the ledger.
pub(crate) struct Entry {
    pub id: String,
    pub key: String,
    pub tenant_id: String,
    pub kind: &'static str,
    pub amount: Micros,
    pub metadata: Json,
    pub created_at: i64,
    pub legs: Vec<Leg>,
}

impl Entry {
    /// Accounts opened, entry, legs, balances, and the guard that every account was there.
    pub fn writes(&self) -> Vec<Write> {
        let legs = || self.legs.iter().zip(1..);
        let opened = self.legs.iter().flat_map(|leg| [&leg.debit, &leg.credit]);
        let mut writes: Vec<Write> = opened.map(|account| Write::new(&ACCOUNTS_OPEN, self.account(account))).collect();
        writes.push(Write::new(&ENTRIES_INSERT, self.row()));
        writes.extend(legs().map(|(leg, seq)| Write::new(&LEGS_INSERT, self.leg(leg, seq))));
        writes.extend(legs().map(|(leg, seq)| Write::new(&ACCOUNTS_POST, self.leg(leg, seq))));
        writes.extend(legs().map(|(leg, seq)| Write::new(&ACCOUNTS_GUARD, self.leg(leg, seq))));
        writes
    }

    fn row(&self) -> Json {
        json!({
            "id": self.id, "key": self.key, "tenant_id": self.tenant_id, "type": self.kind, "amount_micros": self.amount.get(),
            "metadata": self.metadata.to_string(), "created_at": self.created_at,
        })
    }

    fn account(&self, (id, side): &(String, Side)) -> Json {
        json!({"id": id, "tenant_id": self.tenant_id, "normal": side.as_str()})
    }

    fn leg(&self, leg: &Leg, seq: i64) -> Json {
        json!({
            "entry_id": self.id, "seq": seq, "tenant_id": self.tenant_id, "debit": leg.debit.0, "credit": leg.credit.0,
            "amount_micros": leg.amount.get(),
        })
    }
}
