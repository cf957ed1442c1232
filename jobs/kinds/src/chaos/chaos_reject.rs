//! A second job of the same `to` is refused while one lives.

use super::{AlikeArgs, per_to, policy, run_alike};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};

/// The kind.
pub struct ChaosReject;

impl Kind<Ports> for ChaosReject {
    const KIND: &'static str = "chaos_reject";
    const QUEUE: &'static str = "chaos";
    const UNIQUE: Option<Unique> = per_to(OnConflict::Reject);
    type Args = AlikeArgs;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: AlikeArgs, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run_alike(args, run).await
    }
}
