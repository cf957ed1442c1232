//! Runs one after the other per account.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::job::NewJob;
use clawr_engine::kind::{Fatal, Finish, Kind, Policy, Run};
use clawr_engine::sequence::Sequenced;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default)]
    ms: u64,
    /// Dies.
    #[serde(default)]
    dead: bool,
    /// The account of the jobs it makes, perhaps one that cannot be.
    #[serde(default)]
    follow: Vec<String>,
}

/// The kind.
pub struct ChaosSequence;

impl Kind<Ports> for ChaosSequence {
    const KIND: &'static str = "chaos_sequence";
    const QUEUE: &'static str = "chaos";
    const SEQUENCE: Sequenced = Sequenced::by(&["/account"]);
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        tokio::time::sleep(Duration::from_millis(args.ms)).await;
        log(&args.log, "end", &run)?;
        if args.dead {
            return Err(Fatal("asked to die".into()).into());
        }
        let mut finish = Finish::done(json!(null));
        finish.follow_ups = args.follow.iter().map(|account| next(&args.log, account)).collect();
        Ok(finish)
    }
}

fn next(log: &str, account: &str) -> NewJob {
    let args = json!({ "log": log, "account": account }).to_string();
    NewJob { kind: ChaosSequence::KIND.into(), queue: "chaos".into(), args, ..NewJob::default() }
}
