//! The business on a real store: a new SQLite file for each test.

mod access;
mod audit;
mod catalog;
mod intake;
mod ledger;
mod support;
