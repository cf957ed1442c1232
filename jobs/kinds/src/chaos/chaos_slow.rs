//! Sleeps, with an attempt time-out of 300 ms.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    ms: u64,
}

/// The kind.
pub struct ChaosSlow;

impl Kind<Ports> for ChaosSlow {
    const KIND: &'static str = "chaos_slow";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        Policy { attempt_timeout: std::time::Duration::from_millis(300), ..policy() }
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        tokio::time::sleep(std::time::Duration::from_millis(args.ms)).await;
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!(null)))
    }
}
