//! Sleeps, then is done; limits count it by wallet and weight.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, Policy, Run, Units};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    ms: u64,
    wallet: String,
    units: i64,
}

/// The kind.
pub struct ChaosWeigh;

impl Kind<Ports> for ChaosWeigh {
    const KIND: &'static str = "chaos_weigh";
    const QUEUE: &'static str = "chaos";
    const LIMIT_KEY: Option<&'static str> = Some("/wallet");
    const UNITS: Units = Units::Field("/units");
    type Args = Args;

    fn policy() -> Policy {
        policy()
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        tokio::time::sleep(std::time::Duration::from_millis(args.ms)).await;
        log(&args.log, "end", &run)?;
        Ok(Finish::done(json!(null)))
    }
}
