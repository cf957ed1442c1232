//! Takes its whole process down.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
}

/// The kind.
pub struct ChaosAbort;

impl Kind<Ports> for ChaosAbort {
    const KIND: &'static str = "chaos_abort";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        std::process::abort()
    }
}
