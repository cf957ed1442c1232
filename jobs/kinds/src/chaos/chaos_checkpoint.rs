//! Goes step by step with a checkpoint after each, and fails once after a given step.

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
    steps: u64,
    fail_after: u64,
}

/// The kind.
pub struct ChaosCheckpoint;

impl Kind<Ports> for ChaosCheckpoint {
    const KIND: &'static str = "chaos_checkpoint";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let from = run.checkpoint_data().await?.and_then(|data| data["done"].as_u64()).unwrap_or(0);
        for step in from + 1..=args.steps {
            log(&args.log, "step", &run)?;
            run.checkpoint(json!({ "done": step })).await?;
            anyhow::ensure!(step != args.fail_after, "failed after step {step}");
        }
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!({ "from": from })))
    }
}
