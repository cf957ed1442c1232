//! One job per `to` in five seconds.

use super::{AlikeArgs, per_to, policy, run_alike};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};
use std::time::Duration;

/// The kind.
pub struct ChaosThrottle;

impl Kind<Ports> for ChaosThrottle {
    const KIND: &'static str = "chaos_throttle";
    const QUEUE: &'static str = "chaos";
    const UNIQUE: Option<Unique> = per_to(OnConflict::Throttle { per: Duration::from_secs(5) });
    type Args = AlikeArgs;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: AlikeArgs, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run_alike(args, run).await
    }
}
