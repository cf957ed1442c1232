//! Makes jobs happen: [`process`] is one worker process (identity, heartbeat, rescue, pools), [`pool`] claims and
//! hands out, [`executor`] is one job's life, `duties` are the periodic reconcilers.

mod asking;
mod duties;
pub mod executor;
mod held;
pub mod pool;
pub mod process;
mod sealed;
mod settle;
