//! One file per command. Those that make or prove something open the store directly; the rest ask the HTTP API, so they
//! see what the API sees and work from anywhere.

pub mod apis;
pub mod audit;
pub mod check_config;
pub mod completions;
pub mod config_init;
pub mod doctor;
pub mod effects;
mod explain;
pub mod health;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod lists;
pub mod migrate;
pub mod queue_limits;
pub mod queue_shares;
pub mod queues;
pub mod rewrap;
pub mod sequences;
pub mod serve;
pub mod settlements;
pub mod signals;
pub mod tenants;
