//! Panics.

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
pub struct ChaosPanic;

impl Kind<Ports> for ChaosPanic {
    const KIND: &'static str = "chaos_panic";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        panic!("chaos_panic {}", run.job.id)
    }
}
