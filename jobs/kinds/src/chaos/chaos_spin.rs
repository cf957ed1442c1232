//! Keeps a runtime thread busy without ever yielding.

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
pub struct ChaosSpin;

impl Kind<Ports> for ChaosSpin {
    const KIND: &'static str = "chaos_spin";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let until = std::time::Instant::now() + std::time::Duration::from_millis(args.ms);
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!(null)))
    }
}
