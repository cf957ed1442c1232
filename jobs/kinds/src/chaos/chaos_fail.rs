//! Fails a number of times, then is done.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, RetryAfter, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    times: i64,
    #[serde(default)]
    retry_after_ms: u64,
}

/// The kind.
pub struct ChaosFail;

impl Kind<Ports> for ChaosFail {
    const KIND: &'static str = "chaos_fail";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        if run.job.attempt > args.times {
            log(&args.log, "end", &run)?;
            return Ok(Finish::done(json!(null)));
        }
        let why = format!("failure {} of {}", run.job.attempt, args.times);
        if args.retry_after_ms == 0 {
            anyhow::bail!(why);
        }
        Err(RetryAfter { after: std::time::Duration::from_millis(args.retry_after_ms), why }.into())
    }
}
