//! Fails always, and may do so for two seconds after its first failure.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
}

/// The kind.
pub struct ChaosTotal;

impl Kind<Ports> for ChaosTotal {
    const KIND: &'static str = "chaos_total";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        Policy { total: Some(Duration::from_secs(2)), backoff_max: Duration::from_millis(400), ..policy() }
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        anyhow::bail!("never")
    }
}
