//! A job that waits does what was asked for last for its `to`.

use super::{AlikeArgs, per_to, policy, run_alike};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};

/// The kind.
pub struct ChaosReplace;

impl Kind<Ports> for ChaosReplace {
    const KIND: &'static str = "chaos_replace";
    const QUEUE: &'static str = "chaos";
    const UNIQUE: Option<Unique> = per_to(OnConflict::Replace);
    type Args = AlikeArgs;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: AlikeArgs, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run_alike(args, run).await
    }
}
