//! Pools: one per queue. `claims` decides when to claim and how to wait; `apalis` is the only file that knows the
//! worker runtime underneath.

mod apalis;
pub(crate) mod claims;

pub(crate) use apalis::run_pool;
