//! Enqueues jobs with its outcome.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::job::NewJob;
use clawr_engine::kind::{Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    children: usize,
}

/// The kind.
pub struct ChaosFollow;

impl Kind<Ports> for ChaosFollow {
    const KIND: &'static str = "chaos_follow";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let mut finish = Finish::done(json!(null));
        finish.follow_ups = (0..args.children).map(|_| child(&args.log)).collect();
        log(&args.log, "end", &run)?;
        Ok(finish)
    }
}

fn child(log: &str) -> NewJob {
    let args = json!({ "log": log, "ms": 0 }).to_string();
    NewJob { kind: "chaos_sleep".into(), queue: "chaos".into(), args, ..NewJob::default() }
}
