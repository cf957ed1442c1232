//! The double-entry ledger: immutable entries of legs, and the accounts they add up to.
//!
//! A leg debits one account and credits another with one positive amount, so every entry is zero-sum by construction.
//! Each entry has one natural key. Accounts are opened first and then updated in the commit of the entry, under a CHECK
//! that keeps each on its normal side. Accounts are kept per tenant, also those of the house: totals are sums.

mod list;
mod verify;
pub(crate) mod writes;

pub use list::{Account, Entry, Leg, accounts, entries};
pub use verify::{Finding, Report, verify};
