//! Waits for a signal that its maker has not sent, or until a time, and returns what woke it.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Outcome, Policy, Run};
use clawr_engine::wait::Wait;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    name: String,
    key: String,
    /// Microseconds; without it there is no timer.
    #[serde(default)]
    until: Option<i64>,
    /// A key whose signals do not count.
    #[serde(default)]
    maker: String,
}

/// The kind.
pub struct ChaosWait;

impl Kind<Ports> for ChaosWait {
    const KIND: &'static str = "chaos_wait";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let signal = run.signal(&args.name, &args.key).await?;
        if let Some(signal) = signal.filter(|signal| args.maker.is_empty() || signal.sender != args.maker) {
            log(&args.log, "end", &run)?;
            return Ok(Finish::done(json!({ "signal": signal.id, "payload": signal.payload, "sender": signal.sender })));
        }
        if args.until.is_some_and(|until| until <= run.clock.now()) {
            log(&args.log, "end", &run)?;
            return Ok(Finish::done(json!({ "timed_out": true })));
        }
        let wait = Wait { until: args.until, ..Wait::signal(&args.name, &args.key) };
        Ok(Finish::as_outcome(Outcome::Wait(wait)))
    }
}
