//! Runs once it was quiet about its `to` for two seconds, or five after the first request.

use super::{AlikeArgs, per_to, policy, run_alike};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};
use std::time::Duration;

/// The kind.
pub struct ChaosDebounce;

impl Kind<Ports> for ChaosDebounce {
    const KIND: &'static str = "chaos_debounce";
    const QUEUE: &'static str = "chaos";
    const UNIQUE: Option<Unique> = per_to(OnConflict::Debounce { window: Duration::from_secs(2), max_wait: Duration::from_secs(5) });
    type Args = AlikeArgs;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: AlikeArgs, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run_alike(args, run).await
    }
}
