//! A live job stands for a second one of the same `to`.

use super::{AlikeArgs, per_to, policy, run_alike};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use clawr_engine::unique::{OnConflict, Unique};

/// The kind.
pub struct ChaosReturn;

impl Kind<Ports> for ChaosReturn {
    const KIND: &'static str = "chaos_return";
    const QUEUE: &'static str = "chaos";
    const UNIQUE: Option<Unique> = per_to(OnConflict::Return);
    type Args = AlikeArgs;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: AlikeArgs, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        run_alike(args, run).await
    }
}
